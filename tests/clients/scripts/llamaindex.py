"""LlamaIndex's OpenAILike."""

from __future__ import annotations

import json
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from openai import DefaultHttpxClient
from pydantic import BaseModel
from told import FUNCTIONS, KEY, PNG, URL, tell

HTTP = DefaultHttpxClient()  # takes a while to make
TOOLS = [FunctionTool.from_defaults(function) for function in FUNCTIONS.values()]


class Joke(BaseModel):
    """A joke."""

    joke: str
    rating: int


def model(name: str, **more: Any) -> Any:
    flags = {"is_chat_model": True, "is_function_calling_model": True, **more}
    return OpenAILike(
        model=name, api_base=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=60, http_client=HTTP, **flags
    )


def text(provider: str) -> Any:
    answer = model(f"{provider}-text").chat([ChatMessage(content="Hi")])
    usage = answer.raw.usage
    return {"text": answer.message.content, "usage": [usage.prompt_tokens, usage.completion_tokens]}


def stream(provider: str) -> Any:
    return {
        "text": "".join(piece.delta for piece in model(f"{provider}-text").stream_chat([ChatMessage(content="Hi")]))
    }


def tools(provider: str, streamed: bool = False) -> Any:
    llm = model(f"{provider}-tools")
    asked = [ChatMessage(content="Weather?")]
    if streamed:
        *_, answer = llm.stream_chat_with_tools(TOOLS, chat_history=asked, allow_parallel_tool_calls=True)
    else:
        answer = llm.chat_with_tools(TOOLS, chat_history=asked, allow_parallel_tool_calls=True)
    calls = llm.get_tool_calls_from_response(answer)
    asked.append(answer.message)
    for call in calls:
        result = FUNCTIONS[call.tool_name](**call.tool_kwargs)
        more = {"tool_call_id": call.tool_id, "name": call.tool_name}
        asked.append(ChatMessage(role=MessageRole.TOOL, content=result, additional_kwargs=more))
    last = llm.chat_with_tools(TOOLS, chat_history=asked)
    return {"calls": [[call.tool_name, call.tool_kwargs] for call in calls], "text": last.message.content}


def structured(provider: str) -> Any:
    llm = model(f"{provider}-json", is_function_calling_model=False, should_use_structured_outputs=True)
    joke = llm.structured_predict(Joke, PromptTemplate("A joke about {about}."), about="OpenTelemetry")
    return {"text": json.dumps(joke.model_dump())}


def image(provider: str) -> Any:
    blocks = [TextBlock(text="What is this?"), ImageBlock(image=PNG, image_mimetype="image/png")]
    return {"text": model(f"{provider}-image").chat([ChatMessage(blocks=blocks)]).message.content}


def refused(provider: str) -> Any:
    return {"text": model(f"{provider}-refused").chat([ChatMessage(content="Hi")]).message.content}


def limited(provider: str) -> Any:
    return {"text": model(f"{provider}-limited").chat([ChatMessage(content="Hi")]).message.content}


def cut(provider: str) -> Any:
    return {"text": "".join(piece.delta for piece in model(f"{provider}-cut").stream_chat([ChatMessage(content="Hi")]))}


tell(
    {
        "text": text,
        "stream": stream,
        "tools": tools,
        "tools streamed": lambda provider: tools(provider, streamed=True),
        "json": structured,
        "image": image,
        "refused": refused,
        "limited": limited,
        "cut": cut,
    }
)
