"""An event stream gives the same events wherever its bytes are cut, within bounded memory and time."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.core.dialect import Malformed
from proxy.core.sse import Frame, SseFramer


def framed(*pieces: bytes, limit: int = 1024 * 1024) -> list[Frame]:
    framer = SseFramer(limit)
    return [frame for piece in pieces for frame in framer.feed(piece)]


def data(*pieces: bytes) -> list[bytes]:
    return [frame[0] for frame in framed(*pieces)]


def test_a_chunk_of_one_whole_event_is_handed_on_as_it_came() -> None:
    chunk = b'data: {"a":1}\n\n'
    [(payload, raw, name)] = framed(chunk)
    assert (payload, name) == (b'{"a":1}', b"")
    assert raw is chunk


def test_a_chunk_of_several_events_is_cut_at_the_blank_lines() -> None:
    assert framed(b"data: 1\n\ndata: 2\n\n") == [(b"1", b"data: 1\n\n", b""), (b"2", b"data: 2\n\n", b"")]


def test_named_events_are_cut_the_same_way_and_keep_their_names() -> None:
    chunk = b"event: ping\ndata: 1\n\nevent: a\ndata: 2\n\n"
    assert framed(chunk) == [(b"1", b"data: 1\n\n", b"ping"), (b"2", b"data: 2\n\n", b"a")]
    assert framed(*(chunk[i : i + 1] for i in range(len(chunk)))) == framed(chunk)
    assert framed(b"event: a\nid: 7\ndata: 1\ndata: 2\n\n") == [(b"1\n2", b"data: 1\ndata: 2\n\n", b"a")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_may_end_in_any_of_the_three_ways(end: bytes) -> None:
    stream = end.join([b": hello", b"", b"event: error", b"data: one", b"data:two", b"id: 7", b"", b"data", b"", b""])
    assert framed(stream) == [
        (b"one\ntwo", b"data: one\ndata: two\n\n", b"error"),
        (b"", b"data: \n\n", b""),
    ]


def test_only_one_space_after_the_colon_is_no_part_of_the_data() -> None:
    assert data(b"data:  x\n\n", b"data:y\n\n") == [b" x", b"y"]


def test_comments_and_unknown_fields_and_events_without_data_are_nothing() -> None:
    assert data(b": OPENROUTER PROCESSING\n\nretry: 10\nfoo: bar\n\nevent: ping\n\ndata: x\n\n") == [b"x"]


def test_a_name_does_not_outlive_its_event() -> None:
    assert [frame[2] for frame in framed(b"event: a\n\ndata: x\n\n")] == [b""]


def test_a_byte_order_mark_is_skipped_at_the_beginning_only() -> None:
    assert data(b"\xef\xbb", b"\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [b"1"]


def test_an_event_without_its_blank_line_is_pending_and_not_an_event() -> None:
    framer = SseFramer()
    assert framer.feed(b"data: [DONE]") == []
    assert framer.pending() == b"[DONE]"
    assert framer.feed(b"\n") == []
    assert framer.pending() == b"[DONE]"
    assert [frame[0] for frame in framer.feed(b"\n")] == [b"[DONE]"]
    assert framer.pending() == b""


LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data",
        b"",
        b"",
        b": c",
        b"event: error",
        b"id: 1",
        b"\xef\xbb\xbfdata: b",
        b"data: \xff\x00",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n", b""])), max_size=12).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


@given(stream=STREAMS | st.binary(max_size=60), cuts=st.lists(st.integers(0, 100), max_size=5))
@example(stream=b"data: x\r\n\r\ndata: y\r\r", cuts=[8, 9, 10])
@example(stream=b'data: {"a":\r1}\n\n', cuts=[])
@settings(max_examples=300, deadline=None)
def test_the_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    whole = framed(stream)
    places = sorted({min(cut, len(stream)) for cut in cuts})
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    assert framed(*pieces) == whole
    assert framed(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    assert framed(*(frame[1] for frame in whole)) == [(payload, raw, b"") for payload, raw, _ in whole]


@pytest.mark.parametrize("name", [b"", b"event: a\n"])
@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_an_event_of_the_limit_passes_and_one_byte_more_does_not(pieces: int, name: bytes) -> None:
    def feed(size: int) -> list[Frame]:
        stream = name + b"data: " + b"x" * (size - 8) + b"\n\n"
        step = -(-len(stream) // pieces)
        return framed(*(stream[i : i + step] for i in range(0, len(stream), step)), limit=1000)

    assert len(feed(1000)) == 1
    with pytest.raises(Malformed):
        feed(1001)


@pytest.mark.parametrize("line", [b"data: aaaaaaaaaa\n", b"data:\n"])
def test_many_lines_of_one_event_count_together(line: bytes) -> None:
    with pytest.raises(Malformed):
        framed(line * 1000, limit=1000)
    with pytest.raises(Malformed):
        framed(*[line] * 1000, limit=1000)


def test_comments_without_end_cost_no_memory() -> None:
    framer = SseFramer(limit=1000)
    for _ in range(1000):
        assert framer.feed(b": keep-alive\n\n") == []


def _seconds(stream: bytes) -> float:
    pieces = [stream[i : i + 1] for i in range(len(stream))]
    best = 1e9
    for _ in range(3):
        framer = SseFramer()
        start = time.process_time()
        for piece in pieces:
            framer.feed(piece)
        best = min(best, time.process_time() - start)
    return best


def test_a_byte_at_a_time_costs_time_in_proportion_to_the_bytes() -> None:
    """Eight times the bytes in one event; quadratic work would be 64 times as much."""
    short, long = (_seconds(b"data: " + b"x" * size + b"\n\n") for size in (5_000, 40_000))
    assert long < 24 * short
