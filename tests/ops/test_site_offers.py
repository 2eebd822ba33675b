"""`GET /v1/models` tells what a route offers, beyond OpenAI's own fields."""

from __future__ import annotations

from decimal import Decimal

from proxy.core.ability import Ability
from proxy.core.price import Price
from proxy.core.route import Route, Target
from proxy.ops.site import offered


def test_of_the_first_target_what_is_known_and_of_all_their_names() -> None:
    ability = Ability(128_000, 16_384, frozenset({"vision"}), frozenset({"audio"}))
    first = Target("a/m", "a", "m", ability=ability, price=Price(Decimal("0.15"), Decimal("0.6")))
    told = offered(Route("r", (first, Target("b/n", "b", "n"))))
    assert (told["context_window"], told["max_output_tokens"]) == (128_000, 16_384)
    assert told["pricing"] == {"input": "0.15", "output": "0.6"}
    assert [told["capabilities"][name] for name in ("vision", "audio", "tools")] == [True, False, None]
    assert told["targets"] == ["a/m", "b/n"]


def test_what_nobody_knows_is_null() -> None:
    told = offered(Route("r", (Target("a/m", "a", "m"),)))
    assert told["context_window"] is None and told["pricing"] is None
    assert offered(Route("r", ())) == {"targets": []}
