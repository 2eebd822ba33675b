"""The usual way, walked once for each route, is the one that the machine takes."""

from __future__ import annotations

from proxy.core.attempt import Begin, Served, State, step, usual
from proxy.core.route import Route, Target

TARGETS = (Target("a/m", "a", "m"), Target("b/m", "b", "m"))


def test_a_request_whose_first_attempt_serves_goes_as_it_would_step_by_step() -> None:
    route = Route("r", TARGETS)
    begun = step(State(route, TARGETS), Begin())
    way = usual(route)
    assert way.begun == begun
    assert way.served == step(begun[0], Served(1))
    assert [type(command).__name__ for command in way.served[1]] == ["Record", "Deliver"]
