"""The journal gives back what was put in, in order, whatever its owner was doing when it died."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ledger import journal as journals
from proxy.ledger.journal import Journal

SIZE = 4096


def _dead_copy(journal: Journal, to: Path, *, cut: int | None = None) -> Journal:
    """What another process finds if the owner dies now; the last record cut short at this byte."""
    assert journal.path is not None
    data = bytearray(journal.path.read_bytes())
    if cut is not None:
        data[cut:] = bytes(len(data) - cut)
    copy = to / f"copy.db-{journal.token}.journal"
    copy.write_bytes(data)
    (found,) = journals.dead(to / "copy.db")
    return found


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.tuples(st.lists(st.integers(1, 900), max_size=8), st.integers(0, 6)), max_size=12),
)
def test_a_journal_is_a_queue_also_after_its_owner_died(
    steps: list[tuple[list[int], int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Appended and taken in any rhythm, over many laps of the ring; refused only when there is no room."""
    folder = tmp_path_factory.mktemp("journal")
    journal = journals.create(folder / "own.db", SIZE)
    waiting: list[bytes] = []
    made = 0
    for lengths, take in steps:
        for length in lengths:
            made += 1
            record = (b"%d." % made) * length
            record = record[:length]
            if journal.append(record):
                waiting.append(record)
            else:
                # A record may have to leave the ring's end unused, one header and itself at most.
                assert sum(len(one) + 8 for one in waiting) + 2 * (length + 8) + 8 > SIZE - 900
        records, position = journal.take(take)
        assert records == waiting[:take]
        journal.done(position)
        del waiting[:take]
    copy = _dead_copy(journal, folder)
    assert copy.start_from(copy.taken) == len(waiting)
    assert copy.take(10_000)[0] == waiting
    copy.close(remove=True)
    journal.close(remove=True)
    assert list(folder.iterdir()) == []


def test_a_record_that_was_cut_short_is_not_there(tmp_path: Path) -> None:
    journal = journals.create(tmp_path / "own.db", SIZE)
    assert journal.append(b"first")
    assert journal.append(b"second")
    end = 4096 + journal.written
    for cut in range(end - 14, end):
        copy = _dead_copy(journal, tmp_path, cut=cut)
        assert copy.start_from(0) == 1, cut
        assert copy.take(9)[0] == [b"first"]
        copy.close(remove=True)
    journal.close(remove=True)


def test_a_living_journal_is_left_alone_and_a_dead_one_is_found(tmp_path: Path) -> None:
    database = tmp_path / "wayline.db"
    journal = journals.create(database, SIZE)
    assert list(journals.dead(database)) == []
    journal.append(b"row")
    journal.close(remove=False)
    (found,) = journals.dead(database)
    assert list(journals.dead(database)) == [], "it is locked by the one who found it"
    assert found.start_from(found.taken) == 1
    found.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_never_became_a_journal_is_swept_away_and_another_versions_is_kept(tmp_path: Path) -> None:
    database = tmp_path / "wayline[1].db"
    unborn = tmp_path / "wayline[1].db-00.journal"
    foreign = tmp_path / "wayline[1].db-01.journal"
    unborn.write_bytes(bytes(8192))
    foreign.write_bytes(b"WAYLJ999" + bytes(8192))
    assert list(journals.dead(database)) == []
    assert not unborn.exists()
    assert foreign.exists()


def test_a_full_journal_refuses_and_takes_on_again_when_there_is_room() -> None:
    journal = journals.in_memory(SIZE)
    taken_on = 0
    while journal.append(b"x" * 100):
        taken_on += 1
    assert taken_on == SIZE // 108
    records, position = journal.take(1)
    journal.done(position)
    assert not journal.append(b"x" * 200)
    assert records == [b"x" * 100]
    records, position = journal.take(10)
    journal.done(position)
    assert journal.append(b"y" * 200)
    journal.close(remove=True)
