"""The order of those who wait: weighted fair between callers, first in first out within. Pure; it is told the time.

Self-clocked fair queueing (Golestani 1994). A *flow* is what one key waits for with one priority. The head of each flow
has a tag: what has been served so far, or what its flow had, plus 1 / weight; the smallest tag is next. So of two flows
that always have somebody waiting, each gets its weight's share, to within one turn, and nobody waits for ever.

Those who wait for the same stand in one *line*: lines are open or not, and the order holds over all that are open.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from heapq import heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item")

TRIED = 16
"""Heads of one line that are looked at before it is passed over: one may need more than there is, and the next less."""
SPARE = 64
"""Flows that are remembered beyond those that wait."""


class Ticket(Generic[Item]):
    """One that waits."""

    __slots__ = ("flow", "item", "line", "number", "places", "since", "tag", "until", "weight")

    def __init__(
        self, item: Item, line: Hashable, flow: tuple[str, str], weight: float, since: float, until: float
    ) -> None:
        """`flow`: key and priority. `until`: it waits no longer than that; both in seconds on the engine's clock."""
        self.item = item
        self.line = line
        self.flow = flow
        self.weight = weight
        self.since = since
        self.until = until
        self.number = 0
        """In the order of coming."""
        self.tag = 0.0
        """By which it had its turn."""
        self.places: Hashable = None
        """The queue by whose bounds it was let in."""


class _Line(Generic[Item]):
    __slots__ = ("flows", "heap", "tags")

    def __init__(self) -> None:
        self.flows: dict[tuple[str, str], OrderedDict[int, Ticket[Item]]] = {}
        self.heap: list[tuple[float, int, tuple[str, str]]] = []
        self.tags: dict[tuple[str, str], float] = {}
        """Of the heads: what is in the heap beside is out of date."""


class Fair(Generic[Item]):
    """All that wait in this process."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line[Item]] = {}
        self._served: dict[tuple[str, str], float] = {}
        """The tag that a flow was served with last."""
        self._now = 0.0
        """The tag that anybody was served with last."""
        self._number = 0
        self._waiting = 0
        self._held: dict[tuple[Hashable, str], int] = {}

    def __len__(self) -> int:
        return self._waiting

    def __iter__(self) -> Iterator[Ticket[Item]]:
        for line in self._lines.values():
            for flow in line.flows.values():
                yield from flow.values()

    @property
    def lines(self) -> list[Hashable]:
        """Those in which somebody waits."""
        return list(self._lines)

    def held(self, places: Hashable, priority: str) -> int:
        """How many wait by the bounds of one queue with this priority."""
        return self._held.get((places, priority), 0)

    def heads(self, line: Hashable) -> list[Ticket[Item]]:
        """Of each flow of a line the first one."""
        known = self._lines.get(line)
        return [] if known is None else [next(iter(flow.values())) for flow in known.flows.values()]

    def join(self, ticket: Ticket[Item], *, back: bool = False) -> None:
        """It waits from now on. `back`: it had its turn and could not use it: it stands first in its flow again."""
        line = self._lines.get(ticket.line)
        if line is None:
            line = self._lines[ticket.line] = _Line()
        flow = line.flows.get(ticket.flow)
        first = flow is None
        if flow is None:
            flow = line.flows[ticket.flow] = OrderedDict()
        if not back:
            self._number += 1
            ticket.number = self._number
        flow[ticket.number] = ticket
        if back:
            flow.move_to_end(ticket.number, last=False)
        self._waiting += 1
        held = (ticket.places, ticket.flow[1])
        self._held[held] = self._held.get(held, 0) + 1
        if back and ticket.tag <= self._now:
            self._served[ticket.flow] = ticket.tag - 1.0 / ticket.weight
            self._tag(line, ticket, ticket.tag)
        elif first or back:
            self._tag(line, ticket, max(self._served.get(ticket.flow, 0.0), self._now) + 1.0 / ticket.weight)

    def _tag(self, line: _Line[Item], head: Ticket[Item], tag: float) -> None:
        line.tags[head.flow] = tag
        heappush(line.heap, (tag, head.number, head.flow))

    def leave(self, ticket: Ticket[Item]) -> None:
        """It waits no more: its place is free at once."""
        line = self._lines[ticket.line]
        flow = line.flows[ticket.flow]
        first = next(iter(flow)) == ticket.number
        del flow[ticket.number]
        self._gone(ticket)
        if not flow:
            del line.flows[ticket.flow], line.tags[ticket.flow]
        elif first:
            head = next(iter(flow.values()))
            tag = line.tags[ticket.flow]
            heappush(line.heap, (tag, head.number, ticket.flow))
        self._tidy(ticket.line, line)

    def _gone(self, ticket: Ticket[Item]) -> None:
        self._waiting -= 1
        held = (ticket.places, ticket.flow[1])
        self._held[held] -= 1
        if not self._held[held]:
            del self._held[held]

    def next(
        self, is_open: Callable[[Hashable], bool], fits: Callable[[Ticket[Item]], bool] = lambda _: True
    ) -> Ticket[Item] | None:
        """Whose turn it is among those whose line is open and who fit; taken out. `None`: nobody's."""
        best: tuple[float, int, Ticket[Item]] | None = None
        for name, line in self._lines.items():
            if is_open(name):
                found = self._first(line, fits)
                if found is not None and (best is None or found[:2] < best[:2]):
                    best = found
        if best is None:
            return None
        tag, _, ticket = best
        self._now = max(self._now, tag)
        self._served[ticket.flow] = ticket.tag = tag
        self._serve(ticket)
        return ticket

    def _first(self, line: _Line[Item], fits: Callable[[Ticket[Item]], bool]) -> tuple[float, int, Ticket[Item]] | None:
        heap, aside = line.heap, list[tuple[float, int, tuple[str, str]]]()
        found = None
        while heap and len(aside) < TRIED:
            tag, number, flow = heap[0]
            waiting = line.flows.get(flow)
            if waiting is None or line.tags[flow] != tag or next(iter(waiting)) != number:
                heappop(heap)  # out of date
                continue
            ticket = waiting[number]
            least = self._served.get(flow, 0.0) + 1.0 / ticket.weight
            if least > tag:  # it was served in another line meanwhile
                line.tags[flow] = least
                heappop(heap)
                heappush(heap, (least, number, flow))
                continue
            if fits(ticket):
                found = (tag, number, ticket)
                break
            aside.append(heappop(heap))
        for entry in aside:
            heappush(heap, entry)
        return found

    def _serve(self, ticket: Ticket[Item]) -> None:
        line = self._lines[ticket.line]
        flow = line.flows[ticket.flow]
        del flow[ticket.number]
        self._gone(ticket)
        if flow:
            head = next(iter(flow.values()))
            self._tag(line, head, ticket.tag + 1.0 / head.weight)
        else:
            del line.flows[ticket.flow], line.tags[ticket.flow]
        self._tidy(ticket.line, line)

    def _tidy(self, name: Hashable, line: _Line[Item]) -> None:
        if not line.flows:
            del self._lines[name]
        elif len(line.heap) > 2 * len(line.flows) + SPARE:
            line.heap = sorted((tag, next(iter(line.flows[flow])), flow) for flow, tag in line.tags.items())
        if not self._waiting:
            self._served.clear()
            self._now = 0.0
        elif len(self._served) > 2 * self._waiting + SPARE:
            self._served = {flow: tag for flow, tag in self._served.items() if tag > self._now}
