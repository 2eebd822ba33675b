"""pydantic-ai's agents, which run their tools themselves: by chat, responses or messages (the third argument)."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput, PromptedOutput
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from told import FUNCTIONS, KEY, PNG, URL, tell

WAY = sys.argv[3]


class Joke(BaseModel):
    """A joke."""

    joke: str
    rating: int


ANTHROPIC = AnthropicProvider(anthropic_client=AsyncAnthropic(api_key=KEY, base_url=URL, max_retries=0))
OPENAI = OpenAIProvider(openai_client=AsyncOpenAI(api_key=KEY, base_url=f"{URL}/v1", max_retries=0))
# It knows the models of Anthropic that can give native structured output by name: what it does for others is prompted.
STRUCTURED: Any = PromptedOutput if WAY == "messages" else NativeOutput
LOOP = asyncio.new_event_loop()
run = LOOP.run_until_complete


def model(name: str) -> Any:
    if WAY == "messages":
        return AnthropicModel(name, provider=ANTHROPIC)
    return (OpenAIResponsesModel if WAY == "responses" else OpenAIChatModel)(name, provider=OPENAI)


def calls(messages: list[Any]) -> list[Any]:
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    return [[part.tool_name, part.args_as_dict()] for part in parts]


async def whole(name: str, asked: Any = "Hi", **more: Any) -> Any:
    result = await Agent(model(name), **more).run(asked)
    output = result.output if isinstance(result.output, str) else json.dumps(result.output.model_dump())
    return {
        "text": output,
        "calls": calls(result.all_messages()),
        "usage": [result.usage.input_tokens, result.usage.output_tokens],
    }


async def streamed(name: str, **more: Any) -> Any:
    async with Agent(model(name), **more).run_stream("Hi") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        return {"text": "".join(pieces), "calls": calls(result.all_messages()), "pieces": len(pieces)}


async def agent_streamed(name: str) -> Any:
    """All the events of a run with tools, each of its requests streamed."""
    agent = Agent(model(name), tools=list(FUNCTIONS.values()))
    async with agent.iter("Weather?") as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as events:
                    async for _ in events:
                        pass
    assert run.result is not None
    return {"text": run.result.output, "calls": calls(run.result.all_messages())}


tell(
    {
        "text": lambda p: run(whole(f"{p}-text")),
        "stream": lambda p: run(streamed(f"{p}-text")),
        "tools": lambda p: run(whole(f"{p}-tools", tools=list(FUNCTIONS.values()))),
        "tools streamed": lambda p: run(agent_streamed(f"{p}-tools")),
        "json": lambda p: run(whole(f"{p}-json", output_type=STRUCTURED(Joke))),
        "image": lambda p: run(whole(f"{p}-image", ["What?", BinaryContent(PNG, media_type="image/png")])),
        "refused": lambda p: run(whole(f"{p}-refused")),
        "limited": lambda p: run(whole(f"{p}-limited")),
        "cut": lambda p: run(streamed(f"{p}-cut")),
    }
)
