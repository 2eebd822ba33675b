"""(Fault x before or after content) -> what the client sees, what health remembers, what is on record.

Expectations are read from the verdict table. All requests run at once against one Wayline; each is a test of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from proxy.core.failure import VERDICTS, Elsewhere, FailureKind, Verdict
from proxy.core.health import Health
from tests.faults.cases import Fault, after, before
from tests.faults.rig import Rig, Row
from tests.faults.talk import Answer
from tests.upstream import Request
from tests.upstream_answers import ok
from tests.upstream_faults import blackhole, refused
from tests.upstream_tls import server_tls

AT_ONCE = 24
GOOD = "Hello there !"


@dataclass(frozen=True)
class Case:
    """One request of the matrix. `key` names its backend, its route and itself."""

    key: str
    fault: Fault
    stream: bool
    alone: bool
    """Without a second target."""
    cut: bool = False
    """The fault comes after content."""


@dataclass
class Seen:
    """What came of a case."""

    got: Answer | BaseException
    """The answer, or why it could not be read."""
    health: Health
    rows: list[Row]
    elsewhere: int
    """Requests that reached the second target."""

    @property
    def answer(self) -> Answer:
        """Raises where it could not be read."""
        if isinstance(self.got, BaseException):
            raise AssertionError("the client could not read it") from self.got
        return self.got


def cases(dead: int = 0, hole: int = 0) -> list[Case]:
    """All of them. `dead` and `hole`: ports at which nobody answers."""
    found: list[Case] = []
    for stream in (False, True):
        for fault in before(stream, refused=dead, blackhole=hole):
            for alone in (False, True):
                found.append(Case(f"c{len(found)}", fault, stream, alone))
    return found + [Case(f"a{n}", fault, True, False, cut=True) for n, fault in enumerate(after())]


def name(case: Case) -> str:
    """As the test's name."""
    return f"{case.fault.name}-{'stream' if case.stream else 'whole'}{'-alone' if case.alone else ''}"


async def prepare(rig: Rig, case: Case) -> None:
    """The case's backend and its route."""
    fault = case.fault
    settings = dict(fault.backend)
    if fault.script is None:
        rig.backend(case.key, **settings)
    else:
        scheme = settings.pop("scheme", "")
        up = await rig.upstream(case.key, fault.script, tls=server_tls() if fault.tls else None, **settings)
        if scheme:
            rig.backends[case.key]["base_url"] = up.base_url.replace("http:", f"{scheme}:")
    rig.route(case.key, case.key, *([] if case.alone else [f"good/{case.key}"]))


async def play_all(directory: Path) -> dict[str, Seen]:
    """Plays every case, and reads the ledger in the end."""
    with refused() as dead, blackhole() as hole:
        todo = cases(dead, hole)
        places = asyncio.Semaphore(AT_ONCE)
        async with Rig(directory) as rig:
            good = await rig.upstream("good", ok(GOOD))
            for case in todo:
                await prepare(rig, case)
            await rig.serve()

            async def play(case: Case) -> Answer:
                async with places:
                    return await rig.chat(case.key, id_=case.key, stream=case.stream)

            answers = await asyncio.gather(*(play(case) for case in todo), return_exceptions=True)
            await rig.stop()
            rows = rig.recorded()
            return {
                case.key: Seen(answer, rig.health(case.key), rows.get(case.key, []), asked(good.requests, case.key))
                for case, answer in zip(todo, answers, strict=True)
            }


