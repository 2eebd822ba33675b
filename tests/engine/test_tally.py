"""What workers share of their rate limits: together they let through no more than one would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.limiting.values import Limits, Rate
from proxy.core.limiting.window import CELLS, Window
from proxy.engine.scopes import Bounds, Scope
from proxy.engine.tally import Tally, Together

ROOT = Path(__file__).parents[2]
MINUTE = Rate("requests", 1000, 60.0)
WORKER = """
import sys
from pathlib import Path
from proxy.core.limiting.values import Limits, Rate
from proxy.engine.scopes import Bounds, Scope
from proxy.engine.tally import Tally, Together

tally = Tally(Path(sys.argv[1]), 0.0, float)
scope = Scope("all", Limits((Rate("requests", 1000, 60.0), Rate("tokens", 7000, 60.0))), tally.window)
bounds = Bounds([scope])
print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Worker:
    """Another process with the same tally."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-c", WORKER, str(directory)]
        self.child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "ready"

    def tell(self, code: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(code + "\n")
        self.child.stdin.flush()

    def answer(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def ask(self, code: str) -> str:
        self.tell(code)
        return self.answer()

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.child.kill()
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.close()
        self.child.wait(30)
        self.child.stdout.close()


@pytest.fixture
def tallies(tmp_path: Path) -> Iterator[list[Tally]]:
    found = [Tally(tmp_path, 0.0, float) for _ in range(3)]
    yield found
    for tally in found:
        tally.close()


def both(tallies: list[Tally], rate: Rate) -> list[Window]:
    return [tally.window("all", rate) for tally in tallies]


def test_two_processes_at_once_take_exactly_what_there_is(tmp_path: Path) -> None:
    workers = [Worker(tmp_path) for _ in range(2)]
    for worker in workers:
        worker.tell("sum(Together(tally, bounds, 5).attempt(100.0) for _ in range(800))")
    assert sum(int(worker.answer()) for worker in workers) == 1000
    assert workers[0].ask("[window.left(100.0) for window in scope.meter.windows]") == "[0.0, 2000.0]"
    for worker in workers:
        worker.end()


def test_what_is_given_back_by_one_is_there_for_the_other_and_what_a_killed_one_took_is_not(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    assert first.ask("[one for _ in range(7) if (one := Together(tally, bounds, 1000)).attempt(1.0)].__len__()") == "7"
    assert second.ask("Together(tally, bounds, 1).attempt(1.5)") == "False"
    assert first.ask("[(one := Together(tally, bounds, 0)).attempt(1.6), one.leave()]") == "[True, None]"
    assert second.ask("scope.meter.windows[0].left(1.6)") == "993.0", "one that was not sent did not count"
    first.end(kill=True)
    assert second.ask("Together(tally, bounds, 1).attempt(30.0)") == "False"
    assert second.ask("Together(tally, bounds, 7000).attempt(62.0)") == "True"
    second.end()


def test_of_several_windows_all_are_taken_from_or_none(tallies: list[Tally]) -> None:
    limits = Limits((Rate("requests", 10, 60.0), Rate("tokens", 100, 60.0, fixed=True)), concurrency=None)
    scopes = [Scope("key 'a'", limits, tally.window) for tally in tallies]
    held = [Together(tally, Bounds([scope]), 60) for tally, scope in zip(tallies, scopes, strict=True)]
    assert [one.attempt(5.0) for one in held] == [True, False, False]
    for scope in scopes:
        assert scope.meter is not None
        assert [window.left(5.0) for window in scope.meter.windows] == [9, 40]
    held[0].spent = 10.0
    held[0].leave()
    assert held[1].attempt(5.0)
    held[1].leave()
    assert scopes[2].meter is not None
    assert [window.left(5.0) for window in scopes[2].meter.windows] == [9, 90]


def test_attempts_at_targets_are_given_back_where_another_has_no_room(tallies: list[Tally]) -> None:
    wide, narrow = Rate("requests", 5, 60.0), Rate("requests", 1, 60.0)
    meters = [
        tuple(
            scope.meter
            for name, rate in (("up/a", wide), ("up/", narrow))
            if (scope := Scope(name, Limits((rate,)), tally.window)).meter is not None
        )
        for tally in tallies
    ]
    first, second = Together(tallies[0]), Together(tallies[1])
    assert first.reserve(meters[0], 1, 3.0) is None
    assert second.reserve(meters[1], 1, 3.0) is meters[1][1]
    assert meters[2][0].windows[0].left(3.0) == 4
    first.release(1)
    assert [meter.windows[0].left(3.0) for meter in meters[2]] == [5, 1]
    assert second.reserve(meters[1], 1, 3.0) is None
    second.settle(1, 12.0)
    assert [meter.windows[0].left(3.0) for meter in meters[2]] == [4, 0]


steps = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0, 9, allow_nan=False), st.integers(1, 40), st.booleans()), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(20, 300), st.booleans())
def test_no_stretch_has_more_and_what_is_refused_is_a_64th_of_the_window_too_much_at_most(
    taken: list[tuple[int, float, int, bool]], limit: int, back: bool
) -> None:
    per = 30.0
    with TemporaryDirectory() as directory, ExitStack() as stack:
        tallies = [Tally(Path(directory), 0.0, float) for _ in range(3)]
        for tally in tallies:
            stack.callback(tally.close)
        windows = both(tallies, Rate("tokens", limit, per))
        log: list[tuple[float, int]] = []
        now = 50.0
        for worker, passes, amount, gives in taken:
            now += passes / 3
            window = windows[worker]
            late = sum(one for at, one in log if at > now - per - per / CELLS)
            exact = sum(one for at, one in log if at > now - per)
            wait = window.wait(amount, now)
            assert exact <= limit - window.left(now) <= late
            if window.attempt(amount, now):
                assert exact + amount <= limit and wait == 0
                if gives and back:
                    windows[worker - 1].change(now, -amount)
                else:
                    log.append((now, amount))
            else:
                assert late + amount > limit and wait > 0
                assert amount > limit or window.wait(amount, now + wait * 1.0001) == 0


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(20, 200), st.integers(0, 59))
def test_fixed_windows_begin_anew_with_the_minute_for_all(
    taken: list[tuple[int, float, int, bool]], limit: int, epoch: int
) -> None:
    with TemporaryDirectory() as directory, ExitStack() as stack:
        tallies = [Tally(Path(directory), float(epoch + other), float) for other in range(3)]
        for tally in tallies:
            stack.callback(tally.close)
        shown = float(epoch) if epoch else tallies[0].epoch
        windows = both(tallies, Rate("tokens", limit, 60.0, fixed=True))
        used, number, now = 0, -1.0, 100.0
        for worker, passes, amount, _ in taken:
            now += passes
            if (now - shown) // 60 != number:
                used, number = 0, (now - shown) // 60
            fits = windows[worker].attempt(amount, now)
            assert fits is (used + amount <= limit)
            used += amount * fits
            assert windows[worker - 1].left(now) == limit - used
            assert windows[worker].reset(now) == pytest.approx(60 - (now - shown) % 60 if used else 0)


@pytest.mark.parametrize(("by", "left"), [(0.5, 6), (30.0, 10), (-30.0, 6), (-3600.0, 10), (3600.0, 10)])
def test_a_fixed_window_goes_by_the_clock_as_it_was_set(tallies: list[Tally], by: float, left: int) -> None:
    tallies[0].moved(100.0)
    first, second, _ = both(tallies, Rate("requests", 10, 60.0, fixed=True))
    first.take(4, 745.0)
    for tally in tallies:
        tally.moved(100 - by)
    assert second.left(746.0) == left
    second.take(1, 746.0)
    assert first.left(746.0) == left - 1


def test_a_clock_that_another_saw_further_on_does_not_go_back(tallies: list[Tally]) -> None:
    first, second, _ = both(tallies, Rate("requests", 2, 64.0))
    assert first.attempt(1, 100.0)
    assert second.attempt(1, 90.0), "it counts from 100 on"
    assert not second.attempt(1, 155.0)
    assert second.standing(155.0) == ("requests", 2, 0, 10.0)
    assert not second.attempt(1, 164.9)
    assert second.attempt(1, 165.0)


def test_a_worker_that_comes_later_finds_what_was_taken_and_each_scope_and_rate_has_its_own(tmp_path: Path) -> None:
    early = Tally(tmp_path, 0.0, float)
    for name in range(300):
        early.window(f"key 'k{name}'", MINUTE).take(name, 10.0)
    late = Tally(tmp_path, 0.0, float)
    left = [late.window(f"key 'k{name}'", MINUTE).left(10.0) for name in range(300)]
    assert left == [1000 - name for name in range(300)]
    assert late.window("key 'k9'", MINUTE._replace(amount=2000)).left(10.0) == 2000
    assert late.window("route 'k9'", MINUTE).left(10.0) == 1000
    late.close()
    early.close()
