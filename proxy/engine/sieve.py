"""A `Caller` before the client's: what the route's screen finds in an answer does not go out, nor what follows it.

Of a stream only that is held back which may be the beginning of something: the letters of a term that has begun, and
for patterns the last `hold` characters; never for longer than `delay`. What a moderation has not judged is held too.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from proxy.core.failure import Failure
from proxy.core.screen.along import Along, Alongs, Mark
from proxy.core.screen.policy import Screen
from proxy.core.screen.rule import Finding, decided
from proxy.core.screen.shapes import event, head_of, indexes, said, with_text, withheld
from proxy.core.screen.texts import Piece, added, answered
from proxy.engine.caller import Caller, Won
from proxy.engine.moderating import Findings, Verdicts
from proxy.inbound.chunks import chunks_in, completion_in

CROWD = 1024 * 1024
"""Bytes that wait for a verdict, beyond which the upstream is not read."""
_NOTHING = Screen()


class Held(NamedTuple):
    """An event that may not go out yet."""

    raw: bytes
    marks: tuple[tuple[Along, Mark], ...]
    """Where each of its texts ended with it."""
    heard: int
    """Characters that a moderation has to judge before."""
    since: float
    """Since when it waits."""
    ends: bool
    """It finishes a choice."""


class Steps(NamedTuple):
    """What a sieve has done by whoever it works for."""

    noted: Callable[[Finding], None]
    """Is told of each finding."""
    stop: Callable[[], None]
    """Nothing more of the answer is wanted."""
    ready: Callable[[], None]
    """More can be taken again."""
    ask: Callable[[list[str]], Awaitable[Findings]] | None
    """What moderations find in these texts; `None`: there is none."""
    adds: bool = True
    """Texts may be added to it: it has no given form."""


class Sieve:
    """For one answer. `resources`: texts that are added to it."""

    __slots__ = (
        *("_along", "_crowd", "_crowded", "_ended", "_found", "_head", "_held", "_hit", "_inner", "_open", "_reply"),
        *("_resources", "_screen", "_seen", "_steps", "_then", "_timer", "_verdicts"),
    )

    def __init__(self, inner: Caller, screen: Screen | None, resources: Iterable[str], steps: Steps) -> None:
        self._inner = inner
        self._screen = screen or _NOTHING
        self._resources = list(dict.fromkeys(one for one in resources if one))
        self._steps = steps
        self._verdicts = None if steps.ask is None else Verdicts(steps.ask, self._judged)
        self._along = Alongs(self._screen.answered, self._screen.hold)
        self._found: set[int] = set()
        self._seen: set[Finding] = set()
        """What moderations found: the same words are judged more than once."""
        self._held: deque[Held] = deque()
        self._crowd = 0
        """Bytes of it."""
        self._crowded = False
        self._head: dict[str, Any] = {}
        """What all chunks of the answer have."""
        self._open: set[int] = set()
        """Choices that were begun and are not finished."""
        self._reply: dict[str, Any] = {}
        """A whole answer."""
        self._hit: Finding | None = None
        """By what it is withheld."""
        self._ended = False
        self._then: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def settle(self, body: bytes | None, then: Callable[[], None]) -> None:
        """Nothing more comes, or this whole answer: once it is clear what of it may go out, `then` is called."""
        self._then = then
        if body is not None:
            self._look(body)
        if self._verdicts is not None:
            self._verdicts.hurry()
        self._settled()

    def stop(self) -> None:
        """Nobody wants the answer any more."""
        self._ended, self._then = True, None
        self._held.clear()
        self._clear()
        if self._verdicts is not None:
            self._verdicts.stop()

    def _settled(self) -> None:
        then = self._then
        if then is not None and (self._ended or self._hit or self._verdicts is None or self._verdicts.settled):
            self._then = None
            then()

    def _judged(self, findings: Findings) -> None:
        """A verdict on what has come so far."""
        if self._ended:
            return
        new = [finding for finding in dict.fromkeys(findings) if finding not in self._seen]
        self._seen.update(new)
        hit = self._weigh(new)
        if hit is not None and not self._reply:
            self._end([])
        else:
            self._let_go()
        self._settled()

    def _weigh(self, findings: Iterable[Finding]) -> Finding | None:
        """Notes what was found. The one by which the answer is withheld."""
        steps, findings = self._steps, tuple(findings)
        for finding in findings:
            steps.noted(finding)
            new = finding.resources and finding.resources not in self._resources
            if new and steps.adds and finding.action == "flag":
                self._resources.append(finding.resources)
        hit = decided(findings)
        self._hit = self._hit or hit
        return hit

    # A whole answer ----------------------------------------------------------------------------------------------

    def _look(self, body: bytes) -> None:
        self._reply = completion_in(body)
        choices = self._reply.get("choices")
        if self._weigh(self._screen.answered.found(answered(choices))) is None and self._verdicts is not None:
            for place, text in enumerate(answered(choices)):
                self._verdicts.feed((place, ""), text)

    def whole(self, body: bytes, won: Won) -> None:
        choices = self._reply.get("choices")
        if self._hit is not None:
            self._inner.whole(withheld(self._reply, self._hit), won)
        elif self._resources and isinstance(choices, list):
            self._inner.whole(with_text(self._reply, choices, "\n\n".join(self._resources)), won)
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
            self._ripe(now, out)
        if self._held and self._timer is None:
            self._wait()
        taken = self._inner.push(b"".join(out)) if out else True
        self._crowded = self._crowd > CROWD and self._verdicts is not None
        return taken and not self._crowded

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
        usual = said(raw) if self._head and self._screen.answered else None
        if usual is None:
            return self._take_any(raw, now, out)
        index, text = usual
        self._open.add(index)
        marks: list[tuple[Along, Mark]] = []
        found = self._feed(((index, "content"), text), marks)
        if found and self._caught(found, out):
            return True
        self._hold(raw, marks, now, ends=False)
        return False

    def _take_any(self, raw: bytes, now: float, out: list[bytes]) -> bool:
        marks: list[tuple[Along, Mark]] = []
        places: set[int] = set()
        ends = False
        for chunk in chunks_in(raw, []):
            choices = chunk.get("choices")
            if not self._head:
                self._head = head_of(chunk)
            if self._screen.answered:
                for piece in added(choices):
                    places |= self._feed(piece, marks)
            finished = self._begun(choices)
            for index in finished:
                places |= self._along.finish(index)
            if places and self._caught(places, out):
                return True
            self._open.difference_update(finished)
            ends = ends or bool(finished)
        self._hold(raw, marks, now, ends=ends)
        if ends and not self._open and self._verdicts is not None:
            self._verdicts.hurry()
        return False

    def _hold(self, raw: bytes, marks: list[tuple[Along, Mark]], now: float, *, ends: bool) -> None:
        heard = 0 if self._verdicts is None else self._verdicts.heard
        self._held.append(Held(raw, tuple(marks), heard, now, ends))
        self._crowd += len(raw)

    def _feed(self, piece: Piece, marks: list[tuple[Along, Mark]]) -> set[int]:
        """The rules that find something with this piece of a text."""
        key, text = piece
        along, found = self._along.feed(key, text)
        marks.append((along, along.mark()))
        if self._verdicts is not None:
            self._verdicts.feed(key, text)
        return found

    def _begun(self, choices: object) -> list[int]:
        """Notes which choices there are. Those that this chunk finishes."""
        finished = []
        for index, done in indexes(choices):
            self._open.add(index)
            if done:
                finished.append(index)
        return finished

    def _caught(self, places: set[int], out: list[bytes]) -> bool:
        """Something was found. True: the answer ends here, after what stands in `out`."""
        new = places - self._found
        self._found |= places
        if self._weigh(self._screen.answered.findings(new)) is None:
            return False
        self._end(out)
        return True

    def _added(self) -> bytes:
        """What is added to the answer goes before its end."""
        text = "\n\n" + "\n\n".join(self._resources)
        self._resources.clear()
        return event(self._head, {"content": text}, 0, None)

    def _rest(self) -> bool:
        """Nothing more comes, and what is not judged by now is given up. True: what came last is withheld, and the
        stream has its end."""
        places = self._along.close()
        if places and self._caught(places, []):
            return True
        self._clear()
        out: list[bytes] = []
        while self._held and self._is_judged(self._held[0]):
            self._pop(out)
        self._held.clear()
        if self._resources and self._head:
            out.append(self._added())
        if out:
            self._inner.push(b"".join(out))
        return False

    def _pop(self, out: list[bytes]) -> None:
        one = self._held.popleft()
        self._crowd -= len(one.raw)
        if one.ends and self._resources:
            out.append(self._added())
        out.append(one.raw)

    def _ripe(self, now: float, out: list[bytes]) -> None:
        """What can no longer be part of anything may go out, and what has waited for as long as it may."""
        held = self._held
        late = now - self._screen.delay + 0.001
        while held:
            one = held[0]
            if not self._is_judged(one):
                return
            if one.since > late and not all(along.cleared(mark) for along, mark in one.marks):
                return
            self._pop(out)

    def _is_judged(self, one: Held) -> bool:
        return self._verdicts is None or self._verdicts.cleared(one.heard)

    def _wait(self) -> None:
        first = self._held[0]
        if self._is_judged(first):
            left = max(first.since + self._screen.delay - time.monotonic(), 0.001)
            self._timer = asyncio.get_running_loop().call_later(left, self._late)

    def _late(self) -> None:
        self._timer = None
        if not self._ended:
            self._let_go()

    def _let_go(self) -> None:
        """By now more may go out than when it came."""
        out: list[bytes] = []
        self._ripe(time.monotonic(), out)
        taken = self._inner.push(b"".join(out)) if out else True
        if self._held and self._timer is None:
            self._wait()
        if self._crowded and self._crowd <= CROWD and taken:
            self._crowded = False
            self._steps.ready()

    def _end(self, out: list[bytes]) -> None:
        """The stream ends as a filter ends it."""
        self._ended = True
        self._held.clear()
        self._clear()
        if self._verdicts is not None:
            self._verdicts.stop()
        left = sorted(self._open) or [0]
        self._inner.push(b"".join([*out, *(event(self._head, {}, index, "content_filter") for index in left)]))
        self._inner.close()
        asyncio.get_running_loop().call_soon(self._steps.stop)

    def _clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
