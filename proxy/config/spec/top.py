"""The whole file, from the top."""

from __future__ import annotations

from proxy.config.spec.admin import ADMIN
from proxy.config.spec.attending import ATTENDING, FEEDBACK_OF_ALL, SAFETY, SCREEN_OF_ALL
from proxy.config.spec.backends import BACKENDS, LINE
from proxy.config.spec.choosing import GROUP, WEIGHT, choosing
from proxy.config.spec.health import ALERTS, PROBE
from proxy.config.spec.limiting import concurrency, limits, queue
from proxy.config.spec.money import OF_KEYS, TOP_BUDGETS, budgets
from proxy.config.spec.numbers import Duration, Size, Whole
from proxy.config.spec.scalars import Choice, Flag, Off, Text
from proxy.config.spec.settings import PREFILL, SETTINGS
from proxy.config.spec.shapes import Either, Key, ListOf, MapOf, Table
from proxy.config.spec.streams import STREAMS
from proxy.config.values import Cors, Listen, Store, Why
from proxy.core.route import Route, Unsupported

_L = Listen()
_C = Cors(())
_R = Route("", ())
_S = Store()
_W = Why()

LISTEN = Table(
    "listen",
    (
        Key(
            "host",
            Text("an address or host name", r"^[A-Za-z0-9._:-]{1,253}$"),
            "Another than a loopback address needs `keys`.",
            _L.host,
        ),
        Key("port", Whole(0, 65535), "0: any free one.", _L.port),
        Key("header_timeout", Duration(), "For the whole head of a request.", _L.header_timeout),
        Key("body_timeout", Duration(), "For the whole body of a request.", _L.body_timeout),
        Key("write_timeout", Duration(), "A client that takes nothing for this long is gone.", _L.write_timeout),
        Key("keep_alive", Duration(), "An idle connection is closed after this.", _L.keep_alive),
        Key("drain", Duration(zero=True), "After SIGTERM, open streams may go on for this long.", _L.drain),
        Key("max_header", Size(), "Largest head of a request.", _L.max_header),
        Key("max_body", Size(), "Largest body of a request.", _L.max_body),
        Key("max_depth", Whole(4, 512), "Deepest nesting of a JSON body.", _L.max_depth),
        Key("max_connections", Whole(1, 1_000_000), "Most connections of clients at once.", _L.max_connections),
    ),
)
LEDGER_PATH = "./wayline.db"
LEDGER = Table(
    "ledger",
    (
        Key("path", LINE, "The SQLite database.", LEDGER_PATH),
        Key("why_days", Whole(1, 3650), "Why a request went where it went is forgotten after so long.", _W.days),
        Key("why_rows", Whole(0, 1_000_000_000), "Requests of which that is kept, at most; 0: none.", _W.rows),
    ),
)
STATE = Table("state", (Key("path", LINE, "The SQLite database; without it one beside the ledger's.", required=True),))
STORE = Table(
    "store",
    (
        Key("path", LINE, "The SQLite database: prompts and answers stand in it.", _S.path),
        Key("days", Whole(1, 3650), "A response that was not gone on from for so long is forgotten.", _S.days),
    ),
)

