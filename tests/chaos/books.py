"""The ledger against what the upstreams wrote down themselves."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path
from typing import NamedTuple

COLUMNS = "request_id, backend, ended, how, input, output, usage_source, failure"


class Row(NamedTuple):
    """One attempt on record."""

    request_id: str
    backend: str
    ended: str
    how: str
    input: int | None
    output: int | None
    usage_source: str
    failure: str | None

    @property
    def place(self) -> tuple[int, str]:
        """Which request, and where."""
        return int(self.request_id.removeprefix("chaos-")), self.backend


def rows_of(ledger: Path) -> list[Row]:
    """All attempts of the chaos."""
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        found = connection.execute(f"SELECT {COLUMNS} FROM attempts WHERE request_id LIKE 'chaos-%'")
        return [Row(*row) for row in found]


class Books:
    """What the upstreams wrote down: requests that came, and usage that they were about to send."""

    def __init__(self, books: dict[str, Path]) -> None:
        self.came: Counter[tuple[int, str]] = Counter()
        self.said: Counter[tuple[int, str, int | None, int | None]] = Counter()
        self.wrong: list[str] = []
        for name, path in books.items():
            for line in path.read_text().splitlines():
                what, id_, *more = line.split(" ")
                if what == "came":
                    self.came[int(id_), name] += 1
                elif what == "said":
                    self.said[int(id_), name, int(more[0]), int(more[1])] += 1
                else:
                    self.wrong.append(f"{name}: {line}")

    def against(self, rows: list[Row]) -> list[str]:
        """Where they differ.

        An upstream that is struck down while it sends its usage has written down what nobody got: that is right when
        an attempt there is on record that did not come to its end.
        """
        mine = [row for row in rows if row.backend != "real"]
        booked = Counter((*row.place, row.input, row.output) for row in mine if row.usage_source == "reported")
        unheard = Counter(row.place for row in mine if row.usage_source != "reported" and row.ended != "served")
        problems = [f"booked, never said: {each}" for each in booked - self.said]
        for (id_, name, *tokens), count in (self.said - booked).items():
            if unheard[id_, name] < count:
                problems.append(f"said, not booked: {id_} at {name}: {tokens}")
            unheard[id_, name] -= count
        attempts = Counter(row.place for row in mine)
        problems += [f"came, and is not on record: {each}" for each in self.came - attempts]
        problems += [f"served, but not as reported: {row}" for row in mine if self._unheard(row)]
        problems += [f"content, and no count: {row}" for row in rows if row.ended == "cut" and not row.output]
        return problems

    def _unheard(self, row: Row) -> bool:
        """It came to its end, and not with the usage that the upstream said. One that was struck down after its
        finish_reason may have said none."""
        if row.ended != "served" or row.usage_source == "reported":
            return False
        return not row.output or any(each[:2] == row.place for each in self.said)
