"""What a target costs does not depend on how a request came to it."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from types import MappingProxyType

from proxy.app.build import Builder
from proxy.config.load import load, read_secret
from proxy.config.values import Config
from proxy.core.price import Price
from proxy.engine.gate import Gates

TEXT = """
direct: true
backends: {a: {type: openai, base_url: "http://a.test/v1"}}
routes: {chat: {targets: [a/m]}}
"""
LOOKED_UP = Price(Decimal(3), Decimal(4), origin="genai-prices", dated="2026-01-01")


def test_a_target_named_directly_has_the_price_that_was_looked_up_for_the_route() -> None:
    config = load(TEXT, {}, "routes.yaml", read_secret)
    assert isinstance(config, Config)
    (target,) = config.routes["chat"].targets
    route = dataclasses.replace(config.routes["chat"], targets=(dataclasses.replace(target, price=LOOKED_UP),))
    config = dataclasses.replace(config, routes=MappingProxyType({"chat": route}))
    roads = Builder(config, {}, Gates()).roads()
    for model, price in (("a/m", LOOKED_UP), ("a/other", None)):
        road = roads.find(model)
        assert road is not None and road.route.targets[0].price == price
