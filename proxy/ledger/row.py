"""An outcome as the journal holds it: one JSON array, in the order of the table's columns."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.core.outcome import Outcome
from proxy.core.price import Price
from proxy.ledger.plans import AS_WRITTEN

COLUMNS = (
    "request_id, attempt, route, target, backend, key, model, ended, failure, status, stream, "
    "started_at, sent, first_byte, first_content, last, "
    "input, output, cached_input, cache_write, reasoning, usage_source, price, cost, maybe_billed, how, "
    "endpoint, agent, tags, plan"
)
WIDTH = COLUMNS.count(",") + 1
_OLD_WIDTHS = (26, 27)
"""Of rows that 0.1 and 0.2 left in a journal: without endpoint; without agent and tags."""
MAX_ROW = 8 * 1024
"""Bytes of a row at most. Only a text that an upstream made up (its model's name) could be longer: it is cut."""
_MAX_TEXT = 200
_MAX_INT = 2**53 - 1
_PRICES_KEPT = 10_000

_prices: dict[int, tuple[Price, str]] = {}
"""By identity: hashing a price costs more than all the rest. As the price is held, its identity is not used again."""


def encode(outcome: Outcome, plan: int | None = AS_WRITTEN) -> bytes:
    """The row. Never raises, whatever the upstream put into the outcome. `plan`: the number of what was planned."""
    # Taken apart in one step: field by field would cost twice as much.
    # fmt: off
    (
        request_id, attempt, route, target, backend, ended, failure, status, stream, started_at, sent, first_byte,
        first_content, last, usage, price, cost, maybe_billed, key, model, how, endpoint, agent, tags,
        _,
    ) = outcome
    # fmt: on
    if usage is None:
        tokens_in = tokens_out = cached = written = reasoning = None
        source = "absent"
    else:
        tokens_in, tokens_out, cached, written, reasoning, source_, _, _, _ = usage
        source = source_._value_
    # fmt: off
    row = (
        request_id, attempt, route, target, backend, key, model,
        ended._value_, None if failure is None else failure._value_, status, stream,
        started_at, sent, first_byte, first_content, last,
        tokens_in, tokens_out, cached, written, reasoning, source,
        None if price is None else price_text(price), None if cost is None else str(cost), maybe_billed, how._value_,
        endpoint, agent or None, orjson.dumps(tags).decode("utf-8") if tags else None, plan,
    )
    # fmt: on
    try:
        data = orjson.dumps(row, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:  # a lone surrogate, an absurd integer
        return _tamed(row)
    return data if len(data) <= MAX_ROW else _tamed(row)


def decode(data: bytes) -> list[Any]:
    """The row's values, ready for the table. Raises `ValueError` for anything but a row."""
    row = orjson.loads(data)
    if type(row) is list and len(row) in _OLD_WIDTHS:
        row += [None] * (WIDTH - len(row))
    if type(row) is not list or len(row) != WIDTH:
        raise ValueError("not a row of the ledger")
    return row


def price_text(price: Price) -> str:
    """The price as JSON text: what is known of it, without what holds for other requests."""
    known = _prices.get(id(price))
    if known is None:
        if len(_prices) >= _PRICES_KEPT:
            _prices.clear()
        parts = {
            name: str(value)
            for name, value in price._asdict().items()
            if value not in (None, "") and not isinstance(value, tuple)
        }
        known = _prices[id(price)] = (price, orjson.dumps(parts).decode())
    return known[1]


def _tamed(row: tuple[Any, ...]) -> bytes:
    return orjson.dumps([_tame(value) for value in row], option=orjson.OPT_STRICT_INTEGER)


def _tame(value: Any) -> Any:
    """A value that encoder and database take: text cut and without lone surrogates, integers within 53 bits."""
    if isinstance(value, str):
        return value[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_MAX_INT, min(value, _MAX_INT))
    return value
