"""The Response object around what a model says: much of it repeats the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.inbound.chunks import cost_in
from proxy.inbound.way import Fault

NO_FAULT_OF_OURS = {400: "invalid_prompt", 413: "invalid_prompt", 422: "invalid_prompt", 429: "rate_limit_exceeded"}
"""The API's own words for why a response failed, by the status that the failure would have; else `server_error`."""
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is not all there, by chat's finish reason."""


class Envelope:
    """Makes the Response objects of one request."""

    __slots__ = ("_before", "id", "model", "tier")

    def __init__(self, asked: Mapping[str, Any], id_: str, created: int, *, stored: bool = False) -> None:
        """`asked`: the request as it came."""
        self.id = id_
        self.model = str(asked.get("model"))
        self.tier: str | None = None
        """The service tier, as the upstream names it."""
        text, reasoning = _object(asked.get("text")), _object(asked.get("reasoning"))
        choice = asked.get("tool_choice")
        tools = [_tool(tool) for tool in asked.get("tools") or () if tool["type"] in ("function", "custom")]
        self._before = {
            "id": id_,
            "object": "response",
            "created_at": created,
            "background": False,
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "max_tool_calls": asked.get("max_tool_calls"),
            "metadata": asked.get("metadata") or {},
            "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
            "previous_response_id": asked.get("previous_response_id"),
            "prompt_cache_key": asked.get("prompt_cache_key"),
            "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
            "safety_identifier": asked.get("safety_identifier"),
            "store": stored,
            "temperature": _or(asked.get("temperature"), 1.0),
            "text": {
                "format": _or(text.get("format"), {"type": "text"}),
                "verbosity": _or(text.get("verbosity"), "medium"),
            },
            "tool_choice": choice if tools and choice is not None and _kept(choice) else "auto",
            "tools": tools,
            "top_logprobs": _or(asked.get("top_logprobs"), 0),
            "top_p": _or(asked.get("top_p"), 1.0),
            "truncation": "disabled",
            "user": asked.get("user"),
        }
        self.tier = asked.get("service_tier")

    def of(
        self,
        status: str,
        output: list[dict[str, Any]],
        *,
        usage: Mapping[str, Any] | None = None,
        fault: Fault | None = None,
        finish: str = "",
    ) -> dict[str, Any]:
        """The object now. `finish`: chat's finish reason, `fault`: why it failed."""
        reason = INCOMPLETE.get(finish)
        return {
            **self._before,
            "status": status,
            "error": None if fault is None else _error(fault),
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            "model": self.model,
            "output": output,
            "service_tier": self.tier or "default",
            "usage": usage,
        }


def usage_of(given: object) -> dict[str, Any] | None:
    """Chat's `usage` as a response's; `None` where there is none."""
    if not isinstance(given, Mapping):
        return None
    came, made = _count(given.get("prompt_tokens")), _count(given.get("completion_tokens"))
    before, after = _object(given.get("prompt_tokens_details")), _object(given.get("completion_tokens_details"))
    return {
        "input_tokens": came,
        "input_tokens_details": {
            "cached_tokens": _count(before.get("cached_tokens")),
            "cache_write_tokens": _count(before.get("cache_write_tokens")),
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": _count(after.get("reasoning_tokens"))},
        "total_tokens": came + made,
        **cost_in(given),
    }


def _error(fault: Fault) -> dict[str, Any]:
    return {"code": NO_FAULT_OF_OURS.get(fault.status, "server_error"), "message": fault.message}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A function as the API repeats it: with all its members."""
    if tool["type"] == "custom":
        return dict(tool)
    nested = tool.get("function")
    if isinstance(nested, Mapping) and "name" not in tool:
        tool = {**nested, "type": "function"}
    return {"description": None, "parameters": None, "strict": None, **tool}


def _kept(choice: object) -> bool:
    """The choice is among those that were handed on."""
    return isinstance(choice, str) or _object(choice).get("type") in ("function", "custom", "allowed_tools")


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0
