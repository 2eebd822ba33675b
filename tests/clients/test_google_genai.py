"""Google's own SDK as the reference for Gemini's wire form: for the same conversation Wayline sends the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openai import OpenAI

from tests.clients.conftest import KEY, Stage
from tests.clients.replay import PIXEL
from tests.clients.scripts.told_tools import parameters
from tests.upstream import Request, Upstream, in_thread
from tests.upstream_answers import dumps, plain, raw_stream, sse
from tests.upstream_steps import Behaviour

pytestmark = pytest.mark.slow
HI: Any = [{"role": "user", "content": "Hi"}]
SCHEMA = {
    "type": "object",
    "properties": {"joke": {"type": "string"}, "rating": {"type": "integer"}},
    "required": ["joke", "rating"],
}
SIGNED = {"google": {"thought_signature": "c2lnbmF0dXJlLW9mLWEtdGhvdWdodA=="}}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"location":"Rome"}'},
    "extra_content": SIGNED,
}
ASKED: dict[str, dict[str, Any]] = {
    "plain": {
        "model": "gemini-text",
        "messages": [{"role": "system", "content": "Be brief."}, *HI],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 100,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
    },
    "stream": {"model": "gemini-text", "messages": HI, "stream": True},
    "tools": {
        "model": "gemini-tools",
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sun in Rome"},
        ],
        "tools": [
            {"type": "function", "function": {"name": name, "description": "Tells.", "parameters": parameters(name)}}
            for name in ("weather", "get_time")
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    },
    "image": {
        "model": "gemini-image",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                ],
            }
        ],
    },
    "json": {
        "model": "gemini-json",
        "messages": [{"role": "user", "content": "A joke"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "joke", "schema": SCHEMA}},
    },
    "thinking": {"model": "gemini-text", "messages": HI, "reasoning_effort": "low"},
}


ANSWER = dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "{}"}]}, "finishReason": "STOP"}]})


def answer(request: Request, n: int) -> Behaviour:
    """What Google's SDK gets: whole, or as a stream of one event."""
    return raw_stream(sse(ANSWER)) if "stream" in request.path else plain(ANSWER)


def spelled(value: Any) -> Any:
    """The same in one spelling of the two that JSON of protocol buffers has for names, and for base64."""
    if isinstance(value, list):
        return [spelled(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {re.sub("_(.)", lambda m: m[1].upper(), name): spelled(one) for name, one in value.items()}
    if "mimeType" in made:
        made["data"] = made["data"].translate(str.maketrans("-_", "+/"))
    return made


def said(body: dict[str, Any]) -> dict[str, Any]:
    """Without what Google's SDK writes and what says nothing: a role of the system's words, empty settings."""
    made: dict[str, Any] = spelled(body)
    made.get("systemInstruction", {}).pop("role", None)
    return {name: value for name, value in made.items() if value}


@pytest.fixture(scope="module")
def theirs(stage: Stage) -> dict[str, tuple[str, Any]]:
    """What Google's SDK sends for each conversation: path and body."""
    with in_thread(Upstream(answer)) as there:
        told = stage.run("google_genai.py", there.up.base_url.removesuffix("/v1"))
        seen = [(request.path, said(request.json)) for request in there.up.requests]
    assert [told[f"gemini {scene}"] for scene in ASKED] == [{"text": "{}"}] * len(ASKED)
    return dict(zip(ASKED, seen, strict=True))


@pytest.fixture(scope="module")
def ours(stage: Stage) -> dict[str, tuple[str, Any]]:
    """What Wayline does."""
    before = len(stage.there.up.requests)
    with OpenAI(base_url=stage.server.base_url, api_key=KEY, max_retries=0, timeout=30) as client:
        for asked in ASKED.values():
            got = client.chat.completions.create(**asked)
            if asked.get("stream"):
                list(got)
    seen = [(request.path, request.json) for request in stage.there.up.requests[before:]]
    return dict(zip(ASKED, seen, strict=True))


@pytest.mark.parametrize("scene", ASKED)
def test_wayline_sends_what_googles_sdk_sends(theirs: Any, ours: Any, scene: str) -> None:
    assert ours[scene] == theirs[scene]
