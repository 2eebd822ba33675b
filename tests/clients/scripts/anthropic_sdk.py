"""The anthropic SDK."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic
from told import FUNCTIONS, KEY, PIXEL, URL, tell
from told_tools import MESSAGES

CLIENT = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
SCHEMA = {
    "type": "object",
    "properties": {"joke": {"type": "string"}, "rating": {"type": "integer"}},
    "required": ["joke", "rating"],
    "additionalProperties": False,
}
HI: Any = [{"role": "user", "content": "Hi"}]


def words(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def text(model: str, asked: Any = HI, **more: Any) -> Any:
    message = CLIENT.messages.create(model=model, max_tokens=1000, messages=asked, **more)
    usage = message.usage
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return {"text": words(message), "usage": [usage.input_tokens + cached, usage.output_tokens]}


def stream(model: str) -> Any:
    with CLIENT.messages.stream(model=model, max_tokens=1000, messages=HI) as events:
        found = "".join(events.text_stream)
        assert words(events.get_final_message()) == found
    return {"text": found}


def run(model: str, streamed: bool) -> Any:
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    made: list[Any] = []
    while True:
        given: Any = {"model": model, "max_tokens": 3000, "messages": messages, "tools": MESSAGES}
        if streamed:
            with CLIENT.messages.stream(**given, thinking={"type": "enabled", "budget_tokens": 2000}) as events:
                message: Any = events.get_final_message()
        else:
            message = CLIENT.messages.create(**given)
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return {"text": words(message), "calls": made}
        assert message.stop_reason == "tool_use"
        made += [[call.name, call.input] for call in calls]
        results = [(call.id, FUNCTIONS[call.name](**call.input)) for call in calls]
        blocks = [{"type": "tool_result", "tool_use_id": id_, "content": result} for id_, result in results]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": blocks}]


def image(model: str) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    return text(model, [{"role": "user", "content": [{"type": "image", "source": source}]}])


tell(
    {
        "text": lambda p: text(f"{p}-text"),
        "stream": lambda p: stream(f"{p}-text"),
        "tools": lambda p: run(f"{p}-tools", streamed=False),
        "tools streamed": lambda p: run(f"{p}-tools", streamed=True),
        "json": lambda p: text(
            f"{p}-json", extra_body={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
        ),
        "image": lambda p: image(f"{p}-image"),
        "refused": lambda p: text(f"{p}-refused"),
        "limited": lambda p: text(f"{p}-limited"),
        "cut": lambda p: stream(f"{p}-cut"),
    }
)
