"""Terms and patterns find the same in a text, however it is cut in pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.screen import fold
from proxy.core.screen.along import Along, Mark
from proxy.core.screen.fold import loose, plain
from proxy.core.screen.policy import Side
from proxy.core.screen.rule import HOLD, Rule

TERMS = ("bomb", "kill yourself", "bom*", "*cide", "c++", "ab", "aba", "爆弾", "don't")
SIDE = Side([Rule(f"r{place}", "c", terms=(term,)) for place, term in enumerate(TERMS)])
PATTERNS = (r"\b\d{4}-\d{4}\b", r"^start", r"end$", "x.{0,5}y")
BOTH = Side([Rule("t", "c", terms=TERMS), *(Rule(f"p{n}", "c", patterns=(one,)) for n, one in enumerate(PATTERNS))])

ALPHABET = st.sampled_from(
    [*"abokmic +*'’ \n1234-xy", "\u200b", "\u00ad", "é", "Ｂ", "𝐛", "爆", "弾", "ß", "start", "end"]
)
TEXT = st.lists(ALPHABET, max_size=60).map("".join)
PHRASES = st.lists(
    st.one_of(TEXT, st.sampled_from(["bomb", "Bo\u200bMb", "kill\n yourself", "1234-5678", "start", "end", "suicide"])),
    max_size=6,
).map(" ".join)


def cut(text: str, at: list[int]) -> list[str]:
    """The text in pieces."""
    places = sorted({min(one, len(text)) for one in at} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(places)] or [""]


def along(side: Side, pieces: list[str]) -> set[int]:
    """What is found piece by piece."""
    follows = Along(side, HOLD)
    found = set[int]()
    for piece in pieces:
        found |= follows.feed(piece)
    return found | follows.close()


def whole(side: Side, text: str) -> set[int]:
    """What is found at once."""
    return {int(one.rule[1:]) for one in side.found([text])} if side is SIDE else _places(side, text)


def _places(side: Side, text: str) -> set[int]:
    names = ["t", *(f"p{n}" for n in range(len(PATTERNS)))]
    return {names.index(one.rule) for one in side.found([text])}


@settings(max_examples=300, deadline=None)
@given(PHRASES, st.lists(st.integers(0, 120), max_size=12))
def test_terms_are_found_the_same_wherever_the_text_is_cut(text: str, at: list[int]) -> None:
    assert along(SIDE, cut(text, at)) == whole(SIDE, text)


@settings(max_examples=200, deadline=None)
@given(PHRASES, st.lists(st.integers(0, 120), max_size=12))
def test_patterns_are_found_the_same_wherever_the_text_is_cut(text: str, at: list[int]) -> None:
    assert along(BOTH, cut(text, at)) == whole(BOTH, text)


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT)
def test_folding_does_not_depend_on_the_neighbours(one: str, other: str) -> None:
    assert loose(one + other) == loose(one) + loose(other)
    assert plain(one + other) == plain(one) + plain(other)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["", "so ", "a kill ", "bo "]), st.lists(st.integers(0, 40), max_size=12))
def test_nothing_of_a_term_is_cleared_before_it_is_found(before: str, at: list[int]) -> None:
    text = before + "kill your\u200bself now"
    follows = Along(Side([Rule("r", "c", terms=("kill yourself",))]), HOLD)
    waiting: list[tuple[Mark, str]] = []
    sent = ""
    for piece in cut(text, at):
        if follows.feed(piece):
            break
        waiting.append((follows.mark(), piece))
        while waiting and follows.cleared(waiting[0][0]):
            sent += waiting.pop(0)[1]
    else:
        assert follows.close(), "it is found at the end at the latest"
    assert before.startswith(sent)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a BOMB.", True),
        ("a b\u200bo\u00admb", True),
        ("a bo\x00m\x08b", True),
        ("a bö\x00mb", True),
        ("bo\u3164mb", True),
        ("bo\U000e0101m\ufe0fb", True),
        ("bomb\nsquad", True),
        ("ｂｏｍｂ", True),
        ("𝖇𝖔𝖒𝖇", True),
        ("bömb", True),
        ("bombastic", False),
        ("aerobomb", False),
        ("b o m b", False),
        ("Ьomb", False),
    ],
)
def test_case_width_and_invisible_characters_hide_nothing_but_spaces_and_lookalikes_do(text: str, found: bool) -> None:
    assert bool(Side([Rule("r", "c", terms=("bomb",))]).found([text])) is found


def test_a_term_is_a_whole_word_unless_a_star_says_otherwise() -> None:
    side = Side([Rule("r", "c", terms=("kill*", "*cide"))])
    assert side.found(["killing"]) and side.found(["suicide"])
    assert not side.found(["skill"]) and not side.found(["cider"])


def test_scripts_without_spaces_need_no_edges() -> None:
    assert Side([Rule("r", "c", terms=("爆弾",))]).found(["この爆弾は"])


def test_a_text_of_all_characters_there_are_does_not_fill_the_memory() -> None:
    every = "".join(chr(code) for code in range(0x80, 0x12000) if not 0xD800 <= code < 0xE000)
    assert not Side([Rule("r", "c", terms=("kill yourself",), patterns=("kill yourself",))]).found([every])
    assert len(fold._LOOSE) <= fold.MOST_KEPT and len(fold._PLAIN) <= fold.MOST_KEPT
    assert loose("Ünï\U00011fff") == "uni\U00011fff", "beyond those that are kept each is folded anew"


def test_a_hostile_text_is_no_match_for_a_linear_engine() -> None:
    side = Side([Rule("r", "c", patterns=("(a*)*b",))])
    assert not side.found(["a" * 50_000])


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no such pattern: missing"):
        Side([Rule("r", "c", patterns=("(",))])


def test_a_pattern_that_goes_on_for_longer_than_the_window_is_found() -> None:
    side = Side([Rule("r", "c", patterns=("secret.*",))])
    assert along(side, ["the secret is ", *["word "] * 60]) == {0}
