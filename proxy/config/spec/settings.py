"""Settings that may stand on a backend, a route or a target: the nearest wins."""

from __future__ import annotations

from proxy.config.spec.numbers import Duration, Money, Whole
from proxy.config.spec.scalars import Flag, Text
from proxy.config.spec.shapes import Json, Key, ListOf, MapOf, Table
from proxy.core.route import Retry, Timeouts

_T = Timeouts()
_R = Retry()

TIMEOUTS = Table(
    "timeouts",
    (
        Key("connect", Duration(), "Name lookup, TCP and TLS together.", _T.connect),
        Key(
            "first",
            Duration(),
            "To the first content. 300 for local backends: a model may have to be loaded.",
            _T.first,
        ),
        Key("idle", Duration(), "Between two events with content.", _T.idle),
        Key("total", Duration(), "The whole request, all its attempts together.", _T.total),
    ),
)
RETRY = Table(
    "retry",
    (
        Key(
            "same_target",
            Whole(0, 20),
            "More tries at the same target, before the next one. Without it 1 at the last target, 0 at the others.",
            _R.same_target,
        ),
        Key(
            "patience",
            Duration(zero=True),
            "The longest Retry-After that is waited out at the same target instead of going elsewhere.",
            _R.patience,
        ),
    ),
)
PRICE = Table(
    "a price",
    (
        Key("input", Money(), "Input tokens.", required=True),
        Key("output", Money(), "Output tokens (0 for embeddings).", required=True),
        Key("cached_input", Money(), "Input tokens read from the provider's cache; without it they cost as input."),
        Key("cache_write", Money(), "Input tokens written to the provider's cache; without it they cost as input."),
        Key("reasoning", Money(), "Reasoning tokens; without it they cost as output."),
        Key("audio_input", Money(), "Tokens of sound that goes in; without it they cost as input."),
        Key("audio_output", Money(), "Tokens of sound that comes out; without it they cost as output."),
        Key("image_input", Money(), "Tokens of pictures that go in; without it they cost as input."),
        Key("image_output", Money(), "Tokens of pictures that come out; without it they cost as output."),
        Key("cache_write_1h", Money(), "Input tokens cached for an hour; without it they cost as `cache_write`."),
    ),
)

FRAMING = frozenset(
    {
        *("host", "connection", "content-length", "content-type", "transfer-encoding", "te", "trailer", "upgrade"),
        *("keep-alive", "expect", "accept-encoding", "proxy-authorization", "proxy-connection"),
    }
)
"""Headers that belong to the message's framing or to Wayline itself (RFC 9110 section 7.6.1, RFC 9112 section 6)."""
HEADERS = MapOf(
    "headers",
    Text("a header's name that is not Wayline's own", r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", refused=FRAMING),
    Text("one line of text", r"^[\t -~\u0080-\u00ff]*$", secret=True),
)

RESERVED = frozenset({"model", "messages", "input", "stream", "stream_options"})
"""Parameters that decide what an answer is; Wayline sets or hands on these itself."""
PARAM = Text(
    "the name of a request parameter other than " + ", ".join(sorted(RESERVED)),
    r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$",
    refused=RESERVED,
)
PARAMS = Table(
    "params",
    (
        Key("defaults", MapOf("defaults", PARAM, Json()), "Request parameters used where the client gave none."),
        Key("overrides", MapOf("overrides", PARAM, Json()), "Request parameters that replace the client's."),
    ),
)

CAPABILITIES = Table(
    "capabilities",
    (
        Key("context", Whole(1, 1_000_000_000), "Tokens of input and output together."),
        Key("output", Whole(1, 1_000_000_000), "Tokens of one answer, at most."),
        Key("vision", Flag(), "It takes pictures."),
        Key("audio", Flag(), "It takes sound."),
        Key("files", Flag(), "It takes documents."),
        Key("tools", Flag(), "It calls functions."),
        Key("json_schema", Flag(), "Its answers keep to a schema."),
        Key("reasoning", Flag(), "It reasons before it answers."),
        Key("embeddings", Flag(), "It makes vectors."),
        Key("n", Flag(), "It gives several answers to one request."),
        Key("logprobs", Flag(), "It tells how probable each token was."),
        Key("audio_output", Flag(), "It answers in sound."),
    ),
)

SETTINGS = (
    Key("timeouts", TIMEOUTS, "How long to wait for what. Nearest wins, key by key."),
    Key("retry", RETRY, "More tries at the same target. Nearest wins, key by key."),
    Key("price", PRICE, "US dollars per million tokens; without it genai-prices is asked. Nearest wins, as a whole."),
    Key("headers", HEADERS, "More request headers. Nearest wins, name by name; values are never printed."),
    Key("params", PARAMS, "Request parameters to add or replace. Nearest wins, name by name."),
    Key(
        "capabilities",
        CAPABILITIES,
        "What the model can do, where Wayline does not know it or knows it wrong. Nearest wins, key by key.",
    ),
    Key("drop", ListOf("drop", PARAM), "Request parameters that a target does not take. All levels add up."),
)

PREFILL = Key(
    "prefill",
    Flag(),
    "It continues a partial answer that stands as the last message. Without it, as is known of the backend's type. "
    "Nearest wins.",
)
"""May stand on a backend or a target."""
