"""What becomes of everything that can be asked for, at every type there is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import TYPES
from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.testing.probes import PROBES, Fate, fates
from scripts.providers import target_of


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_no_type_leaves_anything_out_without_a_word(type_: str) -> None:
    """Whatever is registered: native, mapped, dropped by name or refused, and never lost."""
    assert not [name for name, fate in fates(target_of(type_)).items() if fate is Fate.LOST]


class Fake:
    """Does to a request what a test wants, and no more."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        found: Prepared | Failure = self.change(dict(request.body))
        return found

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        return Failure(FailureKind.UNSUPPORTED, "none")


def prepared(body: dict[str, Any], *dropped: str) -> Prepared:
    return Prepared(HttpCall(b"POST / HTTP/1.1\r\n", orjson.dumps(body)), dropped, dropped)


def fate_of(name: str, change: Any) -> Fate:
    fake: Dialect = Fake(change)  # type: ignore[assignment]  # nothing else of a dialect is asked
    return fates(fake)[name]


def without_seed(body: dict[str, Any]) -> Prepared:
    return prepared({name: body[name] for name in body if name != "seed"})


def test_each_fate_is_known_when_it_is_seen() -> None:
    assert fate_of("`seed`", prepared) is Fate.NATIVE
    assert fate_of("`seed`", lambda body: prepared({"random_seed": body.pop("seed", 0), **body})) is Fate.MAPPED
    assert fate_of("`seed`", lambda body: prepared({"messages": []}, *body.keys() & {"seed"})) is Fate.DROPPED
    assert fate_of("`seed`", lambda body: Failure(FailureKind.UNSUPPORTED, "x")) is Fate.REFUSED
    assert fate_of("`seed`", without_seed) is Fate.LOST
    assert fate_of("embeddings", prepared) is Fate.REFUSED


def test_every_probe_asks_for_something() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    assert all(probe.asks for probe in PROBES)
