"""`backends:` - where models are served."""

from __future__ import annotations

from proxy.config.extensions import extension, installed
from proxy.config.kinds import BACKEND_TYPES, BackendType
from proxy.config.spec.health import PROBE
from proxy.config.spec.limiting import concurrency, limits
from proxy.config.spec.money import budgets
from proxy.config.spec.numbers import Whole
from proxy.config.spec.options import options_of
from proxy.config.spec.scalars import Choice, Flag, Text, Url
from proxy.config.spec.settings import PREFILL, SETTINGS
from proxy.config.spec.shapes import Implied, Key, ListOf, MapOf, Table, Variants
from proxy.config.values import Backend, LocalModel

_M = LocalModel("")
_B = Backend("", "")

BACKEND_NAME = Text("a backend's name: letters, digits, . _ -", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
MODEL_NAME = Text("a model's name: printable, without spaces", r"^[!-~]{1,256}$")
API_KEY = Text("a key: printable, without spaces", r"^[!-~]*$", secret=True)
LINE = Text("a line of text")

MODEL = Table(
    "a local model",
    (
        Key(
            "package",
            Text("a Python distribution's name", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"),
            "An installed Python distribution that carries one .gguf file. Either this or `path`.",
        ),
        Key("path", LINE, "A .gguf file. Either this or `package`."),
        Key("n_ctx", Whole(64, 10_000_000), "Context of each slot, in tokens.", _M.n_ctx),
        Key("parallel", Whole(1, 256), "Requests worked on at once (llama-cpp-python always does one).", _M.parallel),
        Key("queue", Whole(0, 100_000), "Requests that may wait beyond those; more go to the next target.", _M.queue),
        Key("threads", Whole(1, 4096), "Threads; without it the engine decides."),
        Key("gpu_layers", Whole(0, 100_000), "Layers to put on a GPU.", _M.gpu_layers),
        Key("embedding", Flag(), "Serve embeddings (mean pooling) instead of chat.", _M.embedding),
        Key("preload", Flag(), "Load at start, not at the first request.", _M.preload),
        Key(
            "chat_template",
            Text("a Jinja template", r"[^\s]", lines=True),
            "A Jinja template instead of the model's own.",
        ),
    ),
)

_NETWORK = (
    Key(
        "api_key",
        API_KEY,
        'The key, as "${VAR}" or "${file:/run/secrets/x}". Without one, and without another `base_url`, the variable '
        "is looked for that the provider's own tools use, such as GROQ_API_KEY (docs/providers.md); else none is sent.",
    ),
    Key(
        "api_keys",
        ListOf("api_keys", API_KEY, least=1, distinct=True, some_may_be_unset=True),
        "Several keys instead of `api_key`, used in turn. One that is refused, used up or limited rests by itself, and "
        "the next one is tried at once. Unset variables among them are passed over.",
    ),
    concurrency("Requests in flight at all its targets together."),
    limits("What all its targets together are sent; one that is at its limit is passed over.", at_once=False),
    budgets("What may be spent at it; beyond that it is passed over."),
    PREFILL,
    PROBE,
    *SETTINGS,
)
_OURS = (
    Key(
        "models",
        MapOf("models", MODEL_NAME, MODEL, least=1),
        "The models, by the names that targets use.",
        required=True,
    ),
    Key("engine", Choice(("auto", "xllamacpp", "llama-cpp-python")), "auto: whichever is installed.", _B.engine),
    Key(
        "isolation",
        Choice(("process", "none")),
        "process: a crash of the library costs one attempt. none: runs inside Wayline's own process.",
        _B.isolation,
    ),
    concurrency("Requests in flight at all its targets together."),
    limits("What all its targets together are sent; one that is at its limit is passed over.", at_once=False),
    budgets("What may be spent at it; beyond that it is passed over."),
    PREFILL,
    *SETTINGS,
)


_KEYS = frozenset({"api_key", "api_keys", "token_command", "token_file"})
_KEY_HEADERS = frozenset({"api-key", "authorization", "x-api-key", "x-goog-api-key"})


def _table(row: BackendType) -> Table:
    kind = Key("type", Choice((row.name,)), row.doc, required=True)
    if row.ours:
        return Table(f"a backend of type {row.name}", (kind, *_OURS), variables_may_be_unset=True)
    address = Key("base_url", Url(), row.address, row.base_url, required=row.base_url is None)
    keys = (kind, address, *options_of(row.name), *_NETWORK)
    return Table(f"a backend of type {row.name}", keys, variables_may_be_unset=True, implied=_implied(row))


def _implied(row: BackendType) -> Implied | None:
    """A type's own variable counts where the file names no key: nor another address, to which it would not belong."""
    if not row.key_variable:
        return None
    elsewhere = {"base_url"} if row.base_url is not None else set()
    return Implied("api_key", row.key_variable, _KEYS | elsewhere, _KEY_HEADERS)


def _brought(name: str) -> Table | None:
    """The table of a type that another package brings. Raises `ValueError` where it cannot be used."""
    found = extension(name)
    return None if found is None else _table(found.kind)


BACKEND = Variants(
    "a backend",
    "type",
    "What it speaks: " + "; ".join(f"`{row.name}`: {row.doc}" for row in BACKEND_TYPES.values()) + ".",
    {row.name: _table(row) for row in BACKEND_TYPES.values()},
    more=_brought,
    names_of_more=installed,
)
BACKENDS = MapOf("backends", BACKEND_NAME, BACKEND, least=1)
