"""What rate windows hold outlives the process: a limit does not begin anew by starting again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.limiting.values import Rate
from proxy.core.limiting.window import CELLS, Window, window_of
from proxy.engine.tally import Tally
from proxy.engine.windows_kept import WINDOWS, KeptWindows
from proxy.state.state import State

DAY, TOKENS = Rate("requests", 1000, 86400.0), Rate("tokens", 9000, 3600.0)
FIXED = Rate("requests", 50, 86400.0, fixed=True)
FEW = Rate("requests", 5, 3600.0)
Open = Callable[[str, Rate], Window]


class Server:
    """One process after the other, over the same database."""

    def __init__(self, path: Path, *, workers: bool) -> None:
        self.epoch = time.monotonic() - time.time()
        self.state = State(path / "state.db", lambda *_, **__: None)
        self.kept = KeptWindows(self.state, self.epoch)
        self.opened: list[tuple[str, Window]] = []
        self.tally: Tally | None = None
        if workers:
            shared = path / f"{time.monotonic_ns()}"
            shared.mkdir()
            self.tally = Tally(shared, self.epoch)
            self.tally.recall = self.kept.of

    def window(self, whose: str, rate: Rate) -> Window:
        if self.tally is not None:
            window = self.tally.window(whose, rate)
        else:
            window = window_of(rate, self.epoch)
            window.put(self.kept.of(whose, rate), time.monotonic())
        self.opened.append((whose, window))
        return window

    def save(self) -> None:
        assert len(list(self.kept.save(self.opened))) == (len(self.opened) + 199) // 200

    def end(self) -> None:
        asyncio.run(self.state.close())
        if self.tally is not None:
            self.tally.close()


@pytest.fixture(params=[False, True], ids=["alone", "workers"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Server]]:
    servers: list[Server] = []

    def begin() -> Server:
        for server in servers:
            server.end()
        servers[:] = [Server(tmp_path, workers=request.param)]
        return servers[0]

    yield begin
    for server in servers:
        server.end()


@pytest.mark.parametrize("rate", [DAY, TOKENS, FIXED, FEW], ids=str)
def test_what_was_taken_counts_in_the_next_process(serve: Callable[[], Server], rate: Rate) -> None:
    before, now = serve(), time.monotonic()
    if rate.fixed and rate.per - (now - before.epoch) % rate.per < 60:
        now -= 120  # the day is about to end
    window = before.window("key 'a'", rate)
    window.take(3, now - 0.2)
    window.take(2, now)
    reset = window.reset(now)
    before.save()
    again = serve().window("key 'a'", rate)
    assert again.left(now + 1) == rate.amount - 5
    assert reset - 2 <= again.reset(now) <= reset + rate.per / CELLS + 1
    if not rate.fixed:
        assert again.left(now + rate.per - 1) == rate.amount - 5
        assert again.left(now + rate.per * (1 + 2 / CELLS) + 1) == rate.amount


def test_another_rate_begins_anew_and_so_does_another_scope(serve: Callable[[], Server]) -> None:
    before, now = serve(), time.monotonic()
    before.window("key 'a'", DAY).take(3, now)
    before.save()
    after = serve()
    assert after.window("key 'a'", DAY._replace(amount=900)).left(now) == 900
    assert after.window("key 'b'", DAY).left(now) == 1000
    assert after.window("key 'a'", DAY).left(now) == 997


def test_what_nobody_asked_for_in_one_process_is_there_for_the_one_after(serve: Callable[[], Server]) -> None:
    before, now = serve(), time.monotonic()
    for name in range(300):
        before.window(f"key 'k{name}'", DAY).take(name, now)
    before.save()
    serve().save()
    after = serve()
    assert [after.window(f"key 'k{name}'", DAY).left(now) for name in range(300)] == [1000 - n for n in range(300)]


def test_only_what_changed_is_written_and_what_is_over_is_forgotten(serve: Callable[[], Server]) -> None:
    first, now = serve(), time.monotonic()
    first.window("all", Rate("requests", 9, 0.001)).take(1, now)
    first.window("all", DAY).take(1, now)
    first.save()
    asyncio.run(first.state.written())
    assert len(first.state.learnt(WINDOWS)) == 2
    first.state.forget(WINDOWS, first.state.learnt(WINDOWS))
    first.save()
    asyncio.run(first.state.written())
    assert first.state.learnt(WINDOWS) == {}, "nothing has changed"
    first.opened[1][1].take(1, now)
    first.opened[0][1].take(1, now)
    first.save()
    second = serve()
    asyncio.run(second.state.written())
    assert list(second.state.learnt(WINDOWS)) == ["all: 1000 requests per 86400.0 s"]


def test_what_was_given_back_is_not_kept(serve: Callable[[], Server]) -> None:
    before, now = serve(), time.monotonic()
    window = before.window("all", DAY)
    window.take(1, now)
    before.save()
    window.change(now, -1)
    before.save()
    assert serve().window("all", DAY).left(now) == 1000


def test_rows_of_another_version_are_passed_over(serve: Callable[[], Server]) -> None:
    before = serve()
    before.state.keep(WINDOWS, {"all: 1000 requests per 86400.0 s": b"something else"})
    assert serve().window("all", DAY).left(time.monotonic()) == 1000


def test_a_worker_that_was_started_again_does_not_count_twice(tmp_path: Path) -> None:
    before, now = Server(tmp_path, workers=True), time.monotonic()
    before.window("all", DAY).take(4, now)
    before.save()
    asyncio.run(before.state.written())
    late = KeptWindows(before.state, before.epoch)
    assert before.tally is not None
    before.tally.recall = late.of
    assert before.window("all", DAY).left(now) == 996
    before.end()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(0, 39),
    st.integers(40, 300),
    st.floats(-40, 40),
)
def test_no_stretch_over_a_restart_has_more(
    steps: list[tuple[float, int]], restart: int, limit: int, moved: float
) -> None:
    rate = Rate("tokens", limit, 30.0)
    window, now, log, by = window_of(rate), 100.0, list[tuple[float, int]](), 0.0
    for place, (passes, amount) in enumerate(steps):
        now += passes
        if place == restart:
            taken = [(first + moved, last + moved, held) for first, last, held in window.taken()]
            by, window = moved, window_of(rate)
            window.put(taken, now + by)
        if window.attempt(amount, now + by):
            log.append((now, amount))
            assert sum(one for at, one in log if at > now - 30.0) <= limit
        else:
            assert sum(one for at, one in log if at > now - 30.0 * (1 + 2 / CELLS)) + amount > limit
