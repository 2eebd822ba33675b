"""Tools and structured output of a Messages request, in the words of chat completions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.core.chat import ChatRequest
from proxy.inbound.messages import Messages
from proxy.inbound.messages_tools import is_strict

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def asking(**more: Any) -> dict[str, Any]:
    return {"model": "best", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **more}


def read(body: dict[str, Any]) -> ChatRequest:
    found = Messages().read(body, orjson.dumps(body), {})
    assert isinstance(found, ChatRequest), found
    return found


def test_tools_and_the_choice_among_them() -> None:
    closed = {**SCHEMA, "additionalProperties": False}
    tool = {"name": "f", "description": "does", "input_schema": closed, "strict": True}
    body = read(asking(tools=[tool], tool_choice={"type": "tool", "name": "f"})).body
    function = {"name": "f", "parameters": closed, "description": "does", "strict": True}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    for kind, mode in (("auto", "auto"), ("any", "required"), ("none", "none")):
        choice = {"type": kind, "disable_parallel_tool_use": True}
        body = read(asking(tools=[tool], tool_choice=choice)).body
        assert (body["tool_choice"], body["parallel_tool_calls"]) == (mode, False)


CLOSED = {**SCHEMA, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (SCHEMA, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"x": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"x": {"type": "array", "items": SCHEMA}}}, False),
    ],
)
def test_strict_is_asked_for_only_where_openai_would_take_it(schema: dict[str, Any], strict: bool) -> None:
    tool = {"name": "f", "input_schema": schema, "strict": True}
    body = read(asking(tools=[tool], output_config={"format": {"type": "json_schema", "schema": schema}})).body
    assert body["response_format"]["json_schema"]["strict"] is strict
    assert body["tools"][0]["function"].get("strict", False) is strict


@pytest.mark.parametrize("odd", [{"properties": 5}, {"type": "object", "required": {}}, [{"properties": []}], 5])
def test_a_schema_that_is_none_is_not_strict_or_nobodys_business(odd: Any) -> None:
    assert is_strict(odd) is (odd == 5)
