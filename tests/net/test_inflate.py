"""Bodies that come compressed although that was not asked for: taken within bounds."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.net.inflate import SLICE, Bomb, Broken, Inflate
from tests.net.raw import Upstream, answering, ask, engine

Run = Callable[[Coroutine[Any, Any, None]], None]
TEXT = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[bytes, list[Callable[[bytes], bytes]]] = {
    b"gzip": [gzip.compress],
    b"x-gzip": [gzip.compress],
    b"deflate": [zlib.compress, raw_deflate],
}
PACKED = gzip.compress(b"x")
CASES = [(name, pack) for name, packs in PACKERS.items() for pack in packs]


@pytest.mark.parametrize(("encoding", "pack"), CASES)
@given(data=st.binary(max_size=300) | st.just(TEXT * 3000), step=st.integers(1, 5000))
@settings(max_examples=25, deadline=None)
def test_what_was_packed_comes_out_however_it_is_cut(
    encoding: bytes, pack: Callable[[bytes], bytes], data: bytes, step: int
) -> None:
    packed = pack(data)
    inflate = Inflate(encoding)
    pieces = [piece for i in range(0, len(packed), step) for piece in inflate.feed(packed[i : i + step])]
    assert b"".join(pieces) == data
    assert inflate.complete()
    assert all(0 < len(piece) <= SLICE for piece in pieces)


def test_each_event_of_a_flushed_stream_comes_out_as_it_comes_in() -> None:
    packer = zlib.compressobj(wbits=31)
    inflate = Inflate(b"gzip")
    for number in range(3):
        event = b"data: %d\n\n" % number
        assert b"".join(inflate.feed(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH))) == event
    assert not inflate.complete()


def test_a_bomb_is_stopped_early_and_costs_little_memory() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(200)) + packer.flush()
    tracemalloc.start()
    try:
        out = 0
        with pytest.raises(Bomb):
            for piece in Inflate(b"gzip").feed(bomb):
                out += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert out < 20_000_000


@pytest.mark.parametrize(
    "data", [b"not packed", PACKED + b"more", PACKED[:-8] + b"12345678"], ids=["not packed", "more", "checksum"]
)
def test_what_is_not_as_its_name_says_is_broken(data: bytes) -> None:
    with pytest.raises(Broken):
        list(Inflate(b"gzip").feed(data))


def answer(encoding: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (encoding, len(body)) + body


@pytest.mark.parametrize(("encoding", "pack"), CASES)
def test_the_sink_sees_a_packed_answer_as_if_it_had_come_plain(
    run: Run, encoding: bytes, pack: Callable[[bytes], bytes]
) -> None:
    async def main() -> None:
        async with Upstream(answering(answer(encoding, pack(TEXT * 2000)))) as upstream, engine() as net:
            for _ in range(2):
                heard = await ask(net, upstream.origin)
                assert heard.body == TEXT * 2000
                assert heard.headers == [(b"content-type", b"a")]
            assert upstream.accepted == 1

    run(main())


@pytest.mark.parametrize(
    ("encoding", "body", "kind"),
    [
        (b"gzip", gzip.compress(b"\0" * 20_000_000), FailureKind.OVERSIZE),
        (b"gzip", b"hello", FailureKind.MALFORMED),
        (b"gzip", gzip.compress(TEXT)[:-4], FailureKind.TRUNCATED),
        (b"gzip, gzip", gzip.compress(gzip.compress(TEXT)), FailureKind.MALFORMED),
        (b"zstd", b"hello", FailureKind.MALFORMED),
    ],
    ids=["bomb", "not packed", "cut", "packed twice", "another packing"],
)
def test_a_packed_answer_that_cannot_be_taken_fails_and_its_connection_is_closed(
    run: Run, encoding: bytes, body: bytes, kind: FailureKind
) -> None:
    async def main() -> None:
        async with Upstream(answering(answer(encoding, body))) as upstream, engine() as net:
            heard = await ask(net, upstream.origin)
            assert (heard.calls[0], heard.calls[-1], heard.kind) == ("head", "failure", kind)
            assert net.stats().idle == 0

    run(main())


def test_identity_by_name_is_no_encoding(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(answer(b"identity", b"plain"))) as upstream, engine() as net:
            assert (await ask(net, upstream.origin)).body == b"plain"

    run(main())
