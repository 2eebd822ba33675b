"""Asks targets now and then whether they are up, while nobody else asks them anything (`probe:`).

Several failed probes in a row open a target's circuit, several good ones close it again, however it came to be open.
What a probe learns of a rate limit is neither. There is one call at a time for each thing that is asked, by one of
all workers, so that a server that hangs costs one connection.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

import orjson

from proxy.backends.asking import Asking, asking, judged
from proxy.config.values import Config
from proxy.core import attempt as machine
from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.credential import Credential
from proxy.core.failure import VERDICTS, Blame, Failure, FailureKind
from proxy.core.outcome import Ended
from proxy.core.route import Target
from proxy.core.vitals.policy import Probe
from proxy.core.vitals.probing import Counts, probed
from proxy.engine.account import outcome_of
from proxy.engine.bulletin import Bulletin
from proxy.engine.engine import Engine
from proxy.engine.events import Events
from proxy.engine.lane import Lane, Road
from proxy.engine.sounding import Sounding, road_to
from proxy.engine.vitals import Vitals
from proxy.net.whole import Whole

AT_ONCE = 16
"""Probes under way at most."""
WITHIN = 10.0
"""Seconds for the answer to a call for nothing."""
TINY_WITHIN = 60.0
"""Seconds for a few tokens."""
TOKENS = 16
"""The fewest that every provider takes as a bound."""
SPREAD = 0.2
_MAX_BODY = 64 * 1024
K = FailureKind

Said = tuple[bool | None, FailureKind | None]
"""It is up, or it is not and why; `None`: that is not known."""


class Subject(NamedTuple):
    """What one probe is of: of one model, or of a backend and so of all its targets that are probed alike."""

    name: str
    targets: tuple[str, ...]
    probe: Probe
    asking: Asking | None = None
    credential: Credential | None = None
    road: Road | None = None
    """To the target that a tiny completion is asked of."""

    @property
    def key(self) -> str:
        """What is asked, to all workers: those of another configuration may ask something else by this name."""
        at = None if self.asking is None else self.asking.at
        return f"{self.name} {tuple(self.probe)} {at}"


class Probing(Sounding):
    """A tiny request of a probe: on record with its cost, and nothing else learns from it."""

    endpoint = "probe"

    def _record(self, command: machine.Record) -> None:
        number, ended, failure = command
        attempt = self._live.pop(number)
        attempt.lane.leave()
        outcome = outcome_of(self, attempt, ended, failure, time.monotonic())
        self.engine.ledger.record(outcome)
        if self.engine.admission is not None:
            self.engine.admission.settle(self, number, outcome)
        self._spent = self._last_cost = outcome.cost

    def _over(self, ended: Ended, failure: Failure | None, status: int) -> None:
        """As of any exchange, but no caller's request has ended: nobody observes it."""
        attempt, self._attempt = self._attempt, None
        self.engine.leave(self)
        if self.engine.admission is not None:
            self.engine.admission.leave(self)
        self._sounded(attempt, ended, failure, self._spent)


