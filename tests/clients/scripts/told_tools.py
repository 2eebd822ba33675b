"""The tools that the recorded answers call, as each way in describes them. Every result begins with "sun in"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def weather(location: str) -> str:
    """Get weather information for a location."""
    return f"sun in {location}"


def get_weather(location: str) -> str:
    """Get the current weather in a given location."""
    return f"sun in {location}"


def get_time(timezone: str) -> str:
    """Get the current time in a given time zone."""
    return f"sun in {timezone}"


def get_current_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sun in {city}"


FUNCTIONS: dict[str, Callable[..., str]] = {
    f.__name__: f for f in (weather, get_weather, get_time, get_current_weather)
}
ARGUMENTS = {"weather": "location", "get_weather": "location", "get_time": "timezone", "get_current_weather": "city"}


def parameters(name: str) -> dict[str, Any]:
    """The tool's JSON schema."""
    own = ARGUMENTS[name]
    return {"type": "object", "properties": {own: {"type": "string"}}, "required": [own], "additionalProperties": False}


CHAT: Any = [{"type": "function", "function": {"name": n, "parameters": parameters(n)}} for n in FUNCTIONS]
RESPONSES: Any = [{"type": "function", "name": n, "parameters": parameters(n), "strict": True} for n in FUNCTIONS]
MESSAGES: Any = [{"name": n, "description": f.__doc__, "input_schema": parameters(n)} for n, f in FUNCTIONS.items()]
