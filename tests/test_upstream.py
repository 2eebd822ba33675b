"""The scripted upstream does what its script says, and sees what its peer does."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest
import uvloop

from tests import upstream_faults as faults
from tests.upstream import Request, Script, Upstream, in_thread
from tests.upstream_answers import Cut, chat_ok, cut_after, error, ok, stream_ok
from tests.upstream_steps import Behaviour, Close, Deaf, Hang, OneByteAtATime, Reset, Send, Tokens, Wait
from tests.upstream_tls import server_tls, trusting_tls

ASK = b'{"model":"m","messages":[]}'
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(body: bytes = ASK, path: str = "/v1/chat/completions") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


@contextlib.asynccontextmanager
async def connected(up: Upstream) -> AsyncIterator[Pair]:
    reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One answer, framed as HTTP says."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ")[1])
    if b"chunked" not in head:
        return status, await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return status, body


async def ask(up: Upstream, body: bytes = ASK) -> tuple[int, bytes]:
    async with connected(up) as (reader, writer):
        writer.write(request(body))
        return await answer(reader)


async def everything(up: Upstream) -> bytes:
    """All bytes of one answer until the connection ends."""
    async with connected(up) as (reader, writer):
        writer.write(request())
        return await reader.read()


def both_loops(test: Callable[[], Awaitable[None]]) -> None:
    """Runs a test on asyncio's own loop and on uvloop."""
    asyncio.run(_within(test))
    uvloop.run(_within(test))


async def _within(test: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(10):
        await test()


def test_a_list_is_used_up_one_a_request_and_its_last_item_repeats() -> None:
    async def test() -> None:
        async with Upstream([chat_ok("one"), error(503), chat_ok("rest")]) as up, connected(up) as (reader, writer):
            statuses = []
            for _ in range(4):
                writer.write(request())
                statuses.append((await answer(reader))[0])
            assert statuses == [200, 503, 200, 200]
            assert len(up.connections) == 1
            assert up.connections[0].requests == 4

    both_loops(test)


def test_requests_are_recorded_as_they_came() -> None:
    async def test() -> None:
        async with Upstream(chat_ok()) as up:
            await ask(up, b'{"model":"a"}')
            await ask(up, b'{"model":"b"}')
            assert [r.json["model"] for r in up.requests] == ["a", "b"]
            assert up.requests[0].path == "/v1/chat/completions"
            assert up.requests[0].headers["host"] == "x"
            assert up.requests[0].raw_head.startswith(b"POST ")
            assert [r.connection for r in up.requests] == [0, 1]

    both_loops(test)


def test_a_function_answers_by_what_was_asked() -> None:
    async def test() -> None:
        async with Upstream(lambda r, n: chat_ok(f"{r.json['model']} {n}")) as up:
            answers = [orjson.loads((await ask(up, b'{"model":"%d"}' % i))[1]) for i in range(3)]
            assert [a["choices"][0]["message"]["content"] for a in answers] == ["0 0", "1 1", "2 2"]

    both_loops(test)


def test_the_default_answer_is_a_valid_one_for_each_endpoint() -> None:
    async def test() -> None:
        async with Upstream(ok("a b c")) as up, connected(up) as (reader, writer):
            writer.write(request(b'{"stream":true}'))
            events = [e.removeprefix(b"data: ") for e in (await answer(reader))[1].split(b"\n\n")]
            assert events[-2:] == [b"[DONE]", b""]
            chunks = [orjson.loads(e) for e in events[:-2]]
            text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
            assert text == "abc"
            assert chunks[-1]["usage"]["completion_tokens"] == 3
            writer.write(request(b"{}", "/v1/embeddings"))
            assert orjson.loads((await answer(reader))[1])["object"] == "list"

    both_loops(test)


def test_it_counts_the_tokens_that_it_said_it_used() -> None:
    async def test() -> None:
        async with Upstream([chat_ok(usage=(10, 5)), stream_ok(["a", "b"]), cut_after(1), chat_ok(usage=None)]) as up:
            await ask(up)
            await ask(up)
            await everything(up)
            await ask(up)
            assert up.tokens == Tokens(17, 7)
            assert [r.tokens.output for r in up.requests] == [5, 2, 0, 0]

    both_loops(test)


def test_it_can_count_without_keeping_and_come_back_on_its_port() -> None:
    async def test() -> None:
        up = Upstream(lambda _, n: chat_ok(str(n), usage=(1, n)), keep=False)
        ports = set()
        for _ in range(2):
            async with up:
                ports.add(up.port)
                await ask(up)
                await ask(up)
        assert len(ports) == 1
        assert up.requests == []
        assert (up.asked, up.tokens) == (4, Tokens(4, 6))

    both_loops(test)


def test_a_reset_is_a_reset_and_a_close_is_a_close() -> None:
    async def test() -> None:
        async with Upstream([Behaviour((Close(),)), Behaviour((Reset(),))]) as up:
            assert await everything(up) == b""
            with pytest.raises(ConnectionResetError):
                await everything(up)
            assert [c.by for c in up.connections] == ["us", "us"]

    both_loops(test)


def test_what_was_sent_before_a_close_arrives() -> None:
    async def test() -> None:
        big = b"x" * 3_000_000
        async with Upstream(Behaviour((Send(big), Close()))) as up:
            assert await everything(up) == big

    both_loops(test)


def test_a_connection_can_end_before_any_request() -> None:
    async def test() -> None:
        async with Upstream([Behaviour((Close(),), at="connect"), chat_ok()]) as up:
            async with connected(up) as (reader, _):
                assert await reader.read() == b""
            assert up.requests == []
            assert (await ask(up))[0] == 200

    both_loops(test)


def test_an_answer_can_come_before_the_body() -> None:
    async def test() -> None:
        early = error(413).then(Close())
        async with Upstream([Behaviour(early.steps, at="head"), chat_ok()]) as up, connected(up) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
            assert (await answer(reader))[0] == 413

    both_loops(test)


def test_it_notices_when_the_peer_leaves() -> None:
    async def test() -> None:
        async with Upstream(Behaviour((Hang(),))) as up:
            async with connected(up) as (_, writer):
                writer.write(request())
                await up.until(lambda: len(up.requests) == 1)
                assert up.connections[0].closed is None
            connection = await up.closed(0)
            assert connection.by == "peer"
            assert connection.closed is not None
            assert connection.closed >= connection.opened
            await up.until(lambda: up.open == 0)

    both_loops(test)


def test_it_waits_for_the_tests_word() -> None:
    async def test() -> None:
        event = asyncio.Event()
        async with Upstream(chat_ok().after(Wait(event))) as up, connected(up) as (reader, writer):
            writer.write(request())
            await up.until(lambda: len(up.requests) == 1)
            event.set()
            assert (await answer(reader))[0] == 200

    both_loops(test)


def test_bytes_sent_one_at_a_time_arrive_one_at_a_time() -> None:
    async def test() -> None:
        script = Behaviour((OneByteAtATime(b"abc", every=0.01), Close()))
        async with Upstream(script) as up, connected(up) as (reader, writer):
            writer.write(request())
            assert [await reader.read(100) for _ in range(4)] == [b"a", b"b", b"c", b""]

    both_loops(test)


def test_a_deaf_upstream_makes_its_peer_wait() -> None:
    async def test() -> None:
        async with Upstream(Behaviour((Deaf(), Hang()), at="head")) as up, connected(up) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 99000000\r\n\r\n")
            await up.until(lambda: len(up.requests) == 1)
            writer.write(b"x" * 20_000_000)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await writer.drain()
            writer.transport.abort()

    both_loops(test)


def test_a_scripts_own_mistake_fails_the_test() -> None:
    def wrong(_: Request, __: int) -> Behaviour:
        raise LookupError("no such answer")

    async def test() -> None:
        with pytest.raises(LookupError):
            async with Upstream(wrong) as up:
                assert await everything(up) == b""

    both_loops(test)


def test_it_speaks_tls_with_a_certificate_that_only_tests_trust() -> None:
    async def test() -> None:
        async with Upstream(chat_ok(), tls=server_tls()) as up:
            assert up.base_url.startswith("https://")
            reader, writer = await asyncio.open_connection("127.0.0.1", up.port, ssl=trusting_tls())
            writer.write(request())
            assert (await answer(reader))[0] == 200
            writer.close()
            await writer.wait_closed()

    both_loops(test)


def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    async def test() -> None:
        async with Upstream(chat_ok(), uds=tmp_path / "up.sock"):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "up.sock"))
            writer.write(request())
            assert (await answer(reader))[0] == 200
            writer.close()
            await writer.wait_closed()
        (tmp_path / "up.sock").unlink(missing_ok=True)

    both_loops(test)


