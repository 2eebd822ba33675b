"""Recorded exchanges with real providers, one JSON object a line.

    {"id": "groq-160", "provider": "groq", "endpoint": "chat" | "embeddings", "status": 400, "streaming": false,
     "source": {"repo": …, "commit": …, "path": …},
     "model": "…",                          the model asked for, where the body does not name it
     "asked": {…},                          the client's request in OpenAI's terms; left out where it is the same
     "request": {"url": …, "body": {…}},    what the provider accepted
     "response": {"headers": {…}, "body": "…" | {"b64": "…"}},
     "golden": {…}}

`golden` holds what a right dialect gets out of it, found by other means than the dialect. For an answer: `model`,
`usage` (`null`: none reported) and `choices`, each with the lengths of `content`, `reasoning` and `refusal`, its
`tools` as `[name, length of arguments]` and its `finish` reason; `error` (the code) where the stream ends in one.
For embeddings: `model`, `usage` and the number of `vectors`. For an error: `failure` (a value of `FailureKind`) and
`wait` in seconds.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from proxy.core.call import Headers


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded exchange."""

    id: str
    provider: str
    endpoint: str
    status: int
    streaming: bool
    source: Mapping[str, str]
    asked: Mapping[str, Any]
    url: str
    sent: Mapping[str, Any]
    headers: Headers
    body: bytes
    golden: Mapping[str, Any]
    named: str = ""
    """The model asked for, where the body does not name it."""

    @property
    def model(self) -> str:
        """The model that was asked for, as the provider names it."""
        return self.named or str(self.sent["model"])

    def base_url(self, below: str) -> str:
        """The address that a configuration would name, given the path `below` it that the dialect adds."""
        path, mark, query = self.url.partition("?")
        if not path.endswith(below):
            raise ValueError(f"{self.id}: {path} does not end in {below}")
        return path.removesuffix(below) + mark + query


def load(path: Path) -> list[Exchange]:
    """All exchanges of a file."""
    return [_exchange(orjson.loads(line)) for line in path.read_bytes().splitlines()]


def _bytes(body: str | dict[str, str]) -> bytes:
    return body.encode() if isinstance(body, str) else base64.b64decode(body["b64"])


def _exchange(row: dict[str, Any]) -> Exchange:
    request, response = row["request"], row["response"]
    return Exchange(
        id=row["id"],
        provider=row["provider"],
        endpoint=row["endpoint"],
        status=row["status"],
        streaming=row["streaming"],
        source=row["source"],
        asked=row.get("asked", request["body"]),
        url=request["url"],
        sent=request["body"],
        headers=[(name.lower().encode(), value.encode()) for name, value in response["headers"].items()],
        body=_bytes(response["body"]),
        golden=row["golden"],
        named=row.get("model", ""),
    )
