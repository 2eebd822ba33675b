"""One send to one target: reads what comes back and tells the exchange what it means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion, Embedding, End, Event, Kind
from proxy.core.dialect import Decoder, Malformed, TooLarge
from proxy.core.failure import Failure, FailureKind
from proxy.core.usage import Usage
from proxy.engine.judge import is_event_stream, no_stream, nothing_said, whole
from proxy.engine.lane import Lane

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange
    from proxy.net.flight import Flight

MAX_BODY = 32 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024
MAX_HELD = 256 * 1024
"""Bytes of contentless events that are held back before the stream is taken for broken."""
GRACE = 2.0
"""Seconds that a stream whose choices are all finished may take to send its usage and its end."""

STREAM, WHOLE, ERROR, UNEXPECTED = range(4)


class Attempt:
    """Implements `net.flight.Sink`. All times are on the engine's monotonic clock; `None`: not reached."""

    # Attributes of the class that stand for "not yet": an instance sets only what it reaches.
    _flight: Flight | None = None
    _waiting: asyncio.Future[Origin | Failure] | None = None
    _decoder: Decoder | None = None
    _call: HttpCall | None = None
    _mode = ERROR
    _headers: Headers = []  # noqa: RUF012  # never changed, only replaced
    _body: list[bytes] | None = None
    _size = 0
    _held: list[bytes] | None = None
    sent_at: float | None = None
    first_byte: float | None = None
    first_content: float | None = None
    done_at: float | None = None
    """When all choices were finished: from then on only usage and the end are missing."""
    status: int | None = None
    usage: Usage | None = None
    model = ""
    dropped: tuple[str, ...] = ()
    answer: Completion | Embedding | None = None
    over = False

    def __init__(self, exchange: Exchange, lane: Lane, number: int, now: float) -> None:
        self._exchange = exchange
        self.lane = lane
        self.number = number
        self.began = now
        self.last = now

    # Going out ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send it, at once or when its place is ready."""
        request = self._exchange.request
        dialect = self.lane.dialect
        prepared = dialect.chat(request) if isinstance(request, ChatRequest) else dialect.embed(request)
        self._call = prepared.call
        self.dropped = prepared.dropped
        origin = self.lane.place.origin()
        if isinstance(origin, Origin):
            self._send(origin)
        else:
            self._waiting = asyncio.ensure_future(_settled(origin))
            self._waiting.add_done_callback(self._placed)

    def _placed(self, waiting: asyncio.Future[Origin | Failure]) -> None:
        self._waiting = None
        if self.over or waiting.cancelled():
            return
        found = waiting.result()
        if isinstance(found, Failure):
            self._fail(found)
        else:
            self._send(found)

    def _send(self, origin: Origin) -> None:
        assert self._call is not None
        self.sent_at = time.monotonic()
        connect = self.lane.target.timeouts.connect
        flight = self._exchange.engine.net.send(origin, self._call, self, connect=connect)
        self._call = None
        self._flight = flight
        if self.over:
            flight.abort()

    def abort(self) -> None:
        """Close its connection now; nothing is told to the exchange any more."""
        self.over = True
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._flight is not None:
            self._flight.abort()

    def pause(self) -> None:
        """The client is slow: read no more for now."""
        if self._flight is not None:
            self._flight.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._flight is not None:
            self._flight.resume()

    # Coming back (Sink) ------------------------------------------------------------------------------------------

    def on_head(self, status: int, headers: Headers) -> None:
        self.first_byte = self.last = time.monotonic()
        self.status = status
        exchange = self._exchange
        if not 200 <= status < 300:
            self._headers = headers
            return
        streamed = is_event_stream(headers)
        if not exchange.stream:
            self._mode = WHOLE
            if streamed:
                self._abort_with(FailureKind.WRONG_TYPE, "the upstream did not send JSON")
        elif streamed is False:
            self._mode = UNEXPECTED
        else:
            self._mode = STREAM
            request = exchange.request
            assert isinstance(request, ChatRequest)
            self._decoder = self.lane.dialect.decoder(wants_usage=request.wants_usage, model=exchange.reply_model)

    def on_data(self, data: bytes) -> None:
        if self._mode == STREAM:
            if not self.over:
                self._feed(data)
            return
        self._size += len(data)
        if self._mode == WHOLE:
            if self._size > MAX_BODY:
                self._abort_with(FailureKind.OVERSIZE, "the upstream's answer is larger than 32 MiB")
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
        if self._mode == STREAM:
            self._stream_ended()
        elif self._mode == WHOLE:
            self._whole_ended()
        else:
            self._judge_unwanted()

    def on_failure(self, failure: Failure) -> None:
        self._flight = None
        if self.over:
            return
        lost = self.lane.place.lost()
        if self._complete():
            self._serve()
        elif lost is not None:
            self._fail(lost)
        else:
            self._judge_or_fail(failure)

    # Streams -----------------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        decoder = self._decoder
        assert decoder is not None
        try:
            events = decoder.feed(data)
        except Malformed as error:
            kind = FailureKind.OVERSIZE if isinstance(error, TooLarge) else FailureKind.MALFORMED
            self._abort_with(kind, str(error))
            return
        if len(events) == 1 and self.first_content is not None:  # the usual case, kept short
            event = events[0]
            if event.kind >= Kind.CONTENT:
                self.last = time.monotonic()
                self._push(event.raw)
                if decoder.finished:
                    self._finishing()
                return
        if events:
            self._take(events)

    def _take(self, events: list[Event]) -> None:
        now = time.monotonic()
        out: list[bytes] = []
        for event in events:
            kind = event.kind
            if kind is Kind.DONE:
                self._push(b"".join(out))
                self._stream_ended()
                return
            if kind is Kind.ERROR:
                self._push(b"".join(out))
                self._abort_with_failure(event.failure)
                return
            if kind >= Kind.CONTENT:
                self.last = now
                if self.first_content is None:
                    self.first_content = now
                    self._exchange.commit()
                    out += self._let_go()
            if event.raw:
                (out if self.first_content is not None else self._hold()).append(event.raw)
        if out:
            self._push(b"".join(out))
        elif self._held and sum(map(len, self._held)) > MAX_HELD:
            self._abort_with(FailureKind.OVERSIZE, "the upstream sends events without content without end")
            return
        assert self._decoder is not None
        if self._decoder.finished:
            self._finishing()

    def _hold(self) -> list[bytes]:
        """What is held back until something commits."""
        if self._held is None:
            self._held = []
        return self._held

    def _let_go(self) -> list[bytes]:
        held, self._held = self._held or [], None
        return held

    def _push(self, data: bytes) -> None:
        if data and self.first_content is not None:
            self._exchange.push(data)

    def _finishing(self) -> None:
        if self.done_at is None and not self.over:
            self.done_at = time.monotonic()
            self._exchange.look_at(self.done_at + GRACE)

    def _complete(self) -> bool:
        """Every choice is finished: only usage or the end marker can be missing."""
        decoder = self._decoder
        return decoder is not None and decoder.finished and self.first_content is not None

    def finish_now(self) -> None:
        """The grace after the last finish_reason is over."""
        flight = self._flight
        self._stream_ended()
        if flight is not None:
            flight.abort()

    def _stream_ended(self) -> None:
        decoder = self._decoder
        assert decoder is not None
        end = decoder.close()
        if self.first_content is None:
            self._ended_empty(decoder, end)
        elif end is End.COMPLETE:
            self._serve()
        else:
            self._abort_with(FailureKind.TRUNCATED, "the upstream ended its stream before the answer was complete")

    def _ended_empty(self, decoder: Decoder, end: End) -> None:
        if decoder.filtered:
            self._abort_with(FailureKind.FILTERED, "the content filter withheld the answer")
        elif end is not End.COMPLETE:
            self._abort_with(FailureKind.TRUNCATED, "the upstream ended its stream before it said anything")
        elif not decoder.empty:
            self.first_content = time.monotonic()
            self._exchange.commit()
            self._push(b"".join(self._let_go()))
            self._serve()
        else:
            self._abort_with(FailureKind.EMPTY_ANSWER, "the upstream's answer is empty")

    # Whole bodies ------------------------------------------------------------------------------------------------

    def _whole_ended(self) -> None:
        exchange = self._exchange
        model = exchange.reply_model
        answer = whole(self.lane.dialect, exchange.request, self._joined(), status=self.status, model=model)
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
        self._serve()

    def _judge_unwanted(self) -> None:
        """An error's body, or a 2xx answer of a kind that was not asked for."""
        dialect, body = self.lane.dialect, self._joined()
        if self._mode == UNEXPECTED:
            self._abort_with_failure(no_stream(dialect, body, self.status))
            return
        assert self.status is not None
        self._abort_with_failure(dialect.failure(self.status, self._headers, body))

    def _judge_or_fail(self, failure: Failure) -> None:
        """Nothing more will come. An error's status and headers say enough, whatever became of its body."""
        if self._mode == ERROR and self.status is not None:
            self._judge_unwanted()
        else:
            self._abort_with_failure(failure)

    def _joined(self) -> bytes:
        body, self._body = self._body or (), None
        return body[0] if len(body) == 1 else b"".join(body)

    # The end -----------------------------------------------------------------------------------------------------

    @property
    def chars(self) -> int:
        """Characters of answer that were received."""
        if self._decoder is not None:
            return self._decoder.chars
        return self.answer.chars if isinstance(self.answer, Completion) else 0

    def _serve(self) -> None:
        self.over = True
        self._note_stream()
        self._exchange.served(self, draining=self._flight is not None)

    def _fail(self, failure: Failure) -> None:
        self.over = True
        self.note()
        self._exchange.failed(self, failure)

    def _abort_with(self, kind: FailureKind, message: str) -> None:
        self._abort_with_failure(Failure(kind, message, self.status))

    def _abort_with_failure(self, failure: Failure | None) -> None:
        flight = self._flight
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
        decoder = self._decoder
        if decoder is not None:
            self.usage = decoder.usage
            self.model = decoder.model


async def _settled(origin: Awaitable[Origin | Failure]) -> Origin | Failure:
    return await origin
