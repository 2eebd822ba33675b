"""One attempt's end as the `Outcome` that health, ledger and metrics read."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure
from proxy.core.outcome import Ended, Finish, Outcome
from proxy.core.price import cost
from proxy.core.tokens import estimated
from proxy.core.usage import Source, Usage

_CANCELLED = Ended.CANCELLED  # reading a member off its class costs 0.13 us in Python 3.11
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function

if TYPE_CHECKING:
    from proxy.engine.attempt import Attempt
    from proxy.engine.exchange import Exchange


def outcome_of(exchange: Exchange, attempt: Attempt, ended: Ended, failure: Failure | None, now: float) -> Outcome:
    """`now` on the engine's clock."""
    began = exchange.began
    target = attempt.lane.target
    usage = attempt.usage
    billed = False
    reached = attempt.sent_at is not None and (attempt.first_content is not None or ended is _CANCELLED)
    if usage is None and (ended is Ended.SERVED or reached) and exchange.estimates:
        counted = attempt.counted
        if counted is None:
            usage = estimated(exchange.request.body, attempt.chars, attempt.lane.count, attempt.said)
        else:
            usage = Usage(*counted, source=Source.ESTIMATED)
    if failure is not None and ended is not Ended.CANCELLED:
        billed = attempt.sent_at is not None and failure.verdict.maybe_billed
    price = target.price
    if price is not None and usage is not None and (price.tiers or usage.tier):
        price = price.served(usage.tier).at(usage.input)
    first_byte = attempt.first_byte
    first_content = attempt.first_content
    return _new(
        Outcome,
        (
            exchange.request_id,
            attempt.number - attempt.unsent,
            exchange.road.route.name,
            target.name,
            target.backend,
            ended,
            None if failure is None else failure.kind,
            attempt.status,
            exchange.stream,
            exchange.started_at,
            attempt.began - began,
            None if first_byte is None else first_byte - began,
            None if first_content is None else first_content - began,
            now - began,
            usage,
            price,
            cost(price, usage),
            billed,
            exchange.key,
            attempt.model,
            attempt.how,
            endpoint_of(exchange),
            exchange.agent,
            exchange.tags,
            exchange.plan if exchange.choice is None else exchange.choice,
        ),
    )


def endpoint_of(exchange: Exchange) -> str:
    """Its word on record, in metrics and in the log."""
    request = exchange.request
    if not isinstance(request, ChatRequest):
        return exchange.endpoint or "embed"
    native = request.native
    return exchange.endpoint or ("chat" if native is None else native.api)


def finish_of(
    exchange: Exchange,
    attempt: Attempt | None,
    ended: Ended,
    failure: Failure | None,
    status: int,
    *,
    sends: int,
    spent: Decimal | None,
) -> Finish:
    """The end of a request whose last attempt is given: `status` is what the client got, `spent` what all cost."""
    began = exchange.began
    first = None if attempt is None else attempt.first_content
    choice = exchange.choice
    return _new(
        Finish,
        (
            exchange.request_id,
            exchange.road.route.name,
            "" if attempt is None else attempt.lane.target.name,
            sends,
            status,
            exchange.stream,
            endpoint_of(exchange),
            exchange.started_at,
            time.monotonic() - began,
            None if first is None else first - began,
            ended,
            None if failure is None else failure.kind,
            spent,
            exchange.key,
            exchange.agent,
            exchange.tags,
            0.0 if exchange.held is None else exchange.held.queued,
            "" if choice is None or choice.strategy == "order" else choice.strategy,
            None if choice is None or choice.rule is None else choice.rule + 1,
        ),
    )
