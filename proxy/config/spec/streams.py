"""What a route says about its streams: after a cut, while nothing comes, when it comes too slowly."""

from __future__ import annotations

from proxy.config.spec.numbers import After, Duration, Rate, Share, Whole
from proxy.config.spec.scalars import Choice
from proxy.config.spec.shapes import Key, ListOf, Table
from proxy.core.outcome import How
from proxy.core.route import Hedge, OnCut, Route

_R = Route("", ())
_H = Hedge()

WAYS = tuple(how.value for how in How if how not in (How.FRESH, How.SPARE))
"""The ways of going on after a cut."""

CONTINUE = Table(
    "continue",
    (
        Key(
            "by",
            ListOf("by", Choice(WAYS), least=1, distinct=True),
            "The ways of going on, in the order of trying. exact: our own engine makes the answer again, token by "
            "token. prefill: a target continues the partial answer. replay: asked from the start, it must begin with "
            "what was sent. ask: told in words to go on; the seam may show.",
            [how.value for how in _R.continue_by],
        ),
        Key(
            "exact_within",
            Duration(zero=True),
            "How long making an answer again may take; beyond it the tokens that were sent are taken as they are, "
            "all at once.",
            _R.exact_within,
        ),
    ),
)
HEDGE = Table(
    "hedge",
    (
        Key(
            "after",
            After(),
            "Without content for so long the next target starts too; p95: the first one's own 95th percentile.",
            "p95",
        ),
        Key("max", Whole(1, 10), "Further attempts a request, at most.", _H.max),
        Key("budget", Share(), "Share of the requests that may be hedged.", _H.budget),
    ),
)

STREAMS = (
    Key(
        "on_cut",
        Choice(tuple(policy.value for policy in OnCut)),
        "A stream dies after content was sent. continue: another try goes on where it broke off, if that can be done "
        "honestly. error: the client is told at once. hold: nothing is sent before the answer is complete.",
        _R.on_cut.value,
    ),
    Key("hold", Choice(("tools",)), "tools: only tool calls and structured output are held until they are complete."),
    Key("continue", CONTINUE, "How to go on after a cut."),
    Key("max_continuations", Whole(0, 10), "How often one answer may be continued.", _R.max_continuations),
    Key(
        "keep_alive",
        Duration(),
        "A stream's client that got nothing for so long gets a comment, so that nothing on the way gives up.",
        _R.keep_alive,
    ),
    Key(
        "hedge", HEDGE, "A second target is started when no content comes; the first to give some wins. Off without it."
    ),
    Key(
        "min_rate",
        Rate(),
        "Tokens a second. A stream that is slower over 10 s counts as stalled. Without it, or with null, none does.",
    ),
)
"""Keys of a route."""