def test_it_runs_in_a_thread_of_its_own() -> None:
    with in_thread(Upstream(chat_ok("hi"))) as there:
        client = http.client.HTTPConnection("127.0.0.1", there.up.port)
        client.request("POST", "/v1/chat/completions", ASK)
        assert b"hi" in client.getresponse().read()
        client.close()
        assert there.run(there.up.closed(0)).by == "peer"


def test_a_refusing_port_refuses_and_a_black_hole_swallows() -> None:
    with faults.refused() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with faults.blackhole() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.3).close()


def test_a_name_that_does_not_exist_does_not_resolve() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(faults.NO_SUCH_HOST, 80)


ALL_FAULTS = {
    **{f"whole: {k}": v for k, v in faults.before_content(stream=False).items()},
    **{f"stream: {k}": v for k, v in faults.before_content(stream=True).items()},
    **{f"late: {k}": v for k, v in faults.after_content().items()},
    **{f"harmless: {k}": v for k, v in faults.harmless().items()},
}


@pytest.mark.parametrize("name", ALL_FAULTS)
def test_each_fault_can_be_played_and_left(name: str) -> None:
    script: Script = ALL_FAULTS[name]

    async def test() -> None:
        async with Upstream(script) as up:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with connected(up) as (reader, writer):
                    writer.write(request())
                    async with asyncio.timeout(0.05):
                        while await reader.read(65_536):
                            pass
            await up.until(lambda: up.open == 0)
            assert up.connections[0].by in {"us", "peer"}

    uvloop.run(_within(test))


def test_every_form_of_retry_after_says_the_same() -> None:
    forms = faults.retry_after_forms(30, time.time())
    assert forms["seconds"] == {"retry-after": "30"}
    assert forms["milliseconds"] == {"retry-after-ms": "30000"}
    assert forms["date"]["retry-after"].endswith("GMT")


@pytest.mark.parametrize("how", ["close", "in_chunk", "reset"])
def test_a_cut_stream_has_no_last_chunk(how: Cut) -> None:
    async def test() -> None:
        async with Upstream(cut_after(2, how)) as up, connected(up) as (reader, writer):
            writer.write(request(b'{"stream":true}'))
            got = b""
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65_536):
                    got += data
            assert got.count(b'"content"') in {3, 4}
            assert not got.endswith(b"0\r\n\r\n")

    both_loops(test)
