"""A loaded configuration: frozen, complete, every reference resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proxy.core.key import Key
from proxy.core.limiting.values import NONE, Adaptive, Limits, Queue, Rate
from proxy.core.money.budget import NO_TERMS, Budget, Terms
from proxy.core.quality.policy import Feedback
from proxy.core.route import Route, Target
from proxy.core.secret import Secret
from proxy.core.vitals.policy import Alerting

if TYPE_CHECKING:
    from proxy.core.screen.policy import Screen


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the front door is, and its bounds (seconds, bytes)."""

    host: str = "127.0.0.1"
    port: int = 8080
    header_timeout: float = 10.0
    """For the whole head of a request, from its first byte (on a new connection: from its opening)."""
    body_timeout: float = 60.0
    """For the whole body."""
    write_timeout: float = 60.0
    """A client that takes nothing for this long while we have something for it is gone."""
    keep_alive: float = 75.0
    """An idle connection is closed after this."""
    drain: float = 30.0
    """After SIGTERM, open streams may go on for this long."""
    max_header: int = 32 * 1024
    max_body: int = 20 * 1024 * 1024
    max_depth: int = 64
    """Nesting of a JSON body."""
    max_connections: int = 10_000


@dataclass(frozen=True, slots=True)
class CallerKey:
    """A caller's key: only its SHA-256 is kept."""

    name: str
    sha256: bytes
    limits: Limits = NONE
    weight: float = 1.0
    """Its share of the turns in the queue, against other keys."""
    routes: frozenset[str] | None = None
    tags: tuple[str, ...] = ()
    owner: str = ""
    expires: float | None = None
    """Unix time from which it is not good; `None`: it is good for ever."""
    budgets: tuple[Budget, ...] = ()

    @property
    def key(self) -> Key:
        """What it may do."""
        return Key(self.name, self.routes, self.tags, self.owner, self.budgets, self.limits, self.weight)


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin API: only the SHA-256 of its keys are kept."""

    sha256: tuple[bytes, ...]
    path: str = "/admin"
    """Without a slash at the end."""


@dataclass(frozen=True, slots=True)
class Cors:
    """Origins that a browser may call from. Off (no `Cors` at all) by default."""

    origins: tuple[str, ...]
    """`*` alone stands for any."""
    max_age: int = 600


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that Wayline runs itself. Exactly one of `path` and `package` is set."""

    name: str
    path: str = ""
    package: str = ""
    """A Python distribution that carries one `.gguf` file."""
    n_ctx: int = 4096
    """Context of each slot, in tokens."""
    parallel: int = 1
    """Requests that are worked on at once (xllamacpp; llama-cpp-python always does one)."""
    queue: int = 16
    """Requests that may wait beyond those."""
    threads: int | None = None
    gpu_layers: int = 0
    embedding: bool = False
    """Serve `/v1/embeddings` from this model (mean pooling) instead of chat."""
    preload: bool = False
    chat_template: str | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """Somewhere that serves models."""

    name: str
    type: str
    base_url: str = ""
    """Without a slash at the end. Empty for backends that Wayline runs."""
    api_key: Secret | None = None
    """The key, or the first of `api_keys`."""
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    concurrency: int | None = None
    """Requests in flight at all its targets together."""
    adaptive: Adaptive | None = None
    """How that number is found, where it is not given."""
    rates: tuple[Rate, ...] = ()
    """What all its targets together are sent."""
    missing: tuple[str, ...] = ()
    """Names of the unset variables because of which it is not configured and left out; empty: it is in use."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only backends of its type have; see proxy/config/spec/options.py."""
    api_keys: tuple[Secret, ...] = ()
    """All keys, where there are several; else empty."""
    # llamacpp only
    engine: str = "auto"
    """`auto`, `xllamacpp` or `llama-cpp-python`."""
    isolation: str = "process"
    """`process` or `none`."""
    models: Mapping[str, LocalModel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Store:
    """Where responses are kept for `previous_response_id`: prompts and answers."""

    path: str = "./wayline-responses.db"
    days: int = 30
    """What was not used for so long is forgotten."""


@dataclass(frozen=True, slots=True)
class Why:
    """How long the ledger keeps why requests went where they went."""

    days: int = 7
    rows: int = 1_000_000
    """At most; 0: nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that a route names and that is not tried, with the reason in words."""

    route: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything `routes.yaml` says."""

    listen: Listen
    ledger: str | None
    """Path of the ledger's database; `None`: no ledger."""
    backends: Mapping[str, Backend]
    routes: Mapping[str, Route]
    """Only targets of backends that are in use. A route may have none left; then it answers 503."""
    left_out: tuple[LeftOut, ...] = ()
    keys: tuple[CallerKey, ...] = ()
    limits: Limits = NONE
    """Of all routes together."""
    queue: Queue | None = None
    """Of routes that say nothing of one; `None`: nobody waits."""
    budgets: Terms = NO_TERMS
    """But those of keys."""
    cors: Cors | None = None
    alerts: Alerting = Alerting()
    direct: bool = False
    """A request may name `backend/model` instead of a route."""
    direct_targets: Mapping[str, Target] = field(default_factory=dict)
    """Per backend in use, a target with an empty model that carries the backend's settings (timeouts, price…)."""
    tokenizers: bool = False
    """Where usage has to be estimated, OpenAI's models are counted by their own tokenizers (tiktoken)."""
    store: Store | None = None
    """`None`: no response is kept."""
    why: Why = Why()
    state: str | None = None
    """Path of the database of what outlives a process besides; `None`: nothing does."""
    admin: Admin | None = None
    """`None`: there is no admin API."""
    screen: Screen | None = None
    """What is looked for in what goes to targets without a route; routes have their own."""
    feedback: Feedback | None = Feedback()
    """`None`: callers cannot rate their requests."""
    log: str = "auto"
    """`auto` (pretty on a terminal, else JSON), `json` or `pretty`."""
    source: str = ""
    """The file it came from."""

    @property
    def moderations(self) -> tuple[str, ...]:
        """Targets that screens ask by their own names; the others are routes."""
        screens = [self.screen, *(route.screen for route in self.routes.values())]
        rules = [rule for screen in screens if screen is not None for rule in (*screen.input, *screen.output)]
        return tuple(sorted({rule.moderation for rule in rules if rule.moderation} - self.routes.keys()))
