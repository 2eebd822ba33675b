"""An engine on a stage: the network, the client and the ledger are played by the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from proxy.app.build import Builder
from proxy.config.load import load, read_secret
from proxy.config.values import Config
from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, EmbedRequest, Native
from proxy.core.choice.wish import Wish
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import Finish, Outcome
from proxy.core.tokens import Counter, of_text
from proxy.core.told import Told
from proxy.engine.caller import Won
from proxy.engine.engine import Engine
from proxy.engine.exchange import Exchange
from proxy.engine.gate import Gates
from proxy.engine.keys import Rings
from proxy.net.flight import Sink
from tests.upstream_answers import completion, delta, dumps, error, sse
from tests.upstream_steps import Send, Tokens

TIMES = {"connect": 1, "first": 10, "idle": 2, "total": 60}
SSE: Headers = [(b"content-type", b"text/event-stream")]
JSON: Headers = [(b"content-type", b"application/json")]
DONE = b"data: [DONE]\n\n"


def word(text: str) -> bytes:
    """An event with content."""
    return sse(delta({"content": text}))


def finish(reason: str = "stop") -> bytes:
    """An event with a finish_reason."""
    return sse(delta({}, reason))


def answer(text: str = "Hello") -> bytes:
    """A whole answer."""
    return dumps(completion(text, Tokens(7, 2)))


def refusal(status: int) -> bytes:
    """The body of an error."""
    (step,) = error(status).steps
    assert isinstance(step, Send)
    return step.data.partition(b"\r\n\r\n")[2]


@dataclass
class Flight:
    """One call. The test plays the upstream through `sink`."""

    origin: Origin
    call: HttpCall
    sink: Sink
    sent: bool = True
    aborted: bool = False
    paused: bool = False

    @property
    def resumed(self) -> bool:
        """Reading goes on."""
        return not self.paused

    def abort(self) -> None:
        self.aborted = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    @property
    def asked(self) -> Any:
        """The body that was sent."""
        return json.loads(self.call.body)

    @property
    def key(self) -> str:
        """The key that was sent."""
        return self.call.head.decode().partition("Authorization: Bearer ")[2].partition("\r\n")[0]

    @property
    def at(self) -> str:
        """The backend's letter."""
        return self.origin.host.removesuffix(".test")

    def stream(self, *events: bytes) -> None:
        """A stream begins."""
        self.sink.on_head(200, SSE)
        for event in events:
            self.sink.on_data(event)

    def whole(self, body: bytes = b"", status: int = 200, headers: Headers = JSON) -> None:
        """A whole answer."""
        self.sink.on_head(status, headers)
        self.sink.on_data(body or answer())
        self.sink.on_end()

    def fail(self, kind: FailureKind) -> None:
        """The call ends otherwise."""
        self.sink.on_failure(Failure(kind, "it went wrong"))


class Network:
    """Implements `Net`: keeps the calls."""

    def __init__(self) -> None:
        self.flights: list[Flight] = []
        self.dialing = False
        """Connections are not made at once."""

    def send(self, origin: Origin, call: HttpCall, sink: Sink, *, connect: float) -> Flight:
        flight = Flight(origin, call, sink, sent=not self.dialing)
        self.flights.append(flight)
        return flight


class Books:
    """Implements `Ledger` and `Observer`."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.finishes: list[Finish] = []
        self.told: list[Told] = []

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def tell(self, told: Told) -> None:
        self.told.append(told)

    async def close(self) -> None: ...

    def observe_outcome(self, outcome: Outcome) -> None: ...

    def observe_finish(self, finish: Finish) -> None:
        self.finishes.append(finish)


@dataclass
class Client:
    """Implements `Caller`. Raises where it is told anything that cannot follow what it was told before."""

    slow: bool = False
    body: bytes = b""
    opened: Won | None = None
    won: Won | None = None
    ends: list[str] = field(default_factory=list)
    failure: Failure | None = None
    retry_after: float | None = None

    def whole(self, body: bytes, won: Won) -> None:
        assert self.opened is None
        self.body = body
        self.won = won
        self._end("whole")

    def open(self, won: Won) -> None:
        assert self.opened is None and not self.ends
        self.opened = self.won = won

    def push(self, data: bytes) -> bool:
        assert self.opened is not None and not self.ends and data
        self.body += data
        return not self.slow

    def comment(self, text: str = "") -> None:
        self.body += b": wayline%b\n\n" % (f" {text}".encode() if text else b"")

    def close(self, last: bytes = b"") -> None:
        assert self.opened is not None
        self.body += last
        self._end("closed")

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        assert self.opened is None
        self.failure, self.retry_after = failure, retry_after
        self._end("refused")

    def broken(self, failure: Failure, chars: int | None) -> None:
        assert self.opened is not None
        self.failure = failure
        self._end("broken")

    def _end(self, how: str) -> None:
        assert not self.ends
        self.ends.append(how)


async def until(true: Callable[[], bool]) -> None:
    """Waits for what the event loop's clock brings about."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


