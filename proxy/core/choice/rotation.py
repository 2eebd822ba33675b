"""Weighted turns: smooth weighted round-robin (as in nginx's `ngx_http_upstream_round_robin.c`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Turns = Mapping[str, float]
"""How much each name of a group has saved up. They add up to zero."""


def turn(turns: Turns, weights: Sequence[tuple[str, float]]) -> tuple[list[str], Turns]:
    """The names with the one whose turn it is first, then by what they have saved up; and the value after that.

    Over as many turns as whole weights add up to, each name is first exactly as often as its weight says, and never
    in a block where they can be spread. A name that is missing for a time (it is out of order) saves nothing up.
    """
    total = sum(weight for _, weight in weights)
    saved = {name: turns.get(name, 0.0) + weight for name, weight in weights}
    places = {name: place for place, (name, _) in enumerate(weights)}
    order = sorted(saved, key=lambda name: (-saved[name], places[name]))
    saved[order[0]] -= total
    return order, saved
