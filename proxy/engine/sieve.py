"""A `Caller` before the client's: what the route's screen finds in an answer does not go out, nor what follows it.

Of a stream only that is held back which may be the beginning of something: the letters of a term that has begun, and
for patterns the last `hold` characters; never for longer than `delay`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from proxy.core.failure import Failure
from proxy.core.screen.along import Along, Mark
from proxy.core.screen.policy import Screen
from proxy.core.screen.rule import Finding, decided
from proxy.core.screen.texts import added, answered
from proxy.engine.caller import Caller, Won
from proxy.inbound.chunks import chunks_in, completion_in

WITHHELD = "The answer was withheld by the screen of this route ({})."
_HEAD = ("id", "created", "model")
_NOTHING = Screen()


class Held(NamedTuple):
    """An event that may not go out yet: where each of its texts ended with it, and since when it waits."""

    raw: bytes
    marks: tuple[tuple[Along, Mark], ...]
    since: float


class Sieve:
    """For one answer. `resources`: texts that are added to it; `noted` is told of each finding; `stop`: nothing more of
    the answer is wanted."""

    __slots__ = (
        *("_along", "_ended", "_found", "_head", "_held", "_inner", "_noted", "_open", "_resources"),
        *("_screen", "_stop", "_timer"),
    )

    def __init__(
        self,
        inner: Caller,
        screen: Screen | None,
        resources: Iterable[str],
        noted: Callable[[Finding], None],
        stop: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._screen = screen or _NOTHING
        self._resources = list(dict.fromkeys(one for one in resources if one))
        self._noted = noted
        self._stop = stop
        self._along: dict[tuple[int, str], Along] = {}
        self._found: set[int] = set()
        self._held: deque[Held] = deque()
        self._head: dict[str, Any] = {}
        """What all chunks of the answer have."""
        self._open: set[int] = set()
        """Choices that were begun and are not finished."""
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None

    # A whole answer ----------------------------------------------------------------------------------------------

    def whole(self, body: bytes, won: Won) -> None:
        reply = completion_in(body)
        choices = reply.get("choices")
        findings = self._screen.answered.found(answered(choices))
        for finding in findings:
            self._note(finding)
        hit = decided(findings)
        if hit is not None:
            self._inner.whole(_withheld(reply, hit), won)
        elif self._resources and isinstance(choices, list):
            self._inner.whole(_with(reply, choices, "\n\n".join(self._resources)), won)
        else:
            self._inner.whole(body, won)

    # A stream ----------------------------------------------------------------------------------------------------

    def open(self, won: Won) -> None:
        self._inner.open(won)

    def comment(self, text: str = "") -> None:
        if not self._ended:
            self._inner.comment(text)

    def push(self, data: bytes) -> bool:
        if self._ended:
            return True
        now = time.monotonic()
        out: list[bytes] = []
        for block in data.split(b"\n\n"):
            if block and self._take(block + b"\n\n", now, out):
                return True
            self._ripe(out)
        if self._held and self._timer is None:
            self._wait(self._held[0].since)
        return self._inner.push(b"".join(out)) if out else True

    def close(self, last: bytes = b"") -> None:
        if self._ended or self._rest():
            return
        self._ended = True
        self._inner.close(last)

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        self._inner.refuse(failure, retry_after, target, attempts)

    def broken(self, failure: Failure, chars: int | None) -> None:
        if self._ended or self._rest():
            return
        self._ended = True
        self._inner.broken(failure, chars)

    def _take(self, raw: bytes, now: float, out: list[bytes]) -> bool:
        """One event. True: the answer ends here, after what stands in `out`."""
        said = _said(raw) if self._head and self._screen.answered else None
        if said is not None:
            index, text = said
            self._open.add(index)
            mark: list[tuple[Along, Mark]] = []
            found = self._feed((index, "content"), text, mark)
            if found and self._hit(found, out):
                return True
            self._held.append(Held(raw, tuple(mark), now))
            return False
        return self._take_any(raw, now, out)

    def _take_any(self, raw: bytes, now: float, out: list[bytes]) -> bool:
        marks: list[tuple[Along, Mark]] = []
        places: set[int] = set()
        for chunk in chunks_in(raw, []):
            choices = chunk.get("choices")
            if not self._head:
                self._head = {name: chunk[name] for name in _HEAD if name in chunk}
            if self._screen.answered:
                for key, text in added(choices):
                    places |= self._feed(key, text, marks)
            finished = self._seen(choices)
            for index in finished:
                places |= self._finished(index)
            if places and self._hit(places, out):
                return True
            self._open.difference_update(finished)
            if self._resources and finished:
                self._add(now)
        self._held.append(Held(raw, tuple(marks), now))
        return False

    def _feed(self, key: tuple[int, str], text: str, marks: list[tuple[Along, Mark]]) -> set[int]:
        """The rules that find something with this piece of a text."""
        along = self._along.get(key)
        if along is None:
            along = self._along[key] = Along(self._screen.answered, self._screen.hold)
        found = along.feed(text)
        marks.append((along, along.mark()))
        return found

    def _seen(self, choices: object) -> list[int]:
        """Notes which choices there are. Those that this chunk finishes."""
        finished = []
        for index, done in _indexes(choices):
            self._open.add(index)
            if done:
                finished.append(index)
        return finished

    def _finished(self, index: int) -> set[int]:
        """A choice is complete: what stands at its texts' ends is certain now."""
        found = [along.close() for (of, _), along in self._along.items() if of == index]
        return set().union(*found)

    def _hit(self, places: set[int], out: list[bytes]) -> bool:
        """Something was found. True: the answer ends here, after what stands in `out`."""
        new = places - self._found
        self._found |= places
        findings = self._screen.answered.findings(new)
        for finding in findings:
            self._note(finding)
        hit = decided(findings)
        if hit is None:
            return False
        self._end(out)
        return True

    def _note(self, finding: Finding) -> None:
        self._noted(finding)
        if finding.resources and finding.resources not in self._resources and finding.action == "flag":
            self._resources.append(finding.resources)

    def _add(self, now: float) -> None:
        """What is added to the answer goes before its end."""
        text = "\n\n" + "\n\n".join(self._resources)
        self._resources.clear()
        self._held.append(Held(self._chunk({"content": text}, 0, None), (), now))

    def _rest(self) -> bool:
        """Nothing more comes. True: what came last is withheld, and the stream has its end."""
        places = set().union(*(along.close() for along in self._along.values()))
        if places and self._hit(places, []):
            return True
        if self._resources and self._head:
            self._add(0.0)
        self._clear()
        out = b"".join(held.raw for held in self._held)
        self._held.clear()
        if out:
            self._inner.push(out)
        return False

    def _ripe(self, out: list[bytes]) -> None:
        """What can no longer be part of anything may go out."""
        held = self._held
        while held and all(along.cleared(mark) for along, mark in held[0].marks):
            out.append(held.popleft().raw)

    def _wait(self, since: float) -> None:
        left = max(since + self._screen.delay - time.monotonic(), 0.001)
        self._timer = asyncio.get_running_loop().call_later(left, self._late)

    def _late(self) -> None:
        """What has waited for as long as it may goes out."""
        self._timer = None
        if self._ended:
            return
        held, out = self._held, []
        until = time.monotonic() - self._screen.delay + 0.001
        while held and held[0].since <= until:
            out.append(held.popleft().raw)
        if out:
            self._inner.push(b"".join(out))
        if held:
            self._wait(held[0].since)

    def _end(self, out: list[bytes]) -> None:
        """The stream ends as a filter ends it."""
        self._ended = True
        self._held.clear()
        self._clear()
        left = sorted(self._open) or [0]
        self._inner.push(b"".join([*out, *(self._chunk({}, index, "content_filter") for index in left)]))
        self._inner.close()
        asyncio.get_running_loop().call_soon(self._stop)

    def _clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _chunk(self, delta: dict[str, Any], index: int, reason: str | None) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _said(raw: bytes) -> tuple[int, str] | None:
    """The usual event: (choice, what it says), where it holds one choice's words and nothing else; else `None`."""
    try:
        chunk = orjson.loads(raw[6:]) if raw.startswith(b"data: {") else None
    except orjson.JSONDecodeError:
        return None
    choices = chunk.get("choices") if type(chunk) is dict else None
    choice = choices[0] if type(choices) is list and len(choices) == 1 else None
    if type(choice) is not dict or choice.get("finish_reason") is not None:
        return None
    delta, index = choice.get("delta"), choice.get("index")
    if type(delta) is not dict or len(delta) != 1 or type(index) is not int:
        return None
    text = delta.get("content")
    return (index, text) if type(text) is str else None


def _indexes(choices: object) -> list[tuple[int, bool]]:
    """The choices of a chunk, and which of them it finishes."""
    found = (one for one in choices if isinstance(one, dict)) if isinstance(choices, list) else ()
    return [(one.get("index") or 0, one.get("finish_reason") is not None) for one in found]


def _withheld(reply: dict[str, Any], hit: Finding) -> bytes:
    message = {"role": "assistant", "content": None, "refusal": WITHHELD.format(hit.category)}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": "content_filter"}
        for index, _ in _indexes(reply.get("choices"))
    ]
    return orjson.dumps({**reply, "choices": choices})


def _with(reply: dict[str, Any], choices: list[Any], text: str) -> bytes:
    """The answer with a text behind its first choice's words."""
    first = choices[0] if choices and isinstance(choices[0], dict) else {}
    said = first.get("message")
    message = said if isinstance(said, dict) else {}
    content = message.get("content")
    if isinstance(content, list):
        longer: object = [*content, {"type": "text", "text": text}]
    else:
        longer = f"{content}\n\n{text}" if content else text
    changed = {**first, "message": {**message, "content": longer}}
    return orjson.dumps({**reply, "choices": [changed, *choices[1:]]})
