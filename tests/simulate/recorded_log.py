"""Ledgers made by code: what a test says was on record."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, How, Outcome
from proxy.core.price import Price, cost
from proxy.core.told import Told
from proxy.core.usage import Usage
from proxy.ledger.insert import insert
from proxy.ledger.row import encode
from proxy.ledger.schema import open_database
from proxy.ledger.why_row import encode as tell

NOON = 1_795_262_400.0
"""2026-11-21 12:00:00 UTC."""
DEAR, CHEAP = Price(Decimal("2.5"), Decimal(10)), Price(Decimal("0.1"), Decimal("0.4"))
PRICES = {"cloud": DEAR, "cheap": CHEAP}
BACKENDS = """
backends:
  cloud: {type: openai, base_url: "https://cloud.test/v1", api_key: k, price: {input: 2.5, output: 10}}
  cheap: {type: openai, base_url: "https://cheap.test/v1", api_key: k, price: {input: 0.1, output: 0.4}}
  near: {type: ollama}
"""


def config(routes: str, *, more: str = "", backends: str = BACKENDS) -> Config:
    """`routes`: YAML under `routes:`, indented by two."""
    found = load(f"{backends}{more}\nroutes:\n{routes}\n", {}, "draft.yaml", lambda _: "")
    assert not isinstance(found, Problems), str(found)
    return found


def chat(*targets: str, **policy: Any) -> Config:
    """One route `chat`."""
    words = "".join(f", {name}: {value}" for name, value in policy.items())
    return config(f"  chat: {{targets: [{', '.join(targets)}]{words}}}")


@dataclass
class Log:
    """Requests are numbered; times of attempts are seconds after their request."""

    rows: list[Outcome] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    count: int = 0

    def served(self, at: float, target: str = "cloud/large", **words: Any) -> None:
        """One request that one attempt answered."""
        self.request(at, [self.answer(target, **words)])

    def request(self, at: float, attempts: Iterable[dict[str, Any]], **of_all: Any) -> None:
        """`at`: seconds after noon."""
        self.count += 1
        for number, words in enumerate(attempts, 1):
            self.rows.append(self._outcome(at, number, {**words, **of_all}))

    def tell(self, at: float, attempts: int = 1, **words: Any) -> None:
        """What is told of the request that was noted last; without attempts, of one that was never sent on."""
        if not attempts:
            self.count += 1
        known: dict[str, Any] = {
            "request_id": f"r{self.count}",
            "started_at": NOON + at,
            "route": "chat",
            "endpoint": "chat",
            "key": "",
            "agent": "",
            "tags": (),
            "stream": True,
            "ended": Ended.SERVED if attempts else Ended.FAILED,
            "status": 200,
            "failure": None,
            "duration": 1.0,
            "queued": 0.0,
            "attempts": attempts,
            "planned": None,
            "wish": None,
        }
        self.told.append(Told(**{**known, **words}))

    @staticmethod
    def answer(target: str, sent: float = 0.0, first: float = 0.5, last: float = 2.0, **words: Any) -> dict[str, Any]:
        return {
            "target": target,
            "sent": sent,
            "first_content": sent + first,
            "last": sent + last,
            "usage": Usage(1000, 100),
            **words,
        }

    @staticmethod
    def failure(
        target: str, kind: FailureKind = FailureKind.SERVER_ERROR, sent: float = 0.0, took: float = 0.1, **words: Any
    ) -> dict[str, Any]:
        return {
            "target": target,
            "sent": sent,
            "last": sent + took,
            "ended": Ended.FAILED,
            "failure": kind,
            "usage": None,
            **words,
        }

    def _outcome(self, at: float, number: int, words: dict[str, Any]) -> Outcome:
        backend = words["target"].partition("/")[0]
        price, usage = PRICES.get(backend), words["usage"]
        known: dict[str, Any] = {
            "request_id": f"r{self.count}",
            "attempt": number,
            "route": "chat",
            "backend": backend,
            "ended": Ended.SERVED,
            "failure": None,
            "status": 200,
            "stream": True,
            "started_at": NOON + at,
            "first_byte": None,
            "first_content": None,
            "price": price,
            "cost": cost(price, usage),
            "maybe_billed": False,
            "key": "",
            "model": "m",
            "how": How.FRESH,
        }
        return Outcome(**{**known, **words})

    def write(self, path: Path) -> Path:
        """As a ledger."""
        with closing(open_database(path, busy=5.0)) as connection:
            told = [tell(one, None) for one in self.told]
            insert(connection, "made", [*map(encode, self.rows), *told], 0)
        return path
