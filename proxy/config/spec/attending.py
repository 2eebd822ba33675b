"""What is looked for in requests and answers, and how answers are evaluated."""

from __future__ import annotations

from proxy.config.spec.numbers import Dollars, Duration, Share, Whole
from proxy.config.spec.scalars import Choice, Flag, Off, Text
from proxy.config.spec.shapes import Either, Key, ListOf, Table
from proxy.core.quality.policy import Feedback, Quality
from proxy.core.screen.rule import ACTIONS, ALSO, DELAY, HOLD, SEVERITIES, WAIT

_Q = Quality()
_F = Feedback()
_ROUTE = Text("a route's name", r"^[!-~]{1,128}$")
_CATEGORY = Text("a category: letters, digits, . _ / -", r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")
_TERM = Text("a term of at most 200 characters", r"^[^\u0000-\u001f\u007f]{1,200}$")

RULE = Table(
    "a rule of the screen",
    (
        Key("name", _CATEGORY, "In headers, metrics and log; without it its category, or its moderation."),
        Key("category", _CATEGORY, "What it finds. Of a `moderation` without it as that says."),
        Key("severity", Choice(SEVERITIES), "For the log, and for `action` where that is not said.", "high"),
        Key(
            "terms",
            ListOf("terms", _TERM, least=1),
            "Words and phrases, as whole words unless a * stands at an end. Case, width, accents and invisible "
            "characters make no difference.",
        ),
        Key(
            "patterns",
            ListOf("patterns", Text("a regular expression (RE2)", r"^.{1,1000}$"), least=1),
            "Regular expressions of RE2, whose time is linear (`pip install 'wayline[screen]'`). Case makes no "
            "difference unless they say (?-i).",
        ),
        Key(
            "moderation",
            Text("a route's name, or backend/model", r"^[!-~]{1,128}$"),
            "A route, or a target, that is asked at /v1/moderations.",
        ),
        Key("above", Share(), "Score from which a moderation's category counts; without it where it is flagged."),
        Key(
            "unavailable",
            Choice(("refuse", "pass")),
            "Where the moderation does not answer: a request gets a 503, an answer is withheld; or nothing was found.",
            "refuse",
        ),
        Key("when", _CATEGORY, "It looks for nothing, but says what follows this category, whoever found it."),
        Key(
            "action",
            Choice(ACTIONS),
            "refuse: the request gets a 400, an answer ends with finish_reason content_filter. flag: header, metric "
            "and log. Without it refuse for severity high, else flag.",
        ),
        Key("use", _ROUTE, "Of `input`: this route answers instead."),
        Key(
            "resources",
            Text("a text", r"^[^\u0000]{1,4000}$", lines=True),
            "Is added to the end of the answer, which is let through.",
        ),
    ),
)
SCREEN = Table(
    "screen",
    (
        Key("input", ListOf("input", RULE), "What is looked for in messages of users and tools."),
        Key("output", ListOf("output", RULE), "What is looked for in answers."),
        Key(
            "also",
            ListOf("also", Choice(ALSO)),
            "Other endpoints whose requests `input` looks at, too; of `images` and `audio` the prompt.",
        ),
        Key(
            "hold",
            Whole(1, 4096),
            "Characters at the end of a stream that are held back for `patterns`: the longest that they find for "
            "certain. For terms only what may be the beginning of one is held.",
            HOLD,
        ),
        Key("delay", Duration(), "For terms and patterns nothing is held back for longer.", DELAY),
        Key(
            "wait",
            Duration(),
            "A moderation that takes longer does not answer. What it has not judged of a stream is held back.",
            WAIT,
        ),
    ),
)
QUALITY = Table(
    "quality",
    (
        Key("share", Share(), "Of the answers that are evaluated, once the client has them.", _Q.share),
        Key(
            "min_quality",
            Share(),
            "A target whose answers are worth less on average raises an alert.",
            _Q.min_quality,
        ),
        Key(
            "retry_low_quality",
            Flag(),
            "An answer that was not streamed and is worth less than `min_quality` is asked for at the next target as "
            "well, within max_attempts and time; the better one is delivered, both are paid.",
            _Q.retry,
        ),
        Key("judge", _ROUTE, "A route whose model rates answers too; without it none does."),
        Key("judge_share", Share(), "Of the evaluated answers.", _Q.judge_share),
        Key("judge_budget", Dollars(), "US dollars a day that the judge may spend; without it as much as it does."),
    ),
)
FEEDBACK = Table(
    "feedback",
    (
        Key("comments", Flag(), "Comments are stored too; else only scores are.", _F.comments),
        Key("within", Duration(), "So long after it a request can be rated.", _F.within),
        Key("days", Whole(1, 3650), "So long it is stored.", _F.days),
    ),
)

ATTENDING = (
    Key("quality", QUALITY, "Answers are evaluated; without it none is."),
    Key("screen", Either(Off(), SCREEN), "What is looked for here besides what the top says; false: nothing at all."),
    Key(
        "min_safety",
        Whole(0, 10),
        "Targets whose `safety` is less, or that have none, are left out.",
        0,
    ),
)
"""Keys of a route."""
SAFETY = Key("safety", Whole(0, 10), "Your rating of its model, for `min_safety`.")
SCREEN_OF_ALL = Key("screen", SCREEN, "What is looked for in the requests and answers of all routes.")
FEEDBACK_OF_ALL = Key(
    "feedback",
    Either(Off(), FEEDBACK),
    "`POST /v1/feedback` takes callers' ratings of their requests; it needs `ledger` and `state`. false: not.",
)
