"""What an embedded Wayline gives: answers, pieces of streams, and errors. Light values over OpenAI's own JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from proxy.wire.outbox import pairs

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Won:
    """Who answered."""

    request_id: str
    """As it stands in the ledger."""
    route: str
    target: str
    """`backend/model`."""
    attempts: int
    cost: Decimal | None
    """US dollars of all attempts; `None`: nobody knows."""
    dropped: tuple[str, ...] = ()
    """Parameters that the target did not take."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole chat answer."""

    raw: Json
    """As OpenAI's API would give it (`openai.types.chat.ChatCompletion.model_validate(raw)` takes it)."""
    won: Won

    @property
    def text(self) -> str:
        """Of the first choice; empty where it has none (tool calls)."""
        return _text(self._message)

    @property
    def tool_calls(self) -> list[Json]:
        """Of the first choice."""
        return list(self._message.get("tool_calls") or ())

    @property
    def finish_reason(self) -> str | None:
        """Of the first choice: `stop`, `length`, `tool_calls`, …"""
        return _finish(self.raw)

    @property
    def usage(self) -> Json | None:
        """`prompt_tokens`, `completion_tokens`, …; `None`: the backend told none."""
        return self.raw.get("usage")

    @property
    def target(self) -> str:
        """`backend/model`."""
        return self.won.target

    @property
    def cost(self) -> Decimal | None:
        """US dollars; `None`: nobody knows."""
        return self.won.cost

    @property
    def _message(self) -> Json:
        choices = self.raw.get("choices") or [{}]
        message: Json = choices[0].get("message") or {}
        return message


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a stream."""

    raw: Json
    """As OpenAI's API would give it (`chat.completion.chunk`)."""

    @property
    def text(self) -> str:
        """What it adds to the first choice; often empty."""
        choices = self.raw.get("choices") or [{}]
        return _text(choices[0].get("delta") or {})

    @property
    def finish_reason(self) -> str | None:
        """Of the first choice, in its last piece."""
        return _finish(self.raw)

    @property
    def usage(self) -> Json | None:
        """In a stream's last piece, where the backend tells it."""
        return self.raw.get("usage")


@dataclass(frozen=True, slots=True)
class Vectors:
    """An answer to `embed`."""

    raw: Json
    won: Won

    @property
    def vectors(self) -> list[list[float]]:
        """In the order of the texts. (With `encoding_format="base64"` what stands there is text.)"""
        return [item["embedding"] for item in self.raw["data"]]

    @property
    def usage(self) -> Json | None:
        """`prompt_tokens`, `total_tokens`."""
        return self.raw.get("usage")


class WaylineError(Exception):
    """There is no answer, or only a part of one. `str()` is the message."""

    def __init__(
        self, status: int, error: Mapping[str, Any], *, retry_after: float | None = None, won: Won | None = None
    ) -> None:
        """`error`: the object that OpenAI's API would give."""
        super().__init__(str(error.get("message", "")))
        self.status = status
        """As the HTTP API would say it; 200 where a stream broke off."""
        self.code: str | None = error.get("code")
        """`rate_limit_exceeded`, `model_not_found`, …: see docs/errors.md."""
        self.type: str | None = error.get("type")
        self.param: str | None = error.get("param")
        self.retry_after = retry_after
        """Seconds; `None`: nothing is known of that."""
        self.request_id = "" if won is None else won.request_id
        self.target = "" if won is None else won.target
        """The last one tried; empty: none was."""
        self.attempts = 0 if won is None else won.attempts
        self.error = error
        """The whole object."""


def fields_of(headers: bytes) -> dict[str, str]:
    """The header lines of a reply, by name."""
    return {name.decode(): value.decode("latin-1") for name, value in pairs(headers)}


def won_of(fields: Mapping[str, str], cost: Decimal | None = None) -> Won:
    """By a reply's headers."""
    told = fields.get("x-wayline-cost")
    dropped = fields.get("x-wayline-dropped", "")
    return Won(
        fields.get("x-request-id", ""),
        fields.get("x-wayline-route", ""),
        fields.get("x-wayline-target", ""),
        int(fields.get("x-wayline-attempts", "0")),
        cost if cost is not None or told is None else Decimal(told),
        tuple(dropped.split(", ")) if dropped else (),
    )


def error_of(status: int, fields: Mapping[str, str], body: bytes) -> WaylineError:
    """A refusal as an exception."""
    error: Json = orjson.loads(body)["error"]
    exact, whole = fields.get("retry-after-ms"), fields.get("retry-after")
    wait = float(exact) / 1000 if exact is not None else None if whole is None else float(whole)
    return WaylineError(status, error, retry_after=wait, won=won_of(fields))


def closed() -> WaylineError:
    """For those who still waited when it was closed."""
    said = {"message": "This Wayline was closed.", "type": "server_error", "code": "closed", "param": None}
    return WaylineError(503, said)


def _finish(raw: Json) -> str | None:
    choices = raw.get("choices") or [{}]
    reason: str | None = choices[0].get("finish_reason")
    return reason


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
