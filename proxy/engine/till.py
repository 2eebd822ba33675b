"""What the workers of one server share of their budgets, so that together they spend no more than one would.

A file that all of them have mapped. Whoever changes an account holds the file's flock meanwhile, reads what the others
have spent and reserved, decides, and writes: some microseconds. What a worker has reserved stands in a column of its
own. A living worker holds a lock on its column's byte; what stands in one that nobody holds is nobody's any more.

    header: rows in use 8 | columns in use 8
    row: digest of whose budget it is 16 | when its period began 8 | spent 8 | thresholds told 8 | reserved 8 a column

Amounts are parts of a dollar. A killed worker leaves no half row that matters: each word is stored at once, and its
column is dropped.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence
from hashlib import blake2b
from math import inf
from pathlib import Path

from proxy.core.money.account import Account
from proxy.core.money.budget import Owned, period

NAME = "budgets.mem"
ROWS, COLUMNS = 65_536, 64
"""Most of each. The file takes only the room of the rows in use."""
_HEAD = 2
_BEGINS, _SPENT, _TOLD, _RESERVED = 2, 3, 4, 5
_ROW = _RESERVED + COLUMNS
_ALWAYS = 1
"""Where a period has no beginning."""


class Till:
    """One for each worker, over the directory that all of them share."""

    def __init__(self, directory: Path) -> None:
        """Raises `OSError` where it cannot be written, or more workers than columns are alive."""
        self._fd = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = 8 * (_HEAD + ROWS * _ROW)
        os.ftruncate(self._fd, size)
        self._map = mmap.mmap(self._fd, size)
        self._words = memoryview(self._map).cast("q")
        self._places: dict[bytes, int] = {}
        self._read = 0
        """Rows that we have seen."""
        self._loaded: list[int] = []
        self._clean: set[int] = set()
        """Columns of the dead that were cleared."""
        self._column = self._take()

    def join(self, account: Account) -> bool:
        """The account is shared from now on. True: others had it already, and it has what they know."""
        digest = _digest(account.owned)
        self._lock()
        try:
            self._look()
            place = self._places.get(digest)
            fresh = place is None
            if place is None:
                place = self._new(digest)
                if place is None:
                    return False
            account.place = place
            if not fresh:
                self._join(account, place)
            self._write(account, place, account.reserved)
        finally:
            self._unlock()
        return not fresh

    def load(self, accounts: Sequence[Account]) -> None:
        """What all workers have spent and reserved. Nobody else changes it until `store`."""
        self._lock()
        self._loaded = [self._load(account) for account in accounts]

    def store(self, accounts: Sequence[Account]) -> None:
        """What became of it."""
        words = self._words
        for account, before in zip(accounts, self._loaded, strict=True):
            place = account.place
            if place < 0:
                continue
            own = place + _RESERVED + self._column
            if words[place + _BEGINS] != _code(account.begins):
                self._write(account, place, account.reserved)
            else:
                words[place + _SPENT] = account.spent
                words[place + _TOLD] = account.told
                words[own] += account.reserved - before
        self._unlock()

    def drop_dead(self) -> None:
        """Free what killed workers had reserved. To be called about once a second."""
        self._lock()
        try:
            for column in range(self._words[1]):
                if column == self._column:
                    continue
                if not self._hold(column):
                    self._clean.discard(column)
                    continue
                if column not in self._clean:
                    self._clear(column)
                    self._clean.add(column)
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, column)
        finally:
            self._unlock()

    def close(self) -> None:
        """What it had reserved is free."""
        self._lock()
        self._clear(self._column)
        self._words.release()
        self._map.close()
        os.close(self._fd)  # and with it go its locks

    # Inside: all of it with the lock held ------------------------------------------------------------------------

    def _lock(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def _unlock(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _take(self) -> int:
        """A column of our own."""
        self._lock()
        try:
            for column in range(COLUMNS):
                if self._hold(column):
                    self._words[1] = max(self._words[1], column + 1)
                    self._clear(column)
                    return column
        finally:
            self._unlock()
        raise OSError(f"more than {COLUMNS} workers share their budgets")

    def _hold(self, column: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, column)
        except OSError:
            return False
        return True

    def _clear(self, column: int) -> None:
        for row in range(self._words[0]):
            self._words[_HEAD + row * _ROW + _RESERVED + column] = 0

    def _look(self) -> None:
        """Rows that others have begun since."""
        for row in range(self._read, self._words[0]):
            start = 8 * (_HEAD + row * _ROW)
            self._places[self._map[start : start + 16]] = start // 8
        self._read = self._words[0]

    def _new(self, digest: bytes) -> int | None:
        row = self._words[0]
        if row >= ROWS:
            return None  # as if each worker were alone
        place = _HEAD + row * _ROW
        self._map[8 * place : 8 * place + 16] = digest
        self._words[0] = row + 1
        self._look()
        return place

    def _join(self, account: Account, place: int) -> None:
        """What we know of it, from the record, and what the others know: whichever is later, or more."""
        words = self._words
        if words[place + _BEGINS] > _code(account.begins):
            self._turn(account, place)
        elif words[place + _BEGINS] == _code(account.begins):
            account.spent = max(account.spent, words[place + _SPENT])
            account.were_told(max(account.told, words[place + _TOLD]))

    def _load(self, account: Account) -> int:
        place = account.place
        if place < 0:
            return 0
        words = self._words
        begins = words[place + _BEGINS]
        if begins != _code(account.begins):
            if begins < _code(account.begins):
                return 0  # ours is the new period: `store` begins it for all
            self._turn(account, place)
        account.spent = words[place + _SPENT]
        start = place + _RESERVED
        account.reserved = sum(words[start : start + words[1]])
        if account.told != words[place + _TOLD]:
            account.were_told(words[place + _TOLD])
        return account.reserved

    def _turn(self, account: Account, place: int) -> None:
        """Others have begun a new period."""
        begins = self._words[place + _BEGINS]
        account.begins, account.ends = period(account.budget.per, float(begins))
        account.spent = self._words[place + _SPENT]
        account.were_told(self._words[place + _TOLD])

    def _write(self, account: Account, place: int, own: int) -> None:
        """A period begins in this row, or the row does: of others nothing is reserved in it."""
        words = self._words
        if words[place + _BEGINS] != _code(account.begins):
            for column in range(words[1]):
                words[place + _RESERVED + column] = 0
            words[place + _RESERVED + self._column] = own
        words[place + _BEGINS] = _code(account.begins)
        words[place + _SPENT] = account.spent
        words[place + _TOLD] = account.told


def _digest(owned: Owned) -> bytes:
    return blake2b(f"{owned.scope.value}\0{owned.name}\0{owned.per.value}".encode(), digest_size=16).digest()


def _code(begins: float) -> int:
    return _ALWAYS if begins == -inf else int(begins)
