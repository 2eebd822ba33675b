"""One scenario, and the stage that it is played on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.faults import caller, sdk, story
from bench.faults.caller import PATIENT, Ways
from bench.faults.heard import Heard
from bench.faults.plays import Saying
from bench.faults.profile import Profile
from bench.faults.speaker import Speaker, exact
from bench.faults.verdict import Findings, Wanted
from bench.faults.voice import Voice
from tests.upstream import Script, Upstream
from tests.upstream_steps import Behaviour

PRIMARY, FALLBACK, ELSEWHERE = "m-of-the-primary", "m-of-the-fallback", "m-of-another-origin"
SLACK = 0.15
"""Where the usage of a cut part can only be estimated."""

Make = Callable[[Profile, Voice], Script]


Run = Callable[["Stage"], Awaitable[Findings]]


def well(profile: Profile, voice: Voice) -> Script:
    """A backend that is well."""
    return Speaker(voice)


@dataclass(frozen=True)
class Case:
    """One scenario. `seen_by` is the side that must see what is promised."""

    id: str
    title: str
    run: Run
    primary: Make
    fallback: Make = well
    seen_by: str = "client"
    route: Callable[[Profile], Mapping[str, Any]] = lambda _: {}
    """Keys of the route beyond its targets and the method's own."""
    prefill: bool | None = True
    """Whether the configuration says that the fallback continues a partial answer; the primary's is not known."""
    lane: str = "errors"
    """Cases of one lane are played one after the other, by one gateway; lanes at the same time, `alone` after all."""

    @property
    def slug(self) -> str:
        """As part of names."""
        return self.id.lower().replace("/", "-")


@dataclass
class Stage:
    """A case under way: the gateway's port, the upstreams, and what was heard."""

    case: Case
    profile: Profile
    directory: Path
    port: int
    primary: Upstream
    fallback: Upstream
    elsewhere: Upstream
    """Of another origin: nothing is ever sent there."""
    heard: list[Heard] = field(default_factory=list)

    async def ask(self, n: int = 0, *, ways: Ways = PATIENT, alone: bool = False, port: int = 0, **more: Any) -> Heard:
        """A streamed call for story `n`; `alone`: by the route that has the fallback only."""
        body = self.body(n, alone=alone) | more
        if not body["stream"]:
            del body["stream_options"]
        heard = await caller.call(port or self.port, body, patience=self.profile.patience, ways=ways)
        self.heard.append(heard)
        return heard

    async def ask_by_sdk(self, n: int = 0) -> Heard:
        """The same by the openai SDK, with its own two retries."""
        heard = await sdk.call(self.port, self.body(n), patience=self.profile.patience)
        self.heard.append(heard)
        return heard

    def body(self, n: int, *, alone: bool = False) -> dict[str, Any]:
        """The request for story `n`."""
        return {
            "model": f"{self.case.slug}.alone" if alone else self.case.slug,
            "messages": [
                {"role": "system", "content": story.TASTE},
                {"role": "user", "content": story.question(n)},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def wanted(self, *models: str, n: int = 0, continued: bool = False) -> Wanted:
        """The right answer to question `n`, from any of these models."""
        text = story.story(n)
        return Wanted(text, self.count(n, text), models, SLACK if continued else 0.0)

    def wanted_call(self, *models: str, n: int = 0) -> Wanted:
        """The right tool call."""
        arguments = story.arguments(n)
        return Wanted("", self.count(n, arguments), models, SLACK, arguments)

    def count(self, n: int, text: str) -> story.Count:
        """The tokens of question `n` and this answer."""
        return story.Count(story.prompt_tokens(self.body(n)), story.counted([text]))

    def times(self, up: Upstream) -> list[float]:
        """When requests came to an upstream, in seconds from the first call."""
        began = self.heard[0].began if self.heard else 0.0
        return [round(request.time - began, 3) for request in up.requests]

    def asked(self) -> int:
        """Requests that came to any of the upstreams."""
        return self.primary.asked + self.fallback.asked + self.elsewhere.asked

    def rows(self) -> list[dict[str, Any]]:
        """The ledger's rows of this case so far, in the order of their coming in."""
        path = self.directory / "ledger.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path)) as ledger:
            ledger.row_factory = sqlite3.Row
            found = ledger.execute("SELECT * FROM attempts WHERE route = ? ORDER BY id", (self.case.slug,))
            return [dict(row) for row in found]


def cut_at(share: float) -> int:
    """Characters of story 0 up to some share of it."""
    return int(len(story.story(0)) * share)


def cutting(*cuts: int | None, how: Any = "close") -> Make:
    """A backend that breaks its streams off after so many characters."""
    return lambda profile, voice: Speaker(voice, cuts=cuts, how=how)


def speaking(**manners: Any) -> Make:
    """A backend that goes on in some manner: see `Speaker`."""
    return lambda profile, voice: Speaker(voice, **{"prefill": exact, **manners})


def always(behaviour: Behaviour) -> Make:
    """A backend that does nothing else."""
    return lambda profile, voice: behaviour


def once(behaviour: Behaviour) -> Make:
    """A backend that does this once and then is well."""
    return lambda profile, voice: [behaviour, Speaker(voice)]


def saying(say: Saying) -> Make:
    """A backend that always says its right answer in this way."""
    return lambda profile, voice: Speaker(voice, say=lambda *what: say(profile, *what))
