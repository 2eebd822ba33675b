"""An exchange of a route whose screen looks at what is asked. Others never come here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure, FailureKind
from proxy.core.screen.policy import Side
from proxy.core.screen.rule import Finding, decided
from proxy.core.screen.texts import asked_by, unreadable, where
from proxy.core.screen.window import parts
from proxy.core.told import Note
from proxy.engine.attempt import Attempt
from proxy.engine.caller import Won
from proxy.engine.exchange import Exchange
from proxy.engine.moderating import Moderation
from proxy.engine.relaying import RelayExchange

LARGE = 256 * 1024
"""Bytes of a request from which it is looked through in a thread."""
MOST_FOUND = 1000
"""Kinds of findings that are counted."""
_LOG = logging.getLogger("wayline.screen")


class Screened(Exchange):
    """See `Exchange`."""

    _looking: asyncio.Task[None] | None = None
    _screened: tuple[str, ...] = ()
    """What was found, for the response's header."""

    def start(self) -> None:
        """Its request is looked through first."""
        screen = self.road.route.screen
        if screen is None or not screen.asked:
            self._let_in(())
        elif unreadable(self.request):
            told = "This route looks through what is asked, which it cannot do with token ids: send a text."
            self.refuse(Failure(FailureKind.UNSUPPORTED, told, param=where(self.request), ours=True))
        elif screen.asked.asks or len(self.request.raw) > LARGE:
            self.engine.enter(self)  # its times run meanwhile
            self._looking = asyncio.get_running_loop().create_task(self._look(screen.asked))
        else:
            self._follow(screen.asked.found(asked_by(self.request)))

    def gone(self) -> None:
        """Also while it is looked at."""
        if self._looking is not None:
            self._looking.cancel()
        super().gone()

    async def _look(self, side: Side) -> None:
        texts = list(asked_by(self.request))
        found = await asyncio.to_thread(side.found, texts) if side.looks else ()
        if side.asks and texts and decided(found) is None:
            found = (*found, *await self._moderation("input", side).found(parts("\n\n".join(texts))))
        if not self.over:
            self._follow(found)

    def _moderation(self, name: str, side: Side) -> Moderation:
        screen = self.road.route.screen
        assert screen is not None
        return Moderation(self.engine, f"{self.request_id}-screen-{name}", side, screen.wait)

    def _follow(self, found: Iterable[Finding]) -> None:
        found = tuple(found)
        if not isinstance(self.request, ChatRequest):
            # Another route would answer in other vectors, or not at all.
            found = tuple(one._replace(action="flag", use="") if one.action == "use" else one for one in found)
        hit = decided(found)
        for finding in found:
            self._saw("input", finding)
        if hit is None:
            self._screened = tuple(one.category for one in found)
            self._let_in(one.resources for one in found)
        elif hit.action == "use":
            self._screened = (hit.category,)
            self._elsewhere(hit.use)
        elif hit.action == "unavailable":
            self.refuse(Failure(FailureKind.NOT_AVAILABLE, "The screen of this route cannot be asked now.", ours=True))
        else:
            message = f"The request was refused by the screen of this route ({hit.category})."
            self.refuse(Failure(FailureKind.FILTERED, message, param=where(self.request), ours=True))

    def _let_in(self, resources: Iterable[str]) -> None:
        """`resources`: texts to be added to its answer, where it has one that is a text."""
        super().start()

    def _elsewhere(self, route: str) -> None:
        """Another route answers: only chats go there."""
        road = self.engine.attention.find(route)
        if road is None:  # a reload has taken it away
            self.refuse(Failure(FailureKind.NOT_AVAILABLE, "The route for this request is gone.", ours=True))
            return
        self.road = road
        if self.tags and road.tags:
            self._show_tags()
        self.deadline = self.due = self.began + road.total
        if self.stream:
            self._mending = None
            self._for_stream()
        self._let_in(())

    def _saw(self, side: str, finding: Finding) -> None:
        rule, category, severity, action, use, _ = finding
        found, key = self.engine.attention.found, (self.road.route.name, side, rule, category, action)
        if key in found or len(found) < MOST_FOUND:  # a moderation may name any category
            found[key] = found.get(key, 0) + 1
        words = f"rule {rule}: {category}, {severity}: {action}{' ' + use if use else ''}"
        self.notes.append(Note("screen", side, words))
        _LOG.info("%s: %s %s, %s", self.request_id, self.road.route.name, side, words)

    def _won(self, attempt: Attempt, *, known: bool) -> Won:
        won = super()._won(attempt, known=known)
        return won._replace(screened=", ".join(dict.fromkeys(self._screened))) if self._screened else won


class ScreenedRelay(Screened, RelayExchange):
    """The same for a request that is handed on as it is."""
