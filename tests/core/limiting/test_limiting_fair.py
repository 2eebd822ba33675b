"""The order of those who wait: fair between callers by weight, first in first out within, and nobody is lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.core.limiting.departures import LEAST, MOST, Departures
from proxy.core.limiting.fair import Fair, Ticket
from proxy.core.limiting.values import WEIGHTS, Class, Queue

Flow = tuple[str, str]


def _ticket(item: int, key: str, priority: str = "normal", weight: float = 1.0, line: str = "x") -> Ticket[int]:
    return Ticket(item, line, (key, priority), weight, 0.0, 30.0)


def _all(fair: Fair[int]) -> list[Ticket[int]]:
    order = []
    while (ticket := fair.next(lambda _: True)) is not None:
        order.append(ticket)
    return order


def test_one_who_floods_takes_every_other_turn_not_all_of_them() -> None:
    fair = Fair[int]()
    for n in range(100):
        fair.join(_ticket(n, "flood"))
    for n in range(3):
        fair.join(_ticket(1000 + n, "a"))
        fair.join(_ticket(2000 + n, "b"))
    first = [ticket.flow[0] for ticket in _all(fair)[:9]]
    assert Counter(first) == {"flood": 3, "a": 3, "b": 3}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 4.0]), min_size=2, max_size=6), st.data())
def test_those_who_always_wait_get_their_weights_share_to_within_a_turn(
    weights: list[float], data: st.DataObject
) -> None:
    fair = Fair[int]()
    for key, weight in enumerate(weights):
        for n in range(60):
            fair.join(_ticket(n, str(key), weight=weight))
    turns: Counter[str] = Counter()
    start = {str(key): 0 for key in range(len(weights))}
    begin = data.draw(st.integers(0, 10))
    for turn in range(50):
        ticket = fair.next(lambda _: True)
        assert ticket is not None
        turns[ticket.flow[0]] += 1
        if turn == begin:
            start = {key: turns[key] for key in start}
        if max(turns.values()) >= 60:
            break
        for one, w in enumerate(weights):
            for other, v in enumerate(weights):
                a, b = turns[str(one)] - start[str(one)], turns[str(other)] - start[str(other)]
                assert turn < begin or abs(a / w - b / v) <= 1 / w + 1 / v + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 200))
def test_low_is_never_starved_by_high(high: int, ahead: int) -> None:
    fair = Fair[int]()
    for n in range(ahead):
        fair.join(_ticket(n, str(n % high), "high", WEIGHTS["high"]))
    fair.join(_ticket(-1, "low", "low", WEIGHTS["low"]))
    waited = 0
    while (ticket := fair.next(lambda _: True)) is not None and ticket.item != -1:
        waited += 1
        fair.join(_ticket(waited + ahead, str(waited % high), "high", WEIGHTS["high"]))
        assert waited <= high * (WEIGHTS["high"] / WEIGHTS["low"] + 1)


def test_a_line_that_is_not_open_is_passed_over_and_keeps_its_turn() -> None:
    fair = Fair[int]()
    fair.join(_ticket(1, "a", line="closed"))
    fair.join(_ticket(2, "b", line="open"))
    fair.join(_ticket(3, "b", line="open"))
    found = fair.next(lambda line: line == "open")
    assert found is not None and found.item == 2
    assert [ticket.item for ticket in _all(fair)] == [1, 3]


def test_a_flow_in_two_lines_gets_no_second_share() -> None:
    fair = Fair[int]()
    for n in range(20):
        fair.join(_ticket(n, "two", line="x"))
        fair.join(_ticket(n, "two", line="y"))
        fair.join(_ticket(n, "one", line="x"))
    first = Counter(ticket.flow[0] for ticket in _all(fair)[:30])
    assert abs(first["two"] - first["one"]) <= 2


def test_one_that_does_not_fit_lets_others_go_first() -> None:
    fair = Fair[int]()
    fair.join(_ticket(1, "big"))
    fair.join(_ticket(2, "small"))
    found = fair.next(lambda _: True, lambda ticket: ticket.item != 1)
    assert found is not None and found.item == 2
    assert fair.next(lambda _: True, lambda ticket: ticket.item != 1) is None
    assert [ticket.item for ticket in _all(fair)] == [1]


def test_one_that_could_not_use_its_turn_stands_first_again() -> None:
    fair = Fair[int]()
    for n in range(5):
        fair.join(_ticket(n, "a"))
        fair.join(_ticket(10 + n, "b"))
    first = fair.next(lambda _: True)
    assert first is not None
    fair.join(first, back=True)
    order = _all(fair)
    assert order[0] is first
    assert [t.item for t in order if t.flow[0] == "a"] == [0, 1, 2, 3, 4]


class Waiting(RuleBasedStateMachine):
    """Whatever happens in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.fair: Fair[int] = Fair()
        self.inside: dict[int, Ticket[int]] = {}
        self.out: Ticket[int] | None = None
        self.count = 0

    @rule(key=st.sampled_from("abc"), priority=st.sampled_from(sorted(WEIGHTS)), line=st.sampled_from("xyz"))
    def join(self, key: str, priority: str, line: str) -> None:
        self.count += 1
        ticket = _ticket(self.count, key, priority, WEIGHTS[priority], line)
        ticket.places = "all"
        self.fair.join(ticket)
        self.inside[self.count] = ticket

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = self.inside.pop(data.draw(st.sampled_from(sorted(self.inside))))
        self.fair.leave(ticket)

    @rule(lines=st.sets(st.sampled_from("xyz")))
    def turn(self, lines: set[str]) -> None:
        ticket = self.fair.next(lambda line: line in lines)
        able = [one for one in self.inside.values() if one.line in lines]
        if ticket is None:
            assert not able
            return
        assert self.inside.pop(ticket.item) is ticket
        able.remove(ticket)
        assert all(one.item > ticket.item for one in able if (one.flow, one.line) == (ticket.flow, ticket.line))
        self.out = ticket

    @precondition(lambda self: self.out is not None)
    @rule()
    def come_back(self) -> None:
        ticket, self.out = self.out, None
        assert ticket is not None
        self.fair.join(ticket, back=True)
        self.inside[ticket.item] = ticket

    @invariant()
    def nobody_is_lost(self) -> None:
        assert len(self.fair) == len(self.inside)
        assert {ticket.item for ticket in self.fair} == set(self.inside)
        held = sum(self.fair.held("all", priority) for priority in WEIGHTS)
        assert held == len(self.inside)

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        assert sum(len(line.heap) for line in self.fair._lines.values()) <= 2 * len(self.inside) + 3 * 80


