"""Plays the cases: lanes at the same time, each with a gateway of its own; the cases of a lane one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from bench import process
from bench.faults import sdk
from bench.faults.case import FALLBACK, PRIMARY, Case, Stage
from bench.faults.gateway import Cast, serving
from bench.faults.heard import Heard
from bench.faults.profile import Profile
from bench.faults.speaker import Speaker
from bench.faults.verdict import Finding, Findings, Verdict, fail, worst
from bench.faults.voice import Voice
from tests.upstream import Script, Upstream
from tests.upstream_answers import error

ALONE = "alone"
"""The lane of what measures milliseconds: after all others."""
CEILING = 240.0
"""Seconds after which a case has failed, whatever it is waiting for."""


@dataclasses.dataclass(frozen=True)
class Played:
    """One case's result, with the evidence."""

    case: Case
    findings: tuple[Finding, ...]
    attempts: dict[str, list[float]]
    """When requests came to each upstream, in seconds from the first call."""
    heard: tuple[Heard, ...]
    rows: tuple[dict[str, Any], ...]
    """Of the ledger."""
    took: float

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(self.findings)


async def play(
    cases: Sequence[Case], profile: Profile, directory: Path, told: Callable[[Played], None]
) -> list[Played]:
    """All cases, in their order; `told` gets each as soon as it is over."""
    sdk.warm()
    lanes: dict[str, list[Case]] = {}
    for case in cases:
        lanes.setdefault(case.lane, []).append(case)
    last = {name: lanes.pop(name) for name in (ALONE,) if name in lanes}
    cores = process.cores()
    played: dict[str, Played] = {}

    async def lane(name: str, own: Sequence[Case], core: int, ready: asyncio.Barrier) -> None:
        where = directory / name
        where.mkdir(parents=True)
        async for each in _lane(own, profile, where, core, ready):
            played[each.case.id] = each
            told(each)

    ready = asyncio.Barrier(max(len(lanes), 1))  # a gateway that starts takes a core: nothing is played meanwhile
    async with asyncio.TaskGroup() as group:
        for at, (name, own) in enumerate(lanes.items()):
            group.create_task(lane(name, own, cores[at % 2], ready))
    for name, own in last.items():
        await lane(name, own, cores[0], asyncio.Barrier(1))
    return [played[case.id] for case in cases]


async def _lane(
    cases: Sequence[Case], profile: Profile, directory: Path, core: int, ready: asyncio.Barrier
) -> AsyncIterator[Played]:
    async with contextlib.AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(Upstream(error(500, "nobody should be here")))
        cast: list[Cast] = []
        scripts: list[tuple[Script, Script]] = []
        for case in cases:
            voices = [Voice(PRIMARY, "chatcmpl-a", other=elsewhere.base_url), Voice(FALLBACK, "chatcmpl-b")]
            scripts.append((case.primary(profile, voices[0]), case.fallback(profile, voices[1])))
            first, second = [await stack.enter_async_context(Upstream(script)) for script in scripts[-1]]
            cast.append(Cast(case, first, second, elsewhere))
        port, child = await stack.enter_async_context(serving(cast, profile, directory, core))
        await ready.wait()
        for each, both in zip(cast, scripts, strict=True):
            stage = Stage(each.case, profile, directory, port, each.primary, each.fallback, elsewhere)
            yield await _one(stage, both, child)


async def _one(stage: Stage, scripts: tuple[Script, Script], child: subprocess.Popen[bytes]) -> Played:
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with asyncio.timeout(CEILING):
            findings = await stage.case.run(stage)
    except TimeoutError:
        findings = fail(f"the scenario is not over after {CEILING:.0f} s")
    findings += _upstreams(stage, scripts)
    if child.poll() is not None:
        findings += fail(f"the gateway ended with status {child.returncode}")
    attempts = {"primary": stage.times(stage.primary), "fallback": stage.times(stage.fallback)}
    unlike = tuple(dict.fromkeys(findings))
    return Played(stage.case, unlike, attempts, tuple(stage.heard), tuple(stage.rows()), clock() - began)


def _upstreams(stage: Stage, scripts: tuple[Script, Script]) -> Findings:
    """What the upstreams themselves complain of."""
    found: Findings = []
    for up in (stage.primary, stage.fallback):
        found += [Finding(Verdict.FAIL, f"an upstream could not read its request: {error!r}") for error in up.errors]
        up.errors.clear()
    for script in scripts:
        for each in script if isinstance(script, list) else [script]:
            if isinstance(each, Speaker):
                found += [Finding(Verdict.FAIL, said) for said in each.surprises]
    return found