def asked(requests: list[Request], key: str) -> int:
    """Requests at the second target that were for this case."""
    return sum(request.json["model"] == key for request in requests)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    """What came of each case."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run(play_all(tmp_path_factory.mktemp("matrix")))


CASES = cases()
NAMES_A_TIME = ("429", "429 whose body never comes", "503 whose body breaks off")
"""Faults with `Retry-After: 7`."""
BEFORE = [pytest.param(case, id=name(case)) for case in CASES if not case.cut]
AFTER = [pytest.param(case, id=name(case)) for case in CASES if case.cut]


def kind_of(case: Case, row: Row) -> FailureKind:
    """The kind on record, which is one of those that the case allows."""
    assert row.failure is not None
    kind = FailureKind(row.failure)
    assert kind in case.fault.kinds
    return kind


@pytest.mark.parametrize("case", BEFORE)
def test_before_content(case: Case, seen: dict[str, Seen]) -> None:
    """Silently the second target's whole answer where the table says "elsewhere", else the table's status and code."""
    what = seen[case.key]
    kind = kind_of(case, what.rows[0])
    verdict = VERDICTS[kind]
    if verdict.elsewhere is Elsewhere.YES and not case.alone:
        second_answered(case, what)
    else:
        refused_with(case, what, kind)
    first_on_record(case, what.rows[0], verdict)
    remembered(case, what, kind)


def second_answered(case: Case, what: Seen) -> None:
    """The client has the second target's answer, whole, and nothing of the first's."""
    answer = what.answer
    assert (answer.status, answer.whole) == (200, True)
    assert answer.said() == (GOOD.replace(" ", "") if case.stream else GOOD)
    assert not case.stream or answer.done
    assert b"error" not in answer.body
    assert answer.headers["x-wayline-target"] == f"good/{case.key}"
    assert answer.headers["x-wayline-attempts"] == "2"
    assert what.elsewhere == 1
    (_, row) = what.rows
    assert (row.attempt, row.ended, row.failure, row.target) == (2, "served", None, f"good/{case.key}")
    assert (row.input, row.output, row.usage_source) == (7, 3, "reported")
    assert row.cost is not None and Decimal(row.cost) == Decimal("0.000013")


def refused_with(case: Case, what: Seen, kind: FailureKind) -> None:
    """The client has an error in OpenAI's shape, and no second target was bothered."""
    answer, verdict = what.answer, VERDICTS[kind]
    as_given = case.fault.name in ("413", "422")
    assert answer.status == (int(case.fault.name) if as_given else verdict.status)
    assert answer.headers["content-type"] == "application/json"
    assert answer.whole
    error = answer.error
    assert error["message"]
    assert error["code"] == verdict.code
    if not kind_is_the_requests(kind):
        assert error["type"] == verdict.type
    assert "127.0.0.1" not in error["message"] and "key-of" not in error["message"]
    assert answer.headers["x-wayline-attempts"] == "1"
    assert what.elsewhere == 0 and len(what.rows) == 1
    if verdict.status in (429, 503) and what.health.cool_until:
        assert answer.headers.get("retry-after") == ("7" if case.fault.name in NAMES_A_TIME else None)


def kind_is_the_requests(kind: FailureKind) -> bool:
    """The error speaks of the request itself: then the upstream's own type is handed on."""
    return VERDICTS[kind].status == 400


def first_on_record(case: Case, row: Row, verdict: Verdict) -> None:
    """A failed attempt costs nothing that is known, and says so where it may be billed all the same."""
    assert (row.attempt, row.ended, row.target, row.route) == (1, "failed", f"{case.key}/m", case.key)
    assert bool(row.maybe_billed) == verdict.maybe_billed
    assert row.first_content is None
    if case.fault.reported is None:
        assert (row.usage_source, row.input, row.output, row.cost) == ("absent", None, None, None)
    else:
        assert (row.usage_source, row.input, row.output) == ("reported", *case.fault.reported)
        assert row.cost is not None


def remembered(case: Case, what: Seen, kind: FailureKind) -> None:
    """The target's health: it counts or it does not, it cools or it does not."""
    verdict, health = VERDICTS[kind], what.health
    assert health.in_a_row == int(verdict.counts)
    assert not health.opened
    cools = 7.0 if case.fault.name in NAMES_A_TIME else verdict.cooldown
    assert health.cool_until - health.cooled_at == pytest.approx(cools)
    assert health.cause is (kind if cools else None)


@pytest.mark.parametrize("case", AFTER)
def test_after_content(case: Case, seen: dict[str, Seen]) -> None:
    """The client keeps what it had, and is told in the stream: no other target's words, no end that looks clean."""
    what = seen[case.key]
    kind = kind_of(case, what.rows[0])
    verdict = VERDICTS[kind]
    answer = what.answer
    assert (answer.status, answer.whole, answer.done) == (200, True, False)
    *before_it, last_event = answer.chunks
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in before_it)
    assert said == ("w0 w1 " if case.fault.name.startswith(("error event", "overloaded")) else "Hello")
    assert all("error" not in chunk for chunk in before_it)
    error = last_event["error"]
    assert (error["type"], error["code"]) == (verdict.type, verdict.code)
    assert set(error) >= {"message", "type", "code", "param"} and error["message"]
    assert answer.headers["x-wayline-target"] == f"{case.key}/m"
    assert what.elsewhere == 0
    (row,) = what.rows
    assert (row.attempt, row.ended, row.status) == (1, "cut", 200)
    assert row.usage_source == "estimated" and row.input and row.output
    assert row.cost is not None and Decimal(row.cost) > 0
    assert bool(row.maybe_billed) == verdict.maybe_billed
    assert what.health.in_a_row == int(verdict.counts)
