"""Prices of clouds whose address is made of a region: genai-prices knows them by another."""

from __future__ import annotations

from decimal import Decimal

from proxy.config.load import load
from proxy.config.prices import price_targets
from proxy.config.values import Config

TEXT = """
backends:
  aws: {type: bedrock, region: eu-central-1}
  vpc: {type: bedrock, region: us-east-1, base_url: "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com"}
  gcp: {type: vertex, project: p, location: europe-west4}
routes:
  r: {targets: ["aws/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "vpc/amazon.nova-pro-v1:0", gcp/gemini-2.5-flash]}
"""


def test_targets_on_bedrock_and_vertex_have_prices() -> None:
    config = load(TEXT, {}, "f", lambda path: "")
    assert isinstance(config, Config), str(config)
    priced, warning = price_targets(config)
    assert warning is None
    prices = [target.price for target in priced.routes["r"].targets]
    assert all(price is not None and price.input > Decimal(0) and price.cached_input for price in prices)
