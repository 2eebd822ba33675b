"""LangChain's ChatOpenAI (by chat or responses) and ChatAnthropic, as the third argument says."""

from __future__ import annotations

import functools
import json
import operator
import sys
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient
from pydantic import BaseModel, SecretStr
from told import FUNCTIONS, KEY, PIXEL, URL, tell

WAY = sys.argv[3]
HTTP, ASYNC = DefaultHttpxClient(), DefaultAsyncHttpxClient()  # each takes a while to make
TOOLS = [tool(function) for function in FUNCTIONS.values()]


class Joke(BaseModel):
    """A joke."""

    joke: str
    rating: int


def model(name: str) -> Any:
    key = SecretStr(KEY)
    if WAY == "messages":
        return ChatAnthropic(model_name=name, base_url=URL, api_key=key, max_retries=0, timeout=None, stop=None)
    more: dict[str, Any] = {"http_client": HTTP, "http_async_client": ASYNC, "use_responses_api": WAY == "responses"}
    return ChatOpenAI(base_url=f"{URL}/v1", api_key=key, model=name, max_retries=0, **more)


def text(name: str, asked: Any = "Hi") -> Any:
    message = model(name).invoke(asked)
    usage = message.usage_metadata
    return {"text": message.text, "usage": [usage["input_tokens"], usage["output_tokens"]]}


def stream(name: str) -> Any:
    return {"text": functools.reduce(operator.add, model(name).stream("Hi")).text}


def run(name: str, streamed: bool) -> Any:
    bound = model(name).bind_tools(TOOLS)
    messages: list[Any] = [HumanMessage("Weather?")]
    made: list[Any] = []
    while True:
        message = functools.reduce(operator.add, bound.stream(messages)) if streamed else bound.invoke(messages)
        if not message.tool_calls:
            return {"text": message.text, "calls": made}
        made += [[call["name"], call["args"]] for call in message.tool_calls]
        messages.append(message)
        results = [(call["id"], FUNCTIONS[call["name"]](**call["args"])) for call in message.tool_calls]
        messages += [ToolMessage(result, tool_call_id=id_) for id_, result in results]


def structured(name: str) -> Any:
    joke = model(name).with_structured_output(Joke, method="json_schema").invoke("A joke")
    return {"text": json.dumps(joke.model_dump())}


def image(name: str) -> Any:
    block = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    return text(name, [HumanMessage([{"type": "text", "text": "?"}, block])])


tell(
    {
        "text": lambda p: text(f"{p}-text"),
        "stream": lambda p: stream(f"{p}-text"),
        "tools": lambda p: run(f"{p}-tools", streamed=False),
        "tools streamed": lambda p: run(f"{p}-tools", streamed=True),
        "json": lambda p: structured(f"{p}-json"),
        "image": lambda p: image(f"{p}-image"),
        "refused": lambda p: text(f"{p}-refused"),
        "limited": lambda p: text(f"{p}-limited"),
        "cut": lambda p: stream(f"{p}-cut"),
    }
)
