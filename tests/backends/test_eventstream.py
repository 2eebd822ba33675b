"""AWS's binary event stream."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.eventstream import EventStream, Message
from proxy.core.dialect import Malformed, TooLarge
from tests.backends.aws_frames import frame, raw

EMPTY = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff"
"""The empty message of the public test vectors (awslabs/aws-c-event-stream, Apache-2.0)."""
TEXTS = st.dictionaries(
    st.text(st.characters(codec="ascii"), min_size=1, max_size=20), st.text(max_size=20), max_size=4
)
MESSAGES = st.lists(st.builds(frame, TEXTS, st.binary(max_size=80)), max_size=6)


def read(*pieces: bytes) -> list[Message]:
    stream = EventStream()
    return [message for piece in pieces for message in stream.feed(piece)]


def as_botocore_reads(data: bytes) -> list[Message]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def test_the_empty_message_has_neither_headers_nor_payload() -> None:
    assert frame({}, b"") == EMPTY
    assert read(EMPTY) == [({}, b"")]


@given(MESSAGES)
@settings(max_examples=60, deadline=None)
def test_messages_are_read_as_botocore_reads_them(messages: list[bytes]) -> None:
    data = b"".join(messages)
    assert read(data) == as_botocore_reads(data)


@given(MESSAGES, st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_cuts_between_the_bytes_change_nothing(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(messages)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert read(*(data[a:b] for a, b in pairwise(places))) == read(data)
    assert read(*(data[at : at + 1] for at in range(len(data)))) == read(data)


def test_headers_that_are_no_texts_are_passed_over() -> None:
    values = [
        b"\x01t\x00",
        b"\x01f\x01",
        b"\x01b\x02\x7f",
        b"\x01s\x03\x00\x01",
        b"\x01i\x04\x00\x00\x00\x01",
        b"\x01l\x05" + bytes(8),
        b"\x01y\x06\x00\x03abc",
        b"\x01w\x07\x00\x05words",
        b"\x01d\x08" + bytes(8),
        b"\x01u\x09" + bytes(16),
    ]
    assert read(raw(b"".join(values), b"x")) == [({"w": "words"}, b"x")]


@pytest.mark.parametrize("at", range(len(frame({"a": "b"}, b"payload"))))
def test_a_byte_that_is_wrong_anywhere_is_noticed(at: int) -> None:
    good = frame({"a": "b"}, b"payload")
    bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    with pytest.raises(Malformed):
        read(bad + good)


@pytest.mark.parametrize(
    "block", [b"\x05a", b"\x01a\x07\x00\x09ab", b"\x01a\x0b", b"\x01\xff\x00", b"\x01a\x07\x00\x01\xff", b"\x01a"]
)
def test_headers_that_make_no_sense_are_given_up(block: bytes) -> None:
    with pytest.raises(Malformed):
        read(raw(block, b""))


def test_a_message_larger_than_the_limit_is_given_up_when_it_begins() -> None:
    large = frame({}, bytes(1000))
    assert EventStream(len(large)).feed(large)
    with pytest.raises(TooLarge):
        EventStream(len(large) - 1).feed(large[:12])


def test_a_message_that_has_not_ended_is_pending() -> None:
    stream = EventStream()
    stream.feed(EMPTY[:7])
    assert stream.pending
    assert stream.feed(EMPTY[7:]) == [({}, b"")]
    assert not stream.pending


def test_what_differs_in_every_message_is_not_kept_for_ever() -> None:
    stream = EventStream()
    for number in range(1000):
        assert stream.feed(frame({"n": str(number)}, b"")) == [({"n": str(number)}, b"")]
    assert len(stream._headers) <= 64


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_all_raise_only_malformed(data: bytes) -> None:
    with suppress(Malformed):
        read(data, data)
