"""What an answer cost, told in the answer itself (`reply_cost`): a number beside the tokens of its `usage`."""

from __future__ import annotations

import re
from decimal import Decimal

from proxy.core.chat import Event
from proxy.core.price import cost
from proxy.core.route import Target
from proxy.core.usage import Usage

_USAGE = re.compile(rb'"usage"\s*:\s*\{\s*(\}?)')
"""The beginning of the object. It cannot be within a text, where the quotation marks would be escaped."""


def with_cost(raw: bytes, usage: Usage | None, spent: Decimal | None) -> bytes:
    """The answer with it, and the rest byte for byte. As it was where nobody knows, where it has no `usage`, and where
    the upstream says it itself."""
    if spent is None or usage is None or usage.cost is not None:
        return raw
    every = list(_USAGE.finditer(raw))
    if not every:
        return raw
    found = every[-1]
    at = found.start(1)
    comma = b"" if found[1] else b","
    return b'%b"cost":%b%b%b' % (raw[:at], f"{spent:f}".encode(), comma, raw[at:])


def event_with_cost(event: Event, target: Target) -> Event:
    """The same of a stream's last event, which tells the usage."""
    price, usage = target.price, event.usage
    if price is None or usage is None:
        return event
    spent = cost(price.served(usage.tier).at(usage.input), usage)
    return event._replace(raw=with_cost(event.raw, usage, spent))