TestWaiting = Waiting.TestCase
TestWaiting.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_thousands_who_come_and_leave_cost_no_more_memory_than_those_who_wait() -> None:
    fair = Fair[int]()
    fair.join(_ticket(0, "stays"))
    for n in range(5000):
        ticket = _ticket(n, f"key-{n}")
        fair.join(ticket)
        fair.leave(ticket)
    assert len(fair) == 1
    assert len(fair._served) <= 100 and sum(len(line.heap) for line in fair._lines.values()) <= 100


def test_the_rate_of_departures_tells_how_long_it_takes() -> None:
    moved = Departures(0.0, 0.0)
    assert moved.wait(5, 1.0) == LEAST
    for n in range(1, 101):
        moved = moved.after(n * 0.5)
    assert 1.7 < moved.rate(50.0) < 2.3
    assert 4.0 < moved.wait(9, 50.0) < 6.0
    assert moved.wait(10_000, 50.0) == MOST
    assert moved.rate(500.0) < 0.001


def test_a_queue_that_says_nothing_of_a_priority_holds_for_all_of_them() -> None:
    queue = Queue(10, 5.0, {"low": Class(1.0, 2, 60.0)})
    assert queue.of("low") == Class(1.0, 2, 60.0)
    assert queue.of("") == Class(2.0, 10, 5.0)
