"""What killed processes left in their journals."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from proxy.ledger import journal as journals
from proxy.ledger.insert import forget, insert, position_of
from proxy.ledger.journal import Journal
from proxy.ledger.schema import open_database


def adopt(connection: sqlite3.Connection, path: Path) -> list[tuple[Journal, int]]:
    """The journals of dead processes, locked for us now, each with the number of rows that are still to be brought in.
    Raises `sqlite3.Error` and `OSError`.
    """
    found = []
    for journal in journals.dead(path):
        known = position_of(connection, journal.token)
        # The database's word comes first: it is of the same transaction as the rows.
        found.append((journal, journal.start_from(journal.taken if known is None else known)))
    return found


def recover(path: Path) -> int:
    """Bring in what dead processes left, when no server does it; the number of rows. Raises `sqlite3.Error`, `OSError`
    and `LedgerError`."""
    if next(iter(journals.files(path)), None) is None:
        return 0
    with closing(open_database(path, busy=2.0)) as connection:
        total = 0
        for journal, count in adopt(connection, path):
            records, position = journal.take(count)
            total += insert(connection, journal.token, records, position)
            forget(connection, journal.token)
            journal.close(remove=True)
    return total
