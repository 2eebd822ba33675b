"""One attempt's stream: what is held back, what commits the answer, and what goes to the client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.core.chat import End, Event, Kind
from proxy.core.dialect import Decoder, Malformed, TooLarge
from proxy.core.failure import FailureKind
from proxy.core.seam import MAX_SENT, Diverged, Seam
from proxy.engine.costs import event_with_cost
from proxy.engine.story import Story

if TYPE_CHECKING:
    from proxy.engine.attempt import Attempt
    from proxy.engine.exchange import Exchange

MAX_IDLE_BYTES = 2 * 1024 * 1024
"""Bytes of events without content that are held back before the stream is taken for broken. (OpenAI's Responses begin
with two events that each repeat all instructions and tools.)"""
MAX_HELD = 4 * 1024 * 1024
"""Bytes of a held answer; a longer one is sent on from there (`on_cut: hold`)."""
MAX_BLANK = 256
"""Characters of white space before the first word that are held back: a stream that ends there said nothing."""
MAX_TOOL = 256
"""Characters of a tool call that are held back: a call cut within them is made elsewhere, unseen."""


_CONTENT = Kind.CONTENT  # reading a member off its class costs 0.13 us in Python 3.11


class Flow:
    """`story`: where to note what is sent, if it may have to be gone on with. `seam`: set when it goes on itself."""

    __slots__ = ("_attempt", "_exchange", "_held", "_held_bytes", "_holding", "_seam", "_story", "committed", "decoder")

    def __init__(
        self, attempt: Attempt, exchange: Exchange, decoder: Decoder, story: Story | None, seam: Seam | None
    ) -> None:
        self._attempt = attempt
        self._exchange = exchange
        self._story = story
        self._seam = seam
        self._held: list[Event] = []
        self._held_bytes = 0
        self._holding = True
        self.decoder = decoder
        self.committed = False
        """Something of it was sent to the client."""

    def feed(self, data: bytes) -> None:
        """Bytes of the stream."""
        decoder = self.decoder
        try:
            events = decoder.feed(data)
        except Malformed as error:
            what = FailureKind.OVERSIZE if isinstance(error, TooLarge) else FailureKind.MALFORMED
            self._attempt.abort_with(what, str(error))
            return
        if len(events) == 1 and not self._holding and self._seam is None:  # the usual case, kept short
            kind, raw, text, _, _ = events[0]
            if kind is _CONTENT:
                self._attempt.last = time.monotonic()
                story = self._story
                if story is not None:
                    story.parts.append(text)
                    if decoder.chars > MAX_SENT:
                        story.bound(decoder.chars, 1)
                self._exchange.push(raw)
                if decoder.finished:
                    self._attempt.finishing()
                return
        if events:
            try:
                self._take(events)
            except Diverged as error:
                self._attempt.abort_with(FailureKind.DIVERGED, str(error))

    def _take(self, events: list[Event]) -> None:
        attempt = self._attempt
        now = time.monotonic()
        out: list[Event] = []
        for event in events:
            kind = event.kind
            if kind is Kind.DONE or kind is Kind.ERROR:
                self._send(out)
                if kind is Kind.DONE:
                    self.ended()
                else:
                    attempt.abort_with_failure(event.failure)
                return
            if kind >= Kind.CONTENT:
                attempt.last = now
                if attempt.first_content is None:
                    attempt.first_content = now
            if self._seam is not None:
                event = self._joined(self._seam, event)
            elif kind is Kind.USAGE and self._exchange.road.route.reply_cost and event.raw and not attempt.native:
                event = event_with_cost(event, attempt.lane.target)
            if event.raw:
                self._sort(event, out)
        self._send(out)
        if attempt.over:
            return
        if self._holding and attempt.first_content is None and self._held_bytes > MAX_IDLE_BYTES:
            attempt.abort_with(FailureKind.OVERSIZE, "the upstream sends events without content without end")
        elif self.decoder.finished:
            attempt.finishing()

    def _joined(self, seam: Seam, event: Event) -> Event:
        before = len(seam.added)
        raw = seam.feed(event)
        return event._replace(raw=raw, text="".join(seam.added[before:]))

    def _sort(self, event: Event, out: list[Event]) -> None:
        """To the client, or held back."""
        if not self._holding and event.kind is Kind.TOOL and self._exchange.holds_tools:
            self._holding = True
        if self._holding and self._releases(event):
            out += self._released()
        if self._holding:
            self._held.append(event)
            self._held_bytes += len(event.raw)
        else:
            out.append(event)

    def _releases(self, event: Event) -> bool:
        """Does this event commit the answer?"""
        if self._exchange.holds:
            return self._held_bytes > MAX_HELD
        if event.kind is Kind.CONTENT:
            blank = self._seam is None and event.text.isspace() and self.decoder.chars < MAX_BLANK
            return not blank and not (self.committed and self._exchange.holds_tools)
        if event.kind is Kind.TOOL:
            return not self._exchange.holds_tools and (self._seam is not None or self.decoder.chars > MAX_TOOL)
        return event.kind is Kind.REASONING and not self.committed

    def _released(self) -> list[Event]:
        self._holding = False
        held, self._held = self._held, []
        self._held_bytes = 0
        return held

    def _send(self, events: list[Event]) -> None:
        if not events:
            return
        if not self.committed:
            self.committed = True
            self._exchange.commit(self._attempt)
        if self._story is not None:
            for event in events:
                self._story.note(event)
            self._story.bound(self.decoder.chars, self.decoder.choices_seen)
        self._exchange.push(b"".join([event.raw for event in events]))

    def complete(self) -> bool:
        """Every choice is finished: only usage or the end marker can be missing."""
        return self.decoder.finished and (self._attempt.first_content is not None or self._seam is not None)

    def ended(self) -> None:
        """The body, or the stream by its own marker, is at its end."""
        try:
            self._close()
        except Diverged as error:
            self._attempt.abort_with(FailureKind.DIVERGED, str(error))

    def _close(self) -> None:
        attempt = self._attempt
        end = self.decoder.close()
        if attempt.first_content is None and self._seam is None:
            self._said_nothing(end)
        elif end is not End.COMPLETE:
            attempt.abort_with(FailureKind.TRUNCATED, "the upstream ended its stream before the answer was complete")
        elif self._blank():
            attempt.abort_with(FailureKind.EMPTY_ANSWER, "the upstream's answer is nothing but white space")
        else:
            self.flush()
            attempt.serve()

    def _blank(self) -> bool:
        """All that it said is white space, and none of that was sent."""
        if self.committed or self._seam is not None or not self._held:
            return False
        return all(e.kind < Kind.CONTENT or (e.kind is Kind.CONTENT and e.text.isspace()) for e in self._held)

    def flush(self) -> None:
        """The answer is complete: nothing is held back any more. Raises `Diverged`."""
        rest = b"" if self._seam is None else self._seam.close()
        held = self._released()
        if rest:
            held.insert(0, Event(Kind.CONTENT, rest))
        self._send(held)

    def _said_nothing(self, end: End) -> None:
        attempt = self._attempt
        if self.decoder.filtered:
            attempt.abort_with(FailureKind.FILTERED, "the content filter withheld the answer")
        elif end is not End.COMPLETE:
            attempt.abort_with(FailureKind.TRUNCATED, "the upstream ended its stream before it said anything")
        elif self.decoder.empty:
            attempt.abort_with(FailureKind.EMPTY_ANSWER, "the upstream's answer is empty")
        else:  # all its tokens went into reasoning that is not shown
            attempt.first_content = time.monotonic()
            self.flush()
            attempt.serve()
