"""One send to one target: reads what comes back and tells the exchange what it means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from math import inf
from typing import TYPE_CHECKING

from proxy.core.call import Headers
from proxy.core.chat import ChatRequest, Completion, Embedding
from proxy.core.dialect import UNSTAMPED, Prepared, Stamp, TellsTokens
from proxy.core.failure import Failure, FailureKind
from proxy.core.limits import foretells
from proxy.core.outcome import How
from proxy.core.relay import Relayed, Request
from proxy.core.seam import Seam
from proxy.core.usage import Usage
from proxy.engine.clock import GRACE, LAST_GRACE
from proxy.engine.flow import Flow
from proxy.engine.judge import is_stream, no_endpoint, no_stream, nothing_said, whole
from proxy.engine.lane import NO_RELAYS, Lane
from proxy.engine.outgoing import Outgoing

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange

MAX_BODY = 32 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
STREAM, WHOLE, ERROR, UNEXPECTED = range(4)


class Attempt(Outgoing):
    """Implements `net.flight.Sink`. All times are on the engine's monotonic clock; `None`: not reached."""

    # Attributes of the class that stand for "not yet": an instance sets only what it reaches.
    _flow: Flow | None = None
    _mode = ERROR
    _headers: Headers = []  # noqa: RUF012  # never changed, only replaced
    _body: list[bytes] | None = None
    _size = 0
    first_byte: float | None = None
    first_content: float | None = None
    done_by: float | None = None
    """All choices are finished: when it is taken for complete, though usage or the end marker are still missing."""
    status: int | None = None
    usage: Usage | None = None
    model = ""
    dropped: tuple[str, ...] = ()
    answer: Completion | Embedding | Relayed | None = None
    of_endpoint = False
    """It asks an endpoint that not every backend has."""
    from_ = 0
    """Characters of the answer that came from others before it."""
    unsent = 0
    """Attempts before it that have a number and were not sent: they do not count for the client and on record."""
    rated_at = 0.0
    rated_chars = 0
    """When its speed was looked at last, and how much it had given by then."""

    def __init__(
        self,
        exchange: Exchange,
        request: Request,
        lane: Lane,
        number: int,
        now: float,
        prepared: Prepared,
        how: How = How.FRESH,
        seam: Seam | None = None,
    ) -> None:
        """`prepared`: what is sent. `seam`: where it goes on with an answer that another attempt began."""
        self._exchange = exchange
        self._request = request
        self._seam = seam
        self._call = prepared[0]
        if prepared[1]:
            self.dropped = prepared[1]
        self.how = how
        self.lane = lane
        self.number = number
        self.began = now
        self.last = now

    # Coming back (Sink) ------------------------------------------------------------------------------------------

    def on_head(self, status: int, headers: Headers) -> None:
        self.first_byte = self.last = time.monotonic()
        self.status = status
        exchange = self._exchange
        if not 200 <= status < 300:
            if not any(name == b"date" for name, _ in headers):
                headers = [*headers, (b"date", formatdate(usegmt=True).encode())]  # a dialect has no clock of its own
            self._headers = headers
            return
        if foretells(headers):
            exchange.foretold(self, headers)
        admission = exchange.engine.admission
        if admission is not None and admission.hears:
            admission.heard(self.lane, headers)
        streamed = is_stream(headers, self.lane.dialect.stream_type)
        if not exchange.stream:
            self._mode = WHOLE
            if streamed:
                self.abort_with(FailureKind.WRONG_TYPE, "the upstream did not send JSON")
        elif streamed is False:
            self._mode = UNEXPECTED
        else:
            self._mode = STREAM
            assert isinstance(self._request, ChatRequest)
            wants = self._request.wants_usage and self._seam is None
            stamp = self._stamp()
            decoder = self.lane.dialect.decoder(wants_usage=wants, model=exchange.reply_model, stamp=stamp)
            story = None if stamp.native else exchange.story  # nobody else could go on in another API's words
            self._flow = Flow(self, exchange, decoder, story, self._seam)

    def on_data(self, data: bytes) -> None:
        if self._flow is not None:
            if not self.over:
                self._flow.feed(data)
            return
        self._size += len(data)
        if self._mode == WHOLE:
            if self._size > MAX_BODY:
                self.abort_with(FailureKind.OVERSIZE, "the upstream's answer is larger than 32 MiB")
                return
        elif self._size > MAX_ERROR_BODY:
            self._judge_unwanted()
            return
        self.last = time.monotonic()
        if self._body is None:
            self._body = [data]
        else:
            self._body.append(data)

    def on_end(self) -> None:
        self._flight = None
        if self.over:
            return
        if self._flow is not None:
            self._flow.ended()
        elif self._mode == WHOLE:
            self._whole_ended()
        else:
            self._judge_unwanted()

    def on_failure(self, failure: Failure) -> None:
        self._flight = None
        if self.over:
            return
        lost = self.lane.place.lost()
        if self.complete():
            self.finish_now()
        elif lost is not None:
            self._fail(lost)
        else:
            self._judge_or_fail(failure)

    # Whole bodies ------------------------------------------------------------------------------------------------

    def _whole_ended(self) -> None:
        exchange = self._exchange
        model = exchange.reply_model
        answer = whole(
            self.lane.dialect, self._request, self._joined(), status=self.status, model=model, stamp=self._stamp()
        )
        if isinstance(answer, Failure):
            self._fail(answer)
            return
        self.model = answer.model
        self.usage = answer.usage
        if isinstance(answer, Completion) and answer.empty:
            self._fail(nothing_said(answer, self.status))
            return
        self.first_content = time.monotonic()
        self.answer = answer
        self.serve()

    def _judge_unwanted(self) -> None:
        """An error's body, or a 2xx answer of a kind that was not asked for."""
        dialect, body = self.lane.dialect, self._joined()
        if self._mode == UNEXPECTED:
            self.abort_with_failure(no_stream(dialect, body, self.status))
            return
        assert self.status is not None
        failure = dialect.failure(self.status, self._headers, body)
        if (self.of_endpoint or self.native) and no_endpoint(failure, self.status, body):
            failure = NO_RELAYS._replace(status=self.status)
        self.abort_with_failure(failure)

    def _judge_or_fail(self, failure: Failure) -> None:
        """Nothing more will come. An error's status and headers say enough, whatever became of its body."""
        if self._mode == ERROR and self.status is not None:
            self._judge_unwanted()
        else:
            self.abort_with_failure(failure)

    def _joined(self) -> bytes:
        body, self._body = self._body or (), None
        return body[0] if len(body) == 1 else b"".join(body)

    def _stamp(self) -> Stamp:
        request, exchange = self._request, self._exchange
        if not isinstance(request, ChatRequest) or (request.native is None and not self.lane.dialect.translates):
            return UNSTAMPED
        stamp: Stamp = _new(
            Stamp, (f"chatcmpl-{exchange.request_id}", int(exchange.started_at), request[1], self.native)
        )
        return stamp

    @property
    def native(self) -> str:
        """The API of the client's own in which this answer comes; empty: chat completions."""
        native = self._request.native if isinstance(self._request, ChatRequest) else None
        return native.api if native is not None and native.api in self.lane.dialect.speaks else ""

    # The end -----------------------------------------------------------------------------------------------------

    @property
    def chars(self) -> int:
        """Characters of answer that were received."""
        if self._flow is not None:
            return self._flow.decoder.chars
        return self.answer.chars if isinstance(self.answer, Completion) else 0

    @property
    def said(self) -> str:
        """The text that the client got from it, as far as that is kept."""
        story = None if self._flow is None else self._exchange.story
        return "" if story is None else story.text[self.from_ :]

    @property
    def counted(self) -> tuple[int, int] | None:
        """Tokens of input and output so far, where its stream's events tell."""
        return None if self._flow is None else self._flow.decoder.counted

    @property
    def tokens(self) -> Sequence[int] | None:
        """The ids of its answer's tokens so far, where they are known."""
        decoder = None if self._flow is None else self._flow.decoder
        return decoder.tokens if isinstance(decoder, TellsTokens) else None

    @property
    def committed(self) -> bool:
        """Something of its stream was sent to the client."""
        return self._flow is not None and self._flow.committed

    def complete(self) -> bool:
        """All of its stream is there but for usage or the end marker."""
        return self._flow is not None and self._flow.complete()

    def finishing(self) -> None:
        """All choices are finished: only usage and the end marker can be missing."""
        if not self.over and self._flow is not None:
            grace = GRACE if self._flow.decoder.usage is None else LAST_GRACE
            self.done_by = min(time.monotonic() + grace, self.done_by or inf)
            self._exchange.look_at(self.done_by)

    def finish_now(self) -> None:
        """The grace after the last finish_reason is over."""
        flight = self._flight
        if self._flow is not None:
            self._flow.ended()
        if flight is not None:
            flight.abort()

    def serve(self) -> None:
        """Its answer is complete."""
        self.over = True
        self._note_stream()
        self._exchange.served(self, draining=self._flight is not None)

    def _fail(self, failure: Failure) -> None:
        self.over = True
        self.note()
        self._exchange.failed(self, failure)

    def abort_with(self, kind: FailureKind, message: str) -> None:
        """It failed, and its connection is of no more use."""
        self.abort_with_failure(Failure(kind, message, self.status))

    def abort_with_failure(self, failure: Failure | None) -> None:
        """The same; without a failure the upstream said only that there was one."""
        flight = self._flight
        self._give_up_waiting()
        self._fail(failure or Failure(FailureKind.SERVER_ERROR, "the upstream reported an error", self.status))
        if flight is not None:
            flight.abort()

    def time_out(self, failure: Failure) -> None:
        """One of its times is over."""
        self._judge_or_fail(failure)

    def note(self) -> None:
        """Take over what is known by now, for its outcome."""
        self._note_stream()
        if self._flight is not None and not self._flight.sent:
            self.sent_at = None

    def _note_stream(self) -> None:
        if self._flow is not None:
            decoder = self._flow.decoder
            self.usage = decoder.usage
            self.model = decoder.model
