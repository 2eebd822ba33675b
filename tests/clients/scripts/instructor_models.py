"""instructor, by each of the modes that a model's answers need."""

from __future__ import annotations

import json
from typing import Any

import instructor
from anthropic import Anthropic
from openai import OpenAI
from pydantic import BaseModel, create_model
from told import KEY, URL, tell

OPENAI = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
ANTHROPIC = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
HI: Any = [{"role": "user", "content": "Hi"}]


class Joke(BaseModel):
    """A joke."""

    joke: str
    rating: int


def joke(model: str, mode: Any) -> Any:
    found = instructor.from_openai(OPENAI, mode=mode).create(
        model=model, messages=HI, response_model=Joke, max_retries=0
    )
    return {"text": json.dumps(found.model_dump())}


def tool(provider: str, way: str) -> Any:
    """The first recorded call, as a value of a class that stands for a tool. (It takes the call of any name.)"""
    field = "city" if provider == "ollama" else "location"
    fields: dict[str, Any] = {field: (str, ...), "timezone": (str, "get_time")}
    shape = create_model("weather", **fields)
    given: Any = {"model": f"{provider}-tools", "messages": HI, "response_model": shape, "max_retries": 0}
    openai = instructor.from_openai(OPENAI, mode=instructor.Mode.TOOLS)
    if way == "streamed":
        *_, found = openai.create_partial(**given)
    elif way == "messages":
        anthropic = instructor.from_anthropic(ANTHROPIC, mode=instructor.Mode.ANTHROPIC_TOOLS)
        found = anthropic.create(**given, max_tokens=1000)
    else:
        found = openai.create(**given)
    return {"given": {field: getattr(found, field)}}


tell(
    {
        "json": lambda p: joke(f"{p}-json", instructor.Mode.JSON_SCHEMA),
        "json in words": lambda p: joke(f"{p}-json", instructor.Mode.JSON),
        "json in Markdown": lambda p: joke(f"{p}-json", instructor.Mode.MD_JSON),
        "refused": lambda p: joke(f"{p}-refused", instructor.Mode.JSON_SCHEMA),
        "limited": lambda p: joke(f"{p}-limited", instructor.Mode.JSON_SCHEMA),
        "tool": lambda p: tool(p, "whole"),
        "tool streamed": lambda p: tool(p, "streamed"),
        "tool over messages": lambda p: tool(p, "messages"),
    }
)
