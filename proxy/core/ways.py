"""How an answer that was cut can be gone on with, the best way first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from proxy.core.failure import FailureKind
from proxy.core.outcome import How
from proxy.core.route import OnCut, Route, Target

MOST = 5
"""Ways that are tried after one cut: each may cost money."""
NEVER = frozenset(
    {FailureKind.FILTERED, FailureKind.CLIENT_GONE, FailureKind.TOTAL_TIMEOUT, FailureKind.CONTEXT_LENGTH}
)
"""After these an answer is not gone on with. (The context's length: it was an answer to a part of the prompt.)"""


class Way(NamedTuple):
    """One way of going on after a cut."""

    how: How
    target: Target


class Partial(NamedTuple):
    """What is known of the answer that was cut."""

    chars: int
    plain: bool
    """It is content only: no tool call and no reasoning was sent."""
    too_long: bool
    choices: int


def ways(
    route: Route,
    targets: tuple[Target, ...],
    cut: Target,
    failure: FailureKind,
    body: Mapping[str, Any],
    partial: Partial,
    prefills: Collection[str],
    exacts: Collection[str],
    ill: Collection[str] = (),
) -> tuple[Way, ...]:
    """`targets`: those that may be asked; `ill`: names of those among them that come after all others; `cut`: the one
    whose stream died; `body`: the request's; `prefills` and `exacts`: names of the targets that continue an assistant
    message, and of those whose answers can be made again as they were."""
    if route.on_cut is not OnCut.CONTINUE or failure in NEVER or partial.too_long or partial.choices > 1:
        return ()
    if (body.get("n") or 1) != 1 or body.get("logprobs") or body.get("audio"):
        return ()
    # The targets after the one that died, then those before it, and it itself at last.
    at = targets.index(cut) if cut in targets else -1
    others = (*targets[at + 1 :], *targets[: max(at, 0)])
    again = _deterministic(body)
    # A grammar or a schema begins anew with each answer: it cannot be entered in the middle.
    enterable = partial.plain and not _structured(body)
    found: list[Way] = []
    for how in route.continue_by:
        if how is How.EXACT:
            found += _made_again(route, cut, enterable and cut.name in prefills) if again and cut.name in exacts else []
        elif how is How.PREFILL:
            found += [Way(how, t) for t in (*others, cut) if enterable and t.name in prefills]
        elif how is How.REPLAY:
            twins = [t for t in (*others, cut) if again and t.model == cut.model]
            found += [Way(how, t) for t in (*twins, *others)]
        elif how is How.ASK:
            found += [Way(how, t) for t in (*others, cut) if enterable]
    each = {(way.how, way.target.name): way for way in found}.values()
    return tuple(sorted(each, key=lambda way: way.target.name in ill) if ill else each)[:MOST]


def _made_again(route: Route, cut: Target, enterable: bool) -> list[Way]:
    """Where making it again takes too long, the same model goes on behind what it made."""
    found = [Way(How.EXACT, cut)]
    if enterable and How.PREFILL in route.continue_by:
        found.append(Way(How.PREFILL, cut))
    return found


def _deterministic(body: Mapping[str, Any]) -> bool:
    return body.get("temperature") == 0 or body.get("seed") is not None or body.get("top_k") == 1


def _structured(body: Mapping[str, Any]) -> bool:
    wanted = body.get("response_format")
    return (isinstance(wanted, dict) and wanted.get("type") != "text") or "grammar" in body
