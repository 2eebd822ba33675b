"""What a route says about choosing among its targets."""

from __future__ import annotations

from proxy.config.spec.numbers import Dollars, Duration, Hours, Positive, Rate, Share, Span, Whole
from proxy.config.spec.scalars import Choice, Flag, Text
from proxy.config.spec.shapes import Either, Key, ListOf, MapOf, Table, Type
from proxy.core.ability import CAPABILITIES
from proxy.core.choice.policy import STRATEGIES, Group, Policy, Ucb, Weights
from proxy.core.choice.wish import ASKABLE, PRIORITIES

_P = Policy(Group("", ()))
_W = Weights()
_U = Ucb()

NAME = Text("a name: letters, digits, . _ -", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
WORD = Text("a word", r"^[!-~]{1,256}$")
LIKE = Text("a text, in which * stands for anything", r"^[ -~]{1,256}$")
_NAMES = ListOf("names", WORD, least=1, distinct=True)

_CONDITIONS = (
    Key("max_cost", Dollars(), "US dollars that a request may be expected to cost; a target without a price is out."),
    Key("max_latency_ms", Whole(1, 10_000_000), "To the first content, as measured; what is not known passes."),
    Key("min_speed", Rate(), "Tokens a second, as measured; what is not known passes."),
    Key("context", Whole(1, 1_000_000_000), "Tokens that a model takes; what is not known passes."),
    Key(
        "capabilities",
        ListOf("capabilities", Choice(CAPABILITIES), least=1, distinct=True),
        "What a model must be able to do; what is not known passes.",
    ),
    Key("exclude", _NAMES, "Targets, backends or models that are not asked."),
    Key("only", _NAMES, "Targets, backends or models besides which none is asked."),
    Key("free", Flag(), "Only targets that are known to cost nothing."),
    Key("local_only", Flag(), "Only targets on this machine."),
)
REQUIRE = Table("require", _CONDITIONS)
SET = Table(
    "set",
    (
        *_CONDITIONS,
        Key("strategy", Choice(ASKABLE), "As of the route."),
        Key("task", WORD, "For `fallback_by_task`."),
        Key("priority", Choice(PRIORITIES), "For the queue and for `score`, whatever the request says."),
    ),
)
WHEN = Table(
    "when",
    (
        Key("priority", Choice(PRIORITIES), "As the request says it; normal where it does not."),
        Key("task", WORD, "Likewise."),
        Key("agent", WORD, "Likewise."),
        Key("tag", WORD, "One of its tags, or of those of its key."),
        Key("key", WORD, "The name of the caller's key."),
        Key("tokens", Span(), "Estimated tokens of input."),
        Key("output", Span(), "Tokens that it asks for at most; one that does not say is not meant."),
        Key("has", ListOf("has", Choice(CAPABILITIES), least=1, distinct=True), "What it needs: all of them."),
        Key("hour", Hours(), "Of the machine's local day."),
        Key(
            "header",
            MapOf("header", Text("a header's name", r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"), LIKE, least=1),
            "Headers of the request; `*` stands for anything.",
        ),
        Key("model_matches", LIKE, "The model that it names; `*` stands for anything."),
    ),
)
RULE = Table(
    "a rule",
    (
        Key("when", WHEN, "All of it must hold; without it the rule always does."),
        Key("use", WORD, "A group, a strategy or a target: no others than these."),
        Key("set", SET, "Conditions and words that the request gets besides its own."),
    ),
)
SCORE = Table(
    "score",
    (
        Key("capability", Share(), "What the request needs is known to be there.", _W.capability),
        Key("cost", Share(), "Against the mean of the targets.", _W.cost),
        Key("performance", Share(), "Likewise.", _W.performance),
        Key("availability", Share(), "Attempts that served.", _W.availability),
        Key("quality", Share(), "What answers have been worth, where some were rated (docs/quality.md).", _W.quality),
    ),
)
UCB = Table(
    "ucb",
    (
        Key("exploration", Positive(), "The more, the more is tried out.", _U.exploration),
        Key("min_trials", Whole(1, 10_000), "Attempts before a target is judged.", _U.min_trials),
        Key("window", Duration(), "What was longer ago is forgotten.", _U.window),
        Key("success", Share(), "The part of an answer's worth that it came at all.", _U.success),
        Key("latency", Share(), "That it came soon (2 s: a half of it).", _U.latency),
        Key("cost", Share(), "That it was cheap ($0.001: a half of it).", _U.cost),
        Key("quality", Share(), "What the target's answers have been worth, where some were rated.", _U.quality),
    ),
)
STRATEGY = Key(
    "strategy",
    Choice(STRATEGIES),
    "In which order targets are tried (docs/choosing.md). order: as written; weighted: in turns by `weight`; "
    "least_latency; least_busy; cheapest: for this request; score; ucb: learns which one is best; fallback_by_task: by "
    "`tasks`; custom: a function of yours.",
    "order",
)
WEIGHT = Key("weight", Whole(1, 1_000_000), "Its share, for `weighted`.", 1)
TASK = Either(
    WORD,
    Table(
        "a target or group",
        (
            Key("name", WORD, "A target or a group of this route.", required=True),
            Key("weight", Whole(1, 1_000_000), "Those that have one take turns by it, before the others."),
        ),
    ),
)
GROUP = Key("group", NAME, "A group of this route instead of a target.")


def choosing(target: Type) -> tuple[Key, ...]:
    """Keys of a route. `target`: the type of an item of `targets`."""
    group = Table(
        "a group",
        (
            Key("targets", ListOf("targets", target, least=1), "As of a route; groups nest.", required=True),
            STRATEGY,
        ),
    )
    return (
        STRATEGY,
        Key("groups", MapOf("groups", NAME, group), "Targets that stand in one place, in an order of their own."),
        Key("require", REQUIRE, "Conditions that targets must meet, for every request."),
        Key("rules", ListOf("rules", RULE), "The first one that holds says what is used, before the strategy."),
        Key(
            "tasks",
            MapOf("tasks", WORD, ListOf("names", TASK, least=1)),
            "For `fallback_by_task`: targets or groups that come first.",
        ),
        Key("score", SCORE, "The weights of `score`."),
        Key("ucb", UCB, "How `ucb` learns."),
        Key(
            "custom",
            Text("module:name of a function", r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"),
            "For `custom` (docs/choosing.md).",
        ),
        Key(
            "prefer_other_backend",
            Flag(),
            "After a failure comes a target of another backend, where there is one.",
            _P.prefer_other_backend,
        ),
        Key("exclude_failed", Duration(), "A target that failed is left out for so long, while others are left."),
        Key(
            "sticky",
            Flag(),
            "A conversation stays with the target that served it, while that is well: the prompt is in its cache.",
            _P.sticky,
        ),
        Key("warm", Choice(("only",)), "only: no target that would have to be loaded before it answers."),
    )
