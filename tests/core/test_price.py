"""Cost is what the parts cost, exactly; unknown is unknown and never nothing."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.price import FREE, Price, cost
from proxy.core.usage import Special, Usage

D = Decimal


def test_tokens_times_price() -> None:
    assert cost(Price(D("0.15"), D("0.6")), Usage(1000, 500)) == D("0.00045")


def test_unknown_is_not_zero() -> None:
    assert cost(None, Usage(1, 1)) is None
    assert cost(FREE, None) is None
    assert cost(Price(D(1), D(1)), None) is None


def test_what_is_free_costs_nothing_and_a_reported_zero_too() -> None:
    assert cost(FREE, Usage(1000, 1000, 10, 10, 10)) == 0
    assert cost(Price(D(1), D(1)), Usage(0, 0)) == 0


def test_parts_with_a_price_of_their_own_are_charged_once() -> None:
    price = Price(D(10), D(20), cached_input=D(1), cache_write=D(12), reasoning=D(30))
    got = cost(price, Usage(100, 50, cached_input=60, cache_write=10, reasoning=20))
    assert got == D(30 * 10 + 60 * 1 + 10 * 12 + 30 * 20 + 20 * 30) / 1_000_000


def test_parts_without_a_price_are_charged_as_the_whole() -> None:
    assert cost(Price(D(10), D(20)), Usage(100, 50, 60, 10, 20)) == D(100 * 10 + 50 * 20) / 1_000_000


def test_xai_charges_what_it_says_it_charges() -> None:
    """`cost_in_usd_ticks` of a recorded answer, 8,702,400 ticks of 1e-10 dollars, at grok-code-fast-1's prices."""
    price = Price(D("0.2"), D("1.5"), cached_input=D("0.02"))
    assert cost(price, Usage(429, 44 + 502, cached_input=192, reasoning=502)) == D(8702400) / 10**10


@given(st.builds(Usage, *[st.integers(0, 10**6)] * 5, cost=st.none()))
def test_cost_is_never_negative_even_where_a_part_exceeds_its_whole(usage: Usage) -> None:
    got = cost(Price(D(1), D(2), cached_input=D("0.1"), reasoning=D(3)), usage)
    assert got is not None
    assert got >= 0


def test_what_the_upstream_says_it_charges_is_the_cost_whatever_the_price() -> None:
    charged = Usage(100, 50, cost=D("0.000971"))
    assert cost(Price(D(10), D(20)), charged) == cost(None, charged) == D("0.000971")
    assert cost(Price(D(10), D(20)), Usage(100, 50, cost=D(0))) == 0


def test_a_service_tier_has_its_own_price_where_one_is_known() -> None:
    flex = Price(D("0.625"), D(5), tiers=((100, Price(D(1), D(6))),))
    usual = Price(D("1.25"), D(10), services=(("flex", flex),))
    assert usual.served("flex") is flex
    assert usual.served("flex").at(200) == Price(D(1), D(6))
    assert usual.served("") is usual.served("priority") is usual


def test_sound_and_pictures_cost_what_they_cost_apart_and_else_as_any_token() -> None:
    usage = Usage(1_000_000, 100_000, special=Special(audio_input=400_000, audio_output=50_000, image_input=100_000))
    plain = Price(Decimal(1), Decimal(2))
    assert cost(plain, usage) == cost(plain, usage._replace(special=None)) == Decimal("1.2")
    apart = plain._replace(audio_input=Decimal(10), audio_output=Decimal(20), image_input=Decimal(5))
    # 0.5 M plain in at 1, 0.4 M sound in at 10, 0.1 M pictures at 5; 0.05 M plain out at 2, 0.05 M sound out at 20
    assert cost(apart, usage) == Decimal("0.5") + 4 + Decimal("0.5") + Decimal("0.1") + 1


def test_a_cache_that_keeps_for_an_hour_costs_more_than_one_that_does_not() -> None:
    usage = Usage(1_000_000, 0, cache_write=600_000, special=Special(cache_write_1h=200_000))
    price = Price(Decimal(1), Decimal(2), cache_write=Decimal("1.25"))
    assert cost(price, usage) == Decimal("0.4") + Decimal("0.75")
    assert cost(price._replace(cache_write_1h=Decimal(2)), usage) == Decimal("0.4") + Decimal("0.5") + Decimal("0.4")
