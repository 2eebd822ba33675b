"""Workers tell each other what they found, and ask nothing twice."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.core.failure import FailureKind
from proxy.engine import bulletin as module
from proxy.engine.bulletin import NAME, Bulletin, News

Pair = tuple[Bulletin, Bulletin]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    one, other = Bulletin(tmp_path), Bulletin(tmp_path)
    yield one, other
    one.close()
    other.close()


def test_what_one_claims_or_has_asked_not_long_ago_no_other_asks(pair: Pair) -> None:
    one, other = pair
    assert one.claim("a", 10, 5, now=100)
    assert not other.claim("a", 10, 5, now=101)
    assert other.claim("b", 10, 5, now=101)
    one.tell("a", True, None, 0.1, now=102)
    assert not other.claim("a", 10, 5, now=111)
    assert other.claim("a", 10, 5, now=112)


def test_a_claim_ends_with_the_answer_when_it_is_given_up_and_when_its_worker_has_died(pair: Pair) -> None:
    one, other = pair
    assert one.claim("a", 1, 20, now=100)
    one.leave("a")
    assert other.claim("a", 1, 20, now=100.5)
    assert not one.claim("a", 1, 20, now=120)
    assert one.claim("a", 1, 20, now=121)
    one.leave("of nobody")


def test_each_hears_once_what_others_found_and_nothing_of_its_own(pair: Pair) -> None:
    one, other = pair
    one.tell("a", True, None, 0.1, now=1)
    one.tell("a", False, FailureKind.RESET, 0.2, now=2)
    one.tell("a", False, FailureKind.REFUSED, 0.3, now=3)
    assert one.news() == []
    assert other.news() == [News("a", False, FailureKind.REFUSED, 0.3, 2)]
    assert other.news() == []
    other.tell("a", None, None, 0.1, now=4)
    assert one.news() == [News("a", None, None, 0.1, 1)]
    one.tell("a", None, None, 0.1, now=5)
    assert other.news() == [News("a", None, None, 0.1, 1)]


def test_what_a_killed_worker_left_half_written_is_as_if_nothing_was_known(tmp_path: Path, pair: Pair) -> None:
    one, other = pair
    one.tell("ä/魚", True, None, 0.1, now=1)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-7])
    assert other.news() == []
    assert other.claim("ä/魚", 10, 5, now=2)
    other.tell("ä/魚", False, FailureKind.RESET, 0.1, now=3)
    assert [news.ok for news in one.news()] == [False]


def test_on_a_full_disk_each_worker_asks_for_itself(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    one, other = pair
    assert one.claim("a", 10, 5, now=1)
    monkeypatch.setattr(os, "pwrite", full)
    one.tell("a", True, None, 0.1, now=2)
    assert other.claim("a", 10, 5, now=2) and one.claim("a", 10, 5, now=2)
    one.leave("a")
    assert other.news() == []


def test_it_is_bounded_and_the_oldest_makes_room(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    one, other = pair
    for number in range(5):
        one.tell(f"t{number}", True, None, 0.1, now=number)
    assert [news.key for news in other.news()] == ["t2", "t3", "t4"]
