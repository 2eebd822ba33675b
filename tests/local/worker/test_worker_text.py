"""What may be shown of an answer while its tokens come in."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.local.worker.text import ShownText


def shown(pieces: list[bytes], *stops: str) -> tuple[list[str], bool]:
    text = ShownText(stops)
    out = [text.feed(piece) for piece in pieces]
    out.append(text.close())
    return out, text.stopped


def test_half_a_character_is_held_until_the_rest_comes() -> None:
    assert shown([b"caf\xc3", b"\xa9"]) == (["caf", "é", ""], False)


def test_bytes_that_are_no_character_become_the_replacement_mark() -> None:
    assert shown([b"a\xff", b"b", b"\xc3"]) == (["a\ufffd", "b", "", "\ufffd"], False)


def test_what_could_become_a_stop_sequence_is_held_and_shown_when_it_does_not() -> None:
    assert shown([b"one EN", b"D", b"two"], "END") == (["one ", "", "", ""], True)
    assert shown([b"one EN", b"GLISH"], "END") == (["one ", "ENGLISH", ""], False)
    assert shown([b"one EN"], "END") == (["one ", "EN"], False)


def test_the_earliest_of_several_stop_sequences_counts() -> None:
    assert shown([b"abcdef"], "ef", "cd") == (["ab", ""], True)


def test_nothing_is_shown_after_a_stop() -> None:
    text = ShownText(("X",))
    assert [text.feed(b"aXb"), text.feed(b"c"), text.close()] == ["a", "", ""]


CHARS = st.text(alphabet="aé€𝄞 bX", max_size=20)


@settings(max_examples=150, deadline=None)
@given(CHARS, st.lists(st.text(alphabet="abXé", min_size=1, max_size=3), max_size=3), st.lists(st.integers(0, 60)))
def test_any_cutting_shows_the_text_up_to_its_first_stop(text: str, stops: list[str], cuts: list[int]) -> None:
    raw = text.encode()
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    out, stopped = shown([raw[a:b] for a, b in itertools.pairwise(edges)], *stops)
    # Of two stops that begin at the same time the one that is complete first ends the text, by one cut or the other.
    ends = [text.index(stop) for stop in stops if stop in text]
    assert stopped == bool(ends)
    told = "".join(out)
    assert text.startswith(told)
    if ends:
        assert len(told) >= min(ends)
        assert not any(stop in told for stop in stops)
    else:
        assert told == text
