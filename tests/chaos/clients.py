"""The clients of the chaos: each reads streams and checks every character as it comes."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from typing import Any

from tests.chaos.asking import Ask
from tests.soak.crowd import Line, Wrong, chunks, connected, head, payloads

ROUTES = ("abcd", "bcda", "cdab", "dabc")
LEAVES = 0.03
"""Part of the clients that leave in mid-answer."""


class Reading:
    """One answer as it comes. Raises Wrong at the first thing that must not be."""

    def __init__(self, right: str) -> None:
        self._right = right
        self._ids: set[str] = set()
        self._roles = 0
        self._usages = 0
        self._done = False
        self.text = ""
        self.finished = False
        self.error: dict[str, Any] | None = None

    def take(self, data: bytes) -> None:
        """One event's data."""
        if self._done or (self.error is not None and data != b"[DONE]"):
            raise Wrong(f"after its end came {data!r}")
        if data == b"[DONE]":
            self._done = True
            return
        value = json.loads(data)
        if "error" in value:
            if self.finished:
                raise Wrong(f"an error after finish_reason: {data!r}")
            self.error = value["error"]
            return
        self._ids.add(value["id"])
        self._usages += value.get("usage") is not None
        for choice in value["choices"]:
            self._choice(choice["delta"], choice["finish_reason"])
        if len(self._ids) > 1 or self._roles > 1 or self._usages > 1:
            raise Wrong(f"ids {self._ids}, {self._roles} roles, {self._usages} usages")

    def _choice(self, delta: dict[str, Any], finish: str | None) -> None:
        self._roles += "role" in delta
        text = delta.get("content") or ""
        if self.finished and (text or finish):
            raise Wrong(f"after finish_reason came {delta!r}, {finish}")
        self.text += text
        if not self._right.startswith(self.text):
            raise Wrong(f"said {self.text!r} for {self._right!r}")
        self.finished = self.finished or finish is not None

    def end(self) -> str:
        """How it ended: `whole` or `told`."""
        if self.error is not None:
            return "told"
        if not self.finished or self.text != self._right or not self._done:
            raise Wrong(f"a success that is none: {self.finished=} {self._done=} {self.text!r} for {self._right!r}")
        return "whole"


class Clients:
    """Keeps `scripted` clients asking the scripted upstreams, and a few the real model, whose answers are known."""

    def __init__(self, port: int, seed: str, scripted: int, real: int, known: dict[str, str]) -> None:
        self._port = port
        self._seed = seed
        self._size = (scripted, real)
        self._known = known
        self._ids = itertools.count(100_000)
        self.ends: Counter[str] = Counter()
        """`whole`, `continued` (of those), `told` (broken off, and said so), `refused` (no answer), `left`."""
        self.real: Counter[str] = Counter()
        """The same of the real model."""
        self.errors: Counter[str] = Counter()
        """What was told, by code."""
        self.asked: list[int] = []
        self.wrong: list[str] = []
        self.slowest = 0.0
        self.live = 0
        self.most = 0

    async def run(self, seconds: float) -> None:
        """Asks for so long; returns when the last answer is over."""
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(self._size[0]):
                group.create_task(self._client(end, real=False))
            for _ in range(self._size[1]):
                group.create_task(self._client(end, real=True))

    async def _client(self, end: float, *, real: bool) -> None:
        while time.monotonic() < end and len(self.wrong) < 20:
            async with connected(self._port) as line:
                while time.monotonic() < end and await self._one(line, real=real):
                    pass

    async def _one(self, line: Line, *, real: bool) -> bool:
        """One request; true when the connection can be used again."""
        id_ = next(self._ids)
        self.asked.append(id_)
        chance = random.Random(f"{self._seed} client {id_}")
        ask = Ask(id_, chance.randint(5, 40))
        prompt, route = (chance.choice(list(self._known)), "real") if real else (ask.text(), chance.choice(ROUTES))
        right = self._known[prompt] if real else "".join(ask.said())
        leaves = chance.uniform(0, 2) if chance.random() < LEAVES else None
        began = time.monotonic()
        self.live += 1
        self.most = max(self.most, self.live)
        try:
            line[1].write(request(id_, route, prompt, usage=chance.random() < 0.5))
            ended = await self._read(line[0], right, leaves)
        except (Wrong, OSError, EOFError, ValueError, LookupError) as error:
            self.wrong.append(f"{id_} {route} {prompt}: {error!r}")
            return False
        finally:
            self.live -= 1
        self.slowest = max(self.slowest, time.monotonic() - began)
        (self.real if real else self.ends)[ended] += 1
        if real:
            await asyncio.sleep(chance.uniform(0.2, 1.0))  # it shares a core with Wayline
        return ended in {"whole", "continued"}

    async def _read(self, reader: asyncio.StreamReader, right: str, leaves: float | None) -> str:
        try:
            async with asyncio.timeout(leaves):
                return await self._whole(reader, right)
        except TimeoutError:
            return "left"

    async def _whole(self, reader: asyncio.StreamReader, right: str) -> str:
        headers = await head(reader)
        if headers[":status"] != "200":
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            if headers[":status"] not in {"502", "503", "504"}:
                raise Wrong(f"{headers[':status']} {body}")
            self.errors[f"{headers[':status']} {body['error']['code']}"] += 1
            return "refused"
        reading, continued, buffer = Reading(right), False, b""
        async for piece in chunks(reader):
            *events, buffer = (buffer + piece).split(b"\n\n")
            continued = continued or any(each.startswith(b": x-wayline-continued") for each in events)
            for data in payloads(events):
                reading.take(data)
        if buffer:
            raise Wrong(f"ended within an event: {buffer!r}")
        ended = reading.end()
        if reading.error is not None:
            self.errors[f"in the stream: {reading.error['code']}"] += 1
        return "continued" if ended == "whole" and continued else ended


def request(id_: int, route: str, prompt: str, *, usage: bool) -> bytes:
    """The request's bytes."""
    messages = [{"role": "user", "content": prompt}]
    body: dict[str, Any] = {"model": route, "messages": messages, "stream": True, "temperature": 0}
    if route == "real":
        body["max_tokens"] = 40
    if usage:
        body["stream_options"] = {"include_usage": True}
    content = json.dumps(body).encode()
    lines = "POST /v1/chat/completions HTTP/1.1\r\nHost: chaos\r\nContent-Type: application/json\r\n"
    return f"{lines}X-Request-Id: chaos-{id_}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
