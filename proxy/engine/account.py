"""One attempt's end as the `Outcome` that health, ledger and metrics read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.failure import Failure
from proxy.core.outcome import Ended, Outcome
from proxy.core.price import cost
from proxy.core.tokens import estimate
from proxy.core.usage import Source, Usage

if TYPE_CHECKING:
    from proxy.engine.attempt import Attempt
    from proxy.engine.exchange import Exchange


def outcome_of(exchange: Exchange, attempt: Attempt, ended: Ended, failure: Failure | None, now: float) -> Outcome:
    """`now` on the engine's clock."""
    began = exchange.began
    target = attempt.lane.target
    usage = attempt.usage
    billed = False
    if ended is not Ended.SERVED:
        if failure is not None:
            billed = attempt.sent_at is not None and failure.verdict.maybe_billed
        if usage is None and attempt.first_content is not None:
            usage = _estimated(exchange.request, attempt.chars)
    elif usage is None:
        usage = _estimated(exchange.request, attempt.chars)
    first_byte = attempt.first_byte
    first_content = attempt.first_content
    return Outcome(
        exchange.request_id,
        attempt.number,
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
        target.price,
        cost(target.price, usage),
        billed,
        exchange.key,
        attempt.model,
    )


def _estimated(request: ChatRequest | EmbedRequest, chars: int) -> Usage:
    """By characters: rough, but never 0 for what was certainly used, and marked as what it is."""
    return Usage(estimate(len(request.raw)), estimate(chars), source=Source.ESTIMATED)
