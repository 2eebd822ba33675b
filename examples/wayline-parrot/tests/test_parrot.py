"""The example passes what Wayline's own dialects pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from wayline_parrot import EXTENSION, ParrotDialect, bind

from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.sse import MAX_EVENT
from proxy.testing import conformance
from proxy.testing.exchange import Exchange, load
from proxy.testing.probes import Fate, fates

KEY = "cracker-0123456789abcdef"
EXCHANGES = load(Path(__file__).parent / "exchanges.jsonl")


@pytest.fixture
def dialect() -> ParrotDialect:
    return bind(Backend("bird", "parrot", "http://127.0.0.1:9000", Secret(KEY)), Target("bird/polly", "bird", "polly"))


def some(*ids: str) -> pytest.MarkDecorator:
    chosen = [exchange for exchange in EXCHANGES if not ids or exchange.id in ids]
    return pytest.mark.parametrize("exchange", chosen, ids=lambda exchange: exchange.id)


@some()
def test_what_is_sent_is_what_it_accepts(dialect: ParrotDialect, exchange: Exchange) -> None:
    conformance.check_call(dialect, exchange, asks_usage=False)
    conformance.check_discreet(dialect, KEY, exchange)


@some("parrot-1")
def test_an_answer_is_read(dialect: ParrotDialect, exchange: Exchange) -> None:
    conformance.check_answer(dialect, exchange)


@some("parrot-2", "parrot-3")
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_is_read(dialect: ParrotDialect, exchange: Exchange, wants_usage: bool) -> None:
    conformance.check_stream(dialect, exchange, wants_usage=wants_usage)
    conformance.check_renamed(dialect, exchange)
    conformance.check_cuts(dialect, exchange.body, [range(1, len(exchange.body)), [3], [40, 41]])


@some("parrot-2")
def test_a_stream_cut_before_its_end_is_truncated(dialect: ParrotDialect, exchange: Exchange) -> None:
    conformance.check_truncation(dialect, exchange, range(len(exchange.body)), finished_at=len(exchange.body))


@some("parrot-4")
def test_an_error_is_read(dialect: ParrotDialect, exchange: Exchange) -> None:
    conformance.check_failure(dialect, exchange)


@pytest.mark.parametrize(
    "data", [b"", b"no", b"[]", b"{}", b'{"words": 3}', b'{"squawk": null}', b"\xff\n{}\n", b"{\n"]
)
def test_any_bytes_raise_only_malformed(dialect: ParrotDialect, data: bytes) -> None:
    conformance.check_any_bytes(dialect, data)
    conformance.check_any_bytes(dialect, data + b"\n")


def test_a_line_without_an_end_is_given_up(dialect: ParrotDialect) -> None:
    conformance.check_bounded(dialect, b'{"words": "', MAX_EVENT)


def test_what_it_cannot_express_is_said(dialect: ParrotDialect) -> None:
    found = fates(dialect)
    assert found["`temperature`"] is found["system message"] is Fate.MAPPED
    assert found["tools"] is found["`seed`"] is Fate.DROPPED
    assert found["image, data URL"] is found["embeddings"] is Fate.REFUSED
    assert Fate.LOST not in found.values()


def test_pictures_are_refused_in_words(dialect: ParrotDialect) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {"messages": [{"role": "user", "content": [picture]}]}
    got = dialect.chat(ChatRequest(b"", body, "m", False, False))
    assert isinstance(got, Failure)
    assert "nothing but text" in got.message


def test_its_type_has_the_name_of_its_entry_point() -> None:
    assert EXTENSION.kind.name == "parrot"
