"""Names, addresses and time: getting a connection where not everything answers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.core.call import Origin
from proxy.core.failure import FailureKind
from proxy.net.race import interleave, race
from proxy.net.resolve import KEEP, Address, Resolver, numeric
from proxy.net.settings import NetSettings
from tests.net.raw import OK, Upstream, answering, ask, engine, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]
V4, V6 = socket.AF_INET, socket.AF_INET6


def here(port: int) -> Address:
    return Address(V4, ("127.0.0.1", port))


def six(port: int = 1) -> Address:
    """An IPv6 address where nobody listens."""
    return Address(V6, ("::1", port, 0, 0))


def full_listener() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full: connecting to it hangs, as behind a firewall that drops packets."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    for _ in range(2):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        waiting.append(sock)
    return listener, waiting


def test_numbers_are_not_looked_up() -> None:
    assert numeric("127.0.0.1", 80) == [Address(V4, ("127.0.0.1", 80))]
    assert numeric("::1", 80) == [Address(V6, ("::1", 80))]
    assert numeric("api.example.com", 80) == []


def test_a_name_is_looked_up_once_for_all_who_ask_and_kept_a_while(run: Run) -> None:
    asked: list[str] = []
    now = [0.0]

    def lookup(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [here(port)]

    async def main() -> None:
        resolver = Resolver(lookup, clock=lambda: now[0])
        answers = await asyncio.gather(*(resolver.resolve("a", 1) for _ in range(20)))
        assert answers == [[here(1)]] * 20
        assert asked == ["a"]
        now[0] = KEEP - 1
        await resolver.resolve("a", 1)
        assert asked == ["a"]
        now[0] = KEEP + 1
        await resolver.resolve("a", 1)
        resolver.forget("a", 1)
        await resolver.resolve("a", 1)
        assert asked == ["a"] * 3

    run(main())


def test_a_name_that_stalls_keeps_no_other_name_waiting(run: Run) -> None:
    release = threading.Event()
    stalled: list[str] = []

    def lookup(host: str, port: int) -> list[Address]:
        if host.startswith("stalls"):
            stalled.append(host)
            release.wait(20)
        return [here(port)]

    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine(NetSettings(lookup=lookup)) as net:
            for number in range(40):
                start(net, Origin("http", f"stalls{number % 10}", upstream.port), connect=20)
            await until(lambda: len(stalled) == 10)
            heard = await ask(net, Origin("http", "fine", upstream.port), connect=5)
            assert heard.body == b"hi"
            assert len(stalled) == 10
            late = await ask(net, Origin("http", "stalls0", upstream.port), connect=0.05)
            assert late.kind is FailureKind.CONNECT_TIMEOUT
            await net.close()
            release.set()

    run(main())


def test_look_ups_are_bounded_in_number(run: Run) -> None:
    release = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        release.wait(20)
        return [here(port)]

    async def main() -> None:
        resolver = Resolver(lookup)
        asking = [asyncio.ensure_future(resolver.resolve(f"h{n}", 1)) for n in range(32)]
        await asyncio.sleep(0)
        with pytest.raises(socket.gaierror):
            await resolver.resolve("one more", 1)
        release.set()
        assert await asyncio.gather(*asking) == [[here(1)]] * 32

    run(main())


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_NONAME, "a"), UnicodeError("label too long"), socket.gaierror(-3, "again")]
)
def test_a_name_without_address_is_a_dns_failure_and_is_asked_for_again(run: Run, error: Exception) -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[Address]:
        asked.append(host)
        raise error

    async def main() -> None:
        async with engine(NetSettings(lookup=lookup)) as net:
            for _ in range(2):
                heard = await ask(net, Origin("http", "secret.example.com", 80))
                assert heard.failure is not None
                assert heard.kind is FailureKind.DNS
                assert "secret" not in heard.failure.message
            assert len(asked) == 2

    run(main())


def test_the_families_are_tried_in_turn() -> None:
    four = [Address(V4, (f"10.0.0.{n}", 1)) for n in range(2)]
    sixes = [Address(V6, (f"fd00::{n}", 1, 0, 0)) for n in range(3)]
    assert interleave([*sixes, *four]) == [sixes[0], four[0], sixes[1], four[1], sixes[2]]
    assert interleave([*four, *sixes]) == [four[0], sixes[0], four[1], sixes[1], sixes[2]]


def test_an_address_that_refuses_costs_no_head_start(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream:
            began = time.monotonic()
            sock = await race([six(), here(upstream.port)], head_start=60)
            sock.close()
            assert time.monotonic() - began < 5

    run(main())


def test_an_address_that_does_not_answer_loses_to_the_next_after_its_head_start(run: Run) -> None:
    listener, waiting = full_listener()

    async def main() -> None:
        async with Upstream(answering(OK)) as upstream:

            def lookup(host: str, port: int) -> list[Address]:
                return [here(listener.getsockname()[1]), six(), here(port)]

            async with engine(NetSettings(lookup=lookup)) as net:
                began = time.monotonic()
                heard = await ask(net, Origin("http", "two", upstream.port), connect=5)
                assert heard.body == b"hi"
                assert 0.2 < time.monotonic() - began < 2

    run(main())
    for sock in (listener, *waiting):
        sock.close()


def test_when_no_address_answers_the_first_ones_error_is_told(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream:
            port = upstream.port
        with pytest.raises(ConnectionRefusedError):
            await race([here(port), Address(V4, ("127.0.0.2", port))], head_start=60)

    run(main())


def test_the_connect_time_covers_an_address_that_never_answers(run: Run) -> None:
    listener, waiting = full_listener()

    async def main() -> None:
        async with engine() as net:
            heard = await ask(net, Origin("http", "127.0.0.1", listener.getsockname()[1]), connect=0.05)
            assert heard.kind is FailureKind.CONNECT_TIMEOUT
            aborted, flight = start(net, Origin("http", "127.0.0.1", listener.getsockname()[1]))
            await asyncio.sleep(0.01)
            flight.abort()
            await until(lambda: net.stats().connecting == 0)
            assert aborted.calls == []

    run(main())
    for sock in (listener, *waiting):
        sock.close()


def test_ipv6_is_spoken(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK), host="::1") as upstream, engine() as net:
            assert (await ask(net, upstream.origin)).body == b"hi"

    run(main())