_NAME = Text("a name: letters, digits, . _ @ -", r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")
KEY = Table(
    "a caller's key",
    (
        Key("name", _NAME, "Whose key it is, for log and ledger.", required=True),
        Key(
            "key",
            Text("a key: printable, without spaces", r"^[!-~]+$", secret=True),
            'The key, as "${VAR}" or "${file:/run/secrets/x}". Either this or `key_sha256`.',
        ),
        Key(
            "key_sha256",
            Text("64 hexadecimal digits", r"^[0-9A-Fa-f]{64}$", secret=True),
            "The key's SHA-256 in hexadecimal.",
        ),
        limits("What may be asked with it (docs/limits.md)."),
        Key("weight", Whole(1, 1000), "Its share of the turns in the queue, against other keys.", 1),
        *OF_KEYS,
    ),
)
CORS = Table(
    "cors",
    (
        Key(
            "origins",
            ListOf(
                "origins",
                Text("an origin like https://app.example, or *", r"^(\*|https?://[A-Za-z0-9.:\[\]-]+)$"),
                least=1,
            ),
            "Origins that a browser may call from; `*` alone for any.",
            required=True,
        ),
        Key("max_age", Duration(), "How long a browser may remember it.", float(_C.max_age)),
    ),
)

TARGET_NAME = Text("backend/model", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[!-~]{1,256}$")
_EACH = "Requests in flight at a target of this route; beyond it the next target is tried."
TARGET = Either(
    TARGET_NAME,
    Table(
        "a target",
        (
            Key("target", TARGET_NAME, "backend/model. Either this or `group`."),
            GROUP,
            WEIGHT,
            concurrency("Requests in flight at this target; beyond it the next one is tried."),
            limits("What it is sent; at its limit it is passed over.", at_once=False),
            PREFILL,
            PROBE,
            SAFETY,
            *SETTINGS,
        ),
    ),
)
ROUTE_NAME = Text("a route's name: letters, digits, . _ : @ / -", r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$")
ROUTE = Table(
    "a route",
    (
        Key(
            "targets",
            ListOf("targets", TARGET, least=1),
            "Tried in this order, or in that of `strategy`.",
            required=True,
        ),
        Key("max_attempts", Whole(1, 100), "Most targets that one request tries.", _R.max_attempts),
        Key(
            "reply_model",
            Choice(("upstream", "route")),
            "The answer's `model`: the one that served, or the route's name.",
            "upstream",
        ),
        Key(
            "reply_cost",
            Flag(),
            "`usage.cost` of an answer says what it cost in US dollars, where that is known; in streams where usage "
            "was asked for.",
            _R.reply_cost,
        ),
        Key(
            "same_vectors",
            Flag(),
            "Your word that all targets embed into the same space: embeddings may fail over to another model.",
            _R.same_vectors,
        ),
        Key(
            "on_filter",
            Choice(("error", "next")),
            "A content filter's refusal: told to the client, or tried at the next target.",
            "error",
        ),
        Key(
            "unsupported",
            Choice(tuple(policy.value for policy in Unsupported)),
            "What a target cannot express of a request. next: targets of the route that can are asked first, and only "
            "where none can it is left out; drop: it is left out, and named in `x-wayline-dropped`; refuse: the "
            "target is not asked.",
            _R.unsupported.value,
        ),
        *choosing(TARGET),
        *STREAMS,
        concurrency(_EACH),
        limits("What may be asked of it."),
        budgets("What may be spent by it."),
        queue("Instead of that at the top; false: nobody waits."),
        *ATTENDING,
        *SETTINGS,
    ),
)

TOP = Table(
    "the configuration",
    (
        Key("listen", LISTEN, "Where Wayline listens, and the bounds on clients."),
        Key("ledger", Either(Off(), LEDGER), "Where every attempt is put on record; false: nowhere."),
        Key(
            "state",
            Either(Off(), STATE),
            "Where callers' keys are, and what was learnt of targets, over restarts; false: nowhere.",
        ),
        Key(
            "store",
            STORE,
            "Keeps what `/v1/responses` is asked and answers, so that `previous_response_id` works; without it nothing "
            "of a prompt or an answer is stored. Each key sees its own only.",
        ),
        Key("keys", ListOf("keys", KEY), "Keys of callers; without any, nobody is asked for one (loopback only)."),
        limits("What may be asked of all routes together."),
        queue(
            "Where requests wait while no target has a place for them, or a limit will let them through in time; "
            "without it they are refused (docs/limits.md)."
        ),
        TOP_BUDGETS,
        SCREEN_OF_ALL,
        FEEDBACK_OF_ALL,
        ALERTS,
        Key("cors", CORS, "Which web pages may call; without it none."),
        Key("admin", ADMIN, "An API and a page for operators, with keys of their own; without it there is none."),
        Key("direct", Flag(), "Requests may name `backend/model` instead of a route.", False),
        Key(
            "tokenizers",
            Flag(),
            "Where an estimate may decide wrongly whether a request fits a target, and where no upstream reported "
            "usage (of a stream that was cut), tokens of OpenAI's models are counted by tiktoken "
            "(`pip install 'wayline[tokenizers]'`); it fetches each vocabulary once. Without it by characters.",
            False,
        ),
        Key(
            "log",
            Choice(("auto", "json", "pretty")),
            "auto: pretty on a terminal, else one JSON line a request.",
            "auto",
        ),
        Key("backends", BACKENDS, "Where models are served, by name.", required=True),
        Key(
            "routes",
            MapOf("routes", ROUTE_NAME, ROUTE, least=1),
            "Virtual models, by the name that clients ask for.",
            required=True,
        ),
    ),
)
