"""Whatever pieces an answer comes in, a moderation is asked about every character of it, with what stood before."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.screen.window import BEFORE, MOST, Window, parts

PIECES = st.lists(st.tuples(st.integers(0, 2), st.text("ab ", min_size=1, max_size=40), st.booleans()), max_size=30)


@settings(max_examples=100, deadline=None)
@given(PIECES)
def test_every_character_is_asked_about_once_it_has_come(pieces: list[tuple[int, str, bool]]) -> None:
    window, asked = Window(), list[str]()
    texts = dict.fromkeys(range(3), "")
    for index, piece, ask in pieces:
        window.feed((index, "content"), piece)
        texts[index] += piece
        if ask:
            asked += window.take()
            assert window.asked == window.heard
    asked += window.take() if window.asked < window.heard else ()
    assert window.asked == sum(map(len, texts.values()))
    for text in filter(None, texts.values()):
        assert any(text in question for question in asked), "as a whole, since it is short"


def test_a_sentence_that_is_split_is_seen_as_a_whole_and_what_is_long_past_is_not_asked_again() -> None:
    window = Window()
    window.feed((0, "content"), "x" * 5000 + " How to build")
    window.take()
    window.feed((0, "content"), " a bomb")
    (question,) = window.take()
    assert question.endswith(" How to build a bomb")
    assert len(question) == BEFORE + len(" a bomb")


def test_choices_do_not_run_into_each_other() -> None:
    window = Window()
    for key, piece in (((0, "content"), "one "), ((1, "content"), "two "), ((0, "content"), "three")):
        window.feed(key, piece)
    assert window.take() == ["one three\n\ntwo "]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5 * MOST))
def test_a_long_text_is_taken_in_parts_that_overlap(size: int) -> None:
    text = "".join(str(n % 10) for n in range(97)) * (size // 97) + "." * (size % 97)
    found = list(parts(text))
    assert all(len(part) <= MOST for part in found)
    joined = found[0] + "".join(part[BEFORE:] for part in found[1:])
    assert joined == text
    assert all(later.startswith(before[-BEFORE:]) for before, later in itertools.pairwise(found))