@dataclass
class Asked:
    """One request on its way."""

    exchange: Exchange
    client: Client

    def pass_time(self, seconds: float) -> None:
        """Looks at its times as the engine would, for so many seconds from its beginning."""
        end = self.exchange.began + seconds
        while self.exchange.due <= end and not self.client.ends:
            self.exchange.tick(self.exchange.due + 1e-6)


class Stage:
    """An engine over the backends `a`, `b`, `c`, each with one target, `m`. `route` goes into the route `chat`.

    A target is a backend's letter, or what the configuration says of it."""

    def __init__(
        self,
        targets: Iterable[str | dict[str, Any]] = "ab",
        *,
        direct: bool = False,
        backends: Mapping[str, Mapping[str, Any]] | None = None,
        environ: Mapping[str, str] | None = None,
        counter: Callable[[str], Counter] = lambda _: of_text,
        **route: Any,
    ) -> None:
        """`backends`: what the configuration says of them besides, by their letter. `counter`: of a model's tokens."""
        price = {"input": 1, "output": 2}
        usual = {n: {"type": "openai", "base_url": f"http://{n}.test/v1", "price": price} for n in "abc"}
        given_backends = {n: {**one, **(backends or {}).get(n, {})} for n, one in usual.items()}
        given = {"targets": [f"{t}/m" if isinstance(t, str) else t for t in targets], "timeouts": TIMES}
        given |= {"on_cut": "error", "retry": {"same_target": 0}, **route}
        whole = {"backends": given_backends, "routes": {"chat": given}, "direct": direct}
        config = load(yaml.safe_dump(whole), environ or {}, "routes.yaml", read_secret)
        assert isinstance(config, Config), str(config)
        self.net = Network()
        self.books = Books()
        self.config = config
        self.gates = Gates()
        self.rings = Rings()
        self.roads = Builder(config, {}, self.gates, counter, self.rings).roads()
        self.engine = Engine(self.net, self.books, [self.books])
        self._ids: Iterator[int] = iter(range(10**9))

    @property
    def flights(self) -> list[Flight]:
        """All calls so far."""
        return self.net.flights

    def ask(
        self,
        model: str = "chat",
        *,
        stream: bool = True,
        embed: bool = False,
        slow: bool = False,
        native: Native | None = None,
        wish: Wish | None = None,
        **more: Any,
    ) -> Asked:
        """A request, started. `more` goes into its body."""
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], **more}
        request: ChatRequest | EmbedRequest
        if embed:
            request = EmbedRequest(b"", {"model": model, "input": "x", **more}, model, False, wish)
        else:
            request = ChatRequest(b"", {**body, "stream": True} if stream else body, model, stream, False, native, wish)
        road = self.roads.find(model)
        assert road is not None
        client = Client(slow=slow)
        exchange = self.engine.exchange(road, request, client, f"r{next(self._ids)}", "")
        exchange.start()
        return Asked(exchange, client)

    def busy(self) -> int:
        """Places taken in all gates."""
        return sum(
            gate.busy for road in self.roads.by_name.values() for lane in road.lanes.values() for gate in lane.gates
        )

    def fails(self, name: str, times: int = 5) -> None:
        """Opens the circuit of a backend's target, asked directly by a route of its own."""
        for _ in range(times):
            one = self.ask(f"{name}/m", stream=False)
            self.flights[-1].fail(FailureKind.REFUSED)
            assert one.client.ends == ["refused"]