class Probes:
    """One for each process. `adopt` says what is probed; `close` ends it."""

    def __init__(
        self,
        engine: Engine,
        vitals: Vitals,
        events: Events,
        idle: Callable[[], bool] = lambda: False,
        bulletin: Bulletin | None = None,
    ) -> None:
        """`idle`: nothing is to be probed now (the process drains). `bulletin`: what other workers have found."""
        self.counted: dict[tuple[str, str], int] = {}
        """Probes by target and what they said: `ok`, `failed`, `unclear`."""
        self._engine = engine
        self._vitals = vitals
        self._events = events
        self._idle = idle
        self._counts: dict[str, Counts] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._places = asyncio.Semaphore(AT_ONCE)
        self._bulletin = bulletin
        self._subjects: dict[str, Subject] = {}

    def adopt(self, subjects: Iterable[Subject]) -> None:
        """These are probed from now on; what is under way is given up."""
        for task in self._tasks:
            task.cancel()
        wanted = list(subjects)
        names = {name for subject in wanted for name in subject.targets}
        self._counts = {name: counts for name, counts in self._counts.items() if name in names}
        loop = asyncio.get_running_loop()
        self._subjects = {subject.key: subject for subject in wanted}
        self._tasks = [loop.create_task(self._go_on(subject)) for subject in wanted]

    def refresh(self) -> None:
        """Hear what other workers have found. To be called about once a second."""
        for key, ok, cause, seconds, times in () if self._bulletin is None else self._bulletin.news():
            subject = self._subjects.get(key)
            if subject is not None:
                for _ in range(min(times, max(subject.probe.healthy_after, subject.probe.unhealthy_after))):
                    self._heard(subject, ok, cause, seconds)

    async def close(self) -> None:
        """No more of it."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _go_on(self, subject: Subject) -> None:
        every = subject.probe.every
        await asyncio.sleep(every * random.uniform(0.5, 1.0))
        while True:
            if not self._idle() and self._is_due(subject):
                async with self._places:
                    await self._probe(subject)
            await asyncio.sleep(every * random.uniform(1 - SPREAD, 1 + SPREAD))

    async def _probe(self, subject: Subject) -> None:
        bulletin, key, began = self._bulletin, subject.key, time.monotonic()
        if bulletin is not None:
            longest = 2 * (WITHIN if subject.asking is not None else TINY_WITHIN)
            if not bulletin.claim(key, subject.probe.every * (1 - SPREAD), longest, began):
                return
            self.refresh()  # what others found before comes before what we find
        told = False
        try:
            ok, cause = await self._ask(subject)
            now = time.monotonic()
            if bulletin is not None:
                bulletin.tell(key, ok, cause, now - began, now)
            told = True
        finally:
            if bulletin is not None and not told:
                bulletin.leave(key)
        word = "unclear" if ok is None else "ok" if ok else "failed"
        for name in subject.targets:
            self.counted[name, word] = self.counted.get((name, word), 0) + 1
        self._heard(subject, ok, cause, now - began)

    def _is_due(self, subject: Subject) -> bool:
        """Nobody else tells how it is: none of it was heard of lately, or some of it is in doubt."""
        trouble, now = self._engine.trouble, time.time()
        for name in subject.targets:
            if self._counts.get(name, Counts()).bad or (name in trouble and trouble[name].opened):
                return True
        heard = (self._vitals.known[name].last for name in subject.targets if name in self._vitals.known)
        return max(heard, default=0.0) < now - subject.probe.every

    async def _ask(self, subject: Subject) -> Said:
        if subject.asking is not None:
            return await self._ask_for_nothing(subject, subject.asking)
        assert subject.road is not None
        (target,) = subject.road.route.targets
        probing = Probing(self._engine, subject.road, tiny(target), f"probe-{uuid4().hex[:20]}")
        probing.start()
        try:
            async with asyncio.timeout(TINY_WITHIN):
                sounded = await probing.done
        except TimeoutError:
            return False, K.FIRST_TIMEOUT
        finally:
            if not probing.over:
                probing.gone()
        if sounded.ended is Ended.SERVED:
            return True, None
        return of_failure(sounded.failure)

    async def _ask_for_nothing(self, subject: Subject, asking: Asking) -> Said:
        call: HttpCall | Failure = asking.call
        if subject.credential is not None:
            signed = subject.credential.sign(asking.call)
            call = signed if isinstance(signed, HttpCall) else await signed
        if isinstance(call, Failure):
            return of_failure(call)
        answer = Whole(_MAX_BODY)
        flight = self._engine.net.send(asking.at, call, answer, connect=WITHIN)
        try:
            async with asyncio.timeout(WITHIN):
                failure = await answer.ended
        except TimeoutError:
            return False, K.FIRST_TIMEOUT
        finally:
            flight.abort()
        return of_failure(failure) if answer.status == 0 else judged(answer.status, health=asking.health)

    def _heard(self, subject: Subject, ok: bool | None, cause: FailureKind | None, seconds: float) -> None:
        """What follows for each of its targets."""
        now = time.monotonic()
        for name in subject.targets if ok is not None else ():
            before, probe = self._counts.get(name, Counts()), subject.probe
            moved = probed(
                before, ok=bool(ok), healthy_after=probe.healthy_after, unhealthy_after=probe.unhealthy_after
            )
            self._counts[name] = moved.counts
            if moved.out:
                self._engine.found(name, cause or K.SERVER_ERROR, now, random.random())
            elif moved.back:
                self._engine.found(name, None, now)
            if not ok or before.bad:
                more = {} if cause is None else {"cause": cause.value}
                self._events.tell("probe", target=name, ok=ok, ms=round(seconds * 1000), **more)


def of_failure(failure: Failure | None) -> Said:
    """What a call's failure says of its target."""
    if failure is None:
        return False, K.EMPTY_REPLY
    verdict = VERDICTS[failure.kind]
    bad = verdict.counts or (verdict.blame is Blame.CONFIG and failure.kind is not K.QUOTA)
    return (False if bad else None), failure.kind


def tiny(target: Target) -> ChatRequest | EmbedRequest:
    """The least that can be asked of a model."""
    if target.ability.can("embeddings"):
        vectors = {"model": target.model, "input": "?"}
        return EmbedRequest(orjson.dumps(vectors), vectors, target.model, False)
    chat = {"model": target.model, "messages": [{"role": "user", "content": "Say: yes"}], "max_tokens": TOKENS}
    return ChatRequest(orjson.dumps(chat), chat, target.model, False, False)


def subjects(config: Config, lanes: Mapping[str, tuple[str, Lane]]) -> Iterator[Subject | str]:
    """What a configuration wants probed; a text is a target that cannot be, and why. `lanes`: by target, with the route
    in whose name it is asked."""
    shared: dict[tuple[str, Probe], list[str]] = {}
    for name, (route, lane) in lanes.items():
        probe = lane.target.probe
        if probe is None:
            continue
        if probe.by == "models":
            shared.setdefault((lane.target.backend, probe), []).append(name)
        else:
            yield Subject(name, (name,), probe, road=road_to(lane, route))
    for (backend, probe), names in shared.items():
        found = None
        with suppress(ValueError):  # its targets would not have been bound
            found = asking(config.backends[backend])
        if found is None:
            yield f"{backend} has nothing that could be asked for nothing: `probe: {{with: tiny_completion}}`"
        else:
            lane = lanes[names[0]][1]
            yield Subject(backend, tuple(sorted(names)), probe, found, lane.credential)
