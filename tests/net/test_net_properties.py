"""What holds for any bytes, however they are cut: driven without sockets, by a transport that only remembers."""

from __future__ import annotations

import asyncio
import gzip
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.net.connection import Connection
from proxy.net.dial import Dialer
from proxy.net.pool import HttpFlight, Pool
from proxy.net.resolve import Resolver
from proxy.net.settings import NetSettings
from tests.net.raw import POST, Heard

Told = list[tuple[str, Any]]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
PACKED = gzip.compress(b"packed" * 50)
VALID = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Slow Down\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\nno",
    CHUNKED + b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
    CHUNKED + b"5\r\nhello\r\nnot a size\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
]


class Remembering(asyncio.Transport):
    """A transport without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return not self.open

    def close(self) -> None:
        self.open = False

    def abort(self) -> None:
        self.open = False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Telling(Heard):
    """Writes down everything, data joined."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Told = []

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        super().on_head(status, headers)
        self.told.append(("head", (status, headers)))

    def on_data(self, data: bytes) -> None:
        assert data
        super().on_data(data)
        if self.told[-1][0] == "data":
            data = self.told.pop()[1] + data
        self.told.append(("data", data))

    def on_end(self) -> None:
        super().on_end()
        self.told.append(("end", None))

    def on_failure(self, failure: Failure) -> None:
        super().on_failure(failure)
        self.told.append(("failure", failure))


def play(pieces: list[bytes]) -> tuple[Told, bool]:
    """What a sink hears of these bytes and an EOF, and whether the connection was kept until the EOF."""

    async def main() -> tuple[Told, bool]:
        pool = Pool(Origin("http", "a", 80), NetSettings(), Dialer(Resolver(), None))
        connection = Connection(pool)
        transport = Remembering()
        connection.connection_made(transport)
        sink = Telling()
        connection.begin(HttpFlight(pool, POST, sink, 5.0))
        for piece in pieces:
            if transport.open:
                connection.data_received(piece)
        kept = transport.open and bool(pool.idle)
        if transport.open:
            connection.eof_received()
        connection.connection_lost(None)
        assert (pool.idle, pool.connections) == ([], set())
        await pool.close()
        return sink.told, kept

    return asyncio.run(main())


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


@given(st.sampled_from(VALID).flatmap(lambda data: st.tuples(st.just(data), cut(data))))
@settings(max_examples=120, deadline=None)
def test_any_cut_of_an_answers_bytes_tells_the_sink_the_same(case: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = case
    assert play(pieces)[0] == play([whole])[0]


def test_one_byte_at_a_time_tells_the_sink_the_same() -> None:
    for whole in VALID:
        assert play([whole[i : i + 1] for i in range(len(whole))])[0] == play([whole])[0]


def test_a_kept_connection_is_one_whose_answer_came_whole_and_alone() -> None:
    assert [play([whole])[1] for whole in VALID] == [
        *(True, True, True, True),
        *(False, True, True),
        *(False, False, False, False),
    ]


STATUS = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.0 500 E\r\n", b"HTTP/1.1 101 S\r\n"]
LENGTH = [b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"\r\n"]
CODING = [b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Content-Encoding: gzip\r\n", b" folded\r\n"]
HEADER = [b"Content-Encoding: deflate\r\n", b"Keep-Alive: timeout=\r\n", b"Connection: close\r\n", b"A:\r\n"]
BODY = [b"3\r\nabc\r\n", b"0\r\n\r\n", b"ffffffff\r\n", PACKED, PACKED[:20], b"\x00\xff", b"0", b"\n"]
FRAGMENTS = st.sampled_from(STATUS + LENGTH + CODING + HEADER + BODY)


@given(st.lists(FRAGMENTS | st.binary(max_size=40), max_size=14), st.booleans())
@example([], False)
@example([b"HTTP/1.1 200 OK\r\n", b"Content-Encoding: gzip\r\n", b"\r\n", PACKED[:20]], False)
@settings(max_examples=400, deadline=None)
def test_any_bytes_end_in_exactly_one_end_or_failure_and_raise_nothing(pieces: list[bytes], joined: bool) -> None:
    told, _ = play([b"".join(pieces)] if joined else [piece for piece in pieces if piece])
    names = [name for name, _ in told]
    assert [name for name in names if name in ("end", "failure")] == names[-1:]
    assert names[:-1] in ([], ["head"], ["head", "data"])
    if not any(pieces):
        assert told[0][1].kind is FailureKind.EMPTY_REPLY
