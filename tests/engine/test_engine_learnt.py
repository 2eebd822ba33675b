"""What choices have learnt outlives the process, and is as old after a restart as it is."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from proxy.core.choice.bandit import Trials, counted, rewarded
from proxy.core.choice.measured import FRESH, measure
from proxy.core.choice.policy import Group, Member, Policy, Ucb
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.route import Route
from proxy.engine.choices import Choices
from proxy.engine.learnt import MEASURED, TRIALS, Learnt
from proxy.state.state import State
from tests.core.choice.choices import outcome, target

UCB = Ucb(window=1200.0)
A, B = target("a/m"), target("b/m")
ROUTES = {"chat": Route("chat", (A, B), policy=Policy(Group("", (Member("a/m"), Member("b/m")), "ucb"), ucb=UCB))}


def state(path: Path) -> State:
    return State(path / "state.db", lambda level, name, /, **fields: pytest.fail(f"{level} {name} {fields}"))


def learn(choices: Choices, now: float) -> None:
    """A target that serves in 0.3 s and one that fails, tried forty times within ten minutes."""
    known = choices.trials.setdefault("chat", {})
    for place in range(40):
        at = now - 600 + 15 * place
        choices.measured["a/m"] = measure(choices.measured.get("a/m", FRESH), outcome(first=0.3), at)
        known["a/m"] = rewarded(known.get("a/m", Trials()), 0.9, at, UCB.window)
    failed = outcome(Ended.FAILED, failure=FailureKind.RESET)
    choices.measured["b/m"] = measure(FRESH, failed, now)
    known["b/m"] = rewarded(Trials(), 0.0, now, UCB.window)


def test_after_a_restart_all_is_known_and_as_much_older_as_it_took(tmp_path: Path) -> None:
    async def story() -> None:
        before, after = Choices(), Choices()
        learn(before, 5000.0)
        kept = state(tmp_path)
        Learnt(before, kept).save(ROUTES, now=5000.0, wall=1.7e9)
        await kept.written()
        # The machine starts anew, and its clock with it; five minutes have passed.
        Learnt(after, kept).load(ROUTES, now=20.0, wall=1.7e9 + 300)
        first = before.measured["a/m"].first
        assert after.measured["a/m"].first == first
        assert after.measured["a/m"].at == pytest.approx(20.0 - 300 - 15)
        assert before.measured["b/m"].failing(5001.0) and not after.measured["b/m"].failing(20.0)
        assert after.measured["b/m"].in_a_row == 1
        count, worth = counted(before.trials["chat"]["a/m"], 5300.0, UCB.window)
        again, same = counted(after.trials["chat"]["a/m"], 20.0, UCB.window)
        assert abs(again - count) <= 7 and same / again == pytest.approx(worth / count)
        late = Choices()
        Learnt(late, kept).load(ROUTES, now=20.0, wall=1.7e9 + 1300)
        assert counted(late.trials["chat"]["a/m"], 20.0, UCB.window)[0] == 0, "outside of the window"
        await kept.close()

    asyncio.run(story())


def test_only_what_has_changed_is_written_and_only_of_targets_that_are_configured(tmp_path: Path) -> None:
    async def story() -> None:
        choices, kept = Choices(), state(tmp_path)
        learn(choices, 5000.0)
        choices.measured["caller/made-up"] = choices.measured["a/m"]
        learnt = Learnt(choices, kept)
        learnt.save(ROUTES, now=5000.0, wall=1.7e9)
        await kept.written()
        assert set(kept.learnt(MEASURED)) == {"a/m", "b/m"} and set(kept.learnt(TRIALS)) == {"chat"}
        kept.write(_emptied)
        choices.measured["a/m"] = measure(choices.measured["a/m"], outcome(first=0.3), 5001.0)
        learnt.save(ROUTES, now=5001.0, wall=1.7e9 + 1)
        await kept.written()
        assert set(kept.learnt(MEASURED)) == {"a/m"} and not kept.learnt(TRIALS)
        choices.forget(["a/m"])
        learnt.save(ROUTES, now=5002.0, wall=1.7e9 + 2)
        await kept.written()
        assert not kept.learnt(MEASURED), "its configuration has changed"
        await kept.close()

    asyncio.run(story())


def _emptied(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM learnt")


def test_what_another_version_wrote_is_passed_over(tmp_path: Path) -> None:
    async def story() -> None:
        kept = state(tmp_path)
        kept.keep(MEASURED, {"a/m": b"[1,2]", "b/m": b"not JSON"})
        kept.keep(TRIALS, {"chat": b'{"a/m":[[1]]}'})
        await kept.written()
        choices = Choices()
        Learnt(choices, kept).load(ROUTES, now=0.0, wall=1.7e9)
        assert not choices.measured and not choices.trials
        await kept.close()

    asyncio.run(story())
