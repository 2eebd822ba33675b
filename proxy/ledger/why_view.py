"""The story of a request, for people: at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from proxy.core.outcome import How
from proxy.ledger.spend_view import dollars
from proxy.ledger.why import Story, Try

WIDTH = 100
LONGEST_NAME = 44
_MICRO = Decimal("0.000001")
_STEPS = (("sent", "sent"), ("first_byte", "first byte"), ("first_content", "first content"), ("last", "end"))


def as_text(story: Story, utc: bool = False) -> Iterator[str]:
    """Its lines, without newlines."""
    zone = UTC if utc else None
    yield from _wrapped("", f"{story.request_id}  {_moment(story.started_at, zone)}  {_whose(story)}")
    if story.others:
        times = "once" if story.others == 1 else f"{story.others} times"
        yield f"  the latest of its id, which came {times} before"
    if story.asked:
        yield from _wrapped("  asked for: ", ", ".join(f"{name} {_said(value)}" for name, value in story.asked.items()))
    if story.usual:
        yield f"  route {story.route}: all targets were fit and in order, and the first one served"
    elif story.plan is not None:
        yield from _wrapped(f"  route {story.route}: ", ", ".join(_how_chosen(story.plan)))
        yield from _rows(_targets(story.plan, zone))
    elif story.as_written:
        yield f"  route {story.route}: targets as written"
    elif story.attempts:
        yield f"  route {story.route}: what was planned is not on record (any more)"
    else:
        yield f"  route {story.route}: nothing was planned" if story.route else "  refused at the door"
    for what, whose, words in story.notes:
        yield from _wrapped(f"  {what}: ", f"{whose}: {words}" if whose else words)
    if story.queued:
        yield f"  it waited {_seconds(story.queued)} for its turn"
    for one in story.attempts:
        yield from _attempt(one)
    yield from _wrapped("  ", _end(story))


def _whose(story: Story) -> str:
    parts = [story.endpoint + (", streamed" if story.stream else "")]
    parts += [f"{name} {value}" for name, value in (("key", story.key), ("agent", story.agent)) if value]
    if story.tags:
        parts.append(f"{'tag' if len(story.tags) == 1 else 'tags'} {' '.join(story.tags)}")
    return ", ".join(parts)


# What was planned ------------------------------------------------------------------------------------------------


def _how_chosen(plan: dict[str, Any]) -> Iterator[str]:
    strategy = plan.get("strategy", "order")
    yield "targets as written" if strategy == "order" else f"strategy {strategy}"
    if "rule" in plan:
        yield f"rule {plan['rule']} holds{': ' + plan['use'] if 'use' in plan else ''}"
    if "anyway" in plan:
        yield "all of them out of order, so tried all the same"
    if "trouble" in plan:
        yield f"its function failed ({plan['trouble']})"


def _targets(plan: dict[str, Any], zone: tzinfo | None) -> Iterator[tuple[str, str, str]]:
    behind = dict(plan.get("behind", ()))
    for place, name in enumerate(plan["targets"], 1):
        yield str(place), name, f"last: {behind[name]}" if name in behind else ""
    if "more" in plan:
        yield "", f"… and {plan['more']} more", ""
    for name, why, until in plan.get("left_out", ()):
        yield "–", name, why if until is None else f"{why} until {_clock(until, zone)}"
    if "more_left_out" in plan:
        yield "–", f"… and {plan['more_left_out']} more", ""


def _rows(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    rows = list(rows)
    width = min(max((len(name) for _, name, _ in rows), default=0), LONGEST_NAME)
    for mark, name, why in rows:
        start = f"  {mark:>3}  {_cut(name, width):<{width}}  "
        yield from _wrapped(start, why) if why else iter([start.rstrip()])


# What became of it -----------------------------------------------------------------------------------------------


def _attempt(one: Try) -> Iterator[str]:
    start = f"  attempt {one.attempt}: "
    yield from _wrapped(start, f"{_cut(one.target, LONGEST_NAME)} {', '.join(_fate(one))}")
    indent = " " * len(start)
    steps = [(name, getattr(one, field)) for field, name in _STEPS]
    yield from _wrapped(indent, ", ".join(f"{name} {_seconds(at)}" for name, at in steps if at is not None))
    spent = ", ".join(_spent(one))
    if spent:
        yield from _wrapped(indent, spent)


def _fate(one: Try) -> Iterator[str]:
    yield one.ended
    if one.failure is not None:
        yield one.failure
    if one.status is not None and one.status != 200:
        yield f"status {one.status}"
    if one.how == How.SPARE.value:
        yield "no better than the answer before, which was delivered"
    elif one.how != How.FRESH.value:
        yield f"to go on with a cut answer ({one.how})"
    if one.maybe_billed:
        yield "may have been billed"
    if one.model and one.model != one.target.partition("/")[2]:
        yield f"as {_cut(one.model, LONGEST_NAME)}"


def _spent(one: Try) -> Iterator[str]:
    if one.input is not None:
        about = "about " if one.usage_source == "estimated" else ""
        cached = f" ({one.cached_input:,} cached)" if one.cached_input else ""
        yield f"{about}{one.input:,} tokens in{cached}"
        yield f"{one.output:,} out"
        yield "cost unknown" if one.cost is None else _cost(one.cost)


def _end(story: Story) -> str:
    spent = "" if story.cost is None else f"; all in all {_cost(story.cost)}"
    after = "" if story.duration is None else f" after {_seconds(story.duration)}"
    why = f": {story.failure}" if story.failure is not None else ""
    match story.ended:
        case "served":
            return f"served{after} by {story.target}{spent}"
        case "cut":
            return f"cut{after}{why}; the client was told in the stream{spent}"
        case "cancelled":
            return f"the client left{after}{spent}"
        case "failed":
            message = f" ({story.message})" if story.message else ""
            asked = "" if story.attempts else ", no target was asked"
            return f"refused{after} with {story.status}{why}{message}{asked}{spent}"
        case _:
            return f"no end on record: it is still on its way, or its server was killed{spent}"


def _cost(cost: Decimal) -> str:
    if cost == 0:
        return "free"
    return f"${cost:.6f}".rstrip("0").rstrip(".") if cost >= _MICRO else f"${dollars(cost)}"


# In words --------------------------------------------------------------------------------------------------------


def _said(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "yes" if value is True else str(value)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s"


def _moment(at: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at, zone).isoformat(" ", "milliseconds").partition("+")[0]


def _clock(at: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S")


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def _wrapped(start: str, text: str) -> Iterator[str]:
    """`start` is blank in the lines that follow."""
    indent = " " * max(len(start), 4)
    yield from textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False) or [
        start.rstrip()
    ]
