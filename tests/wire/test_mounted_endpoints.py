"""Hot endpoints below another server: what goes wrong in them stays a proper end of that server's response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from proxy.config.values import Listen
from proxy.wire.door import Door
from proxy.wire.mounted import Mounted
from proxy.wire.outbox import BrokenOff
from proxy.wire.reply import Inbound, Reply

Endpoint = Callable[[Inbound, Reply], None]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the endpoint is hot")


class Client:
    """Sends one request and keeps what comes. `leaves`: after so many messages."""

    def __init__(self, leaves: int | None = None) -> None:
        self.got: list[Message] = []
        self._asked = False
        self._leaves = leaves
        self._left = asyncio.Event()

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"{}", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)
        if len(self.got) == self._leaves:
            self._left.set()


def ask(endpoint: Endpoint, leaves: int | None = None) -> list[Message]:
    """What a client gets of this endpoint."""

    async def run() -> list[Message]:
        client = Client(leaves)
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/below/x", "root_path": "/below", "headers": headers}
        app = Mounted(Door(Listen(), {("POST", "/x"): endpoint}), nothing)
        await app(scope, client.receive, client.send)
        return client.got

    return asyncio.run(run())


def test_a_reply_that_is_broken_off_is_not_ended_as_if_it_were_whole() -> None:
    def breaks(inbound: Inbound, reply: Reply) -> None:
        reply.start(200, b"content-type: audio/mpeg\r\n")
        reply.push(b"half")
        asyncio.get_running_loop().call_later(0.01, reply.abandon)

    with pytest.raises(BrokenOff):
        ask(breaks)


def test_an_endpoint_that_raises_is_a_500_in_our_words() -> None:
    def raises(inbound: Inbound, reply: Reply) -> None:
        raise ValueError("a bug")

    start, *body = ask(raises)
    assert start["status"] == 500
    assert b"internal_error" in b"".join(piece["body"] for piece in body)


def test_a_client_that_leaves_is_told_to_the_endpoint() -> None:
    told: list[str] = []

    def streams(inbound: Inbound, reply: Reply) -> None:
        reply.watch(lambda: told.append("gone"), lambda: None)
        reply.start(200, b"")
        reply.push(b"first")

    got = ask(streams, leaves=2)
    assert told == ["gone"]
    assert [message.get("body") for message in got] == [None, b"first"]  # and no end


def test_the_endpoint_sees_its_own_path_and_the_whole_body() -> None:
    seen: list[tuple[str, str, bytes]] = []

    def answers(inbound: Inbound, reply: Reply) -> None:
        seen.append((inbound.method, inbound.path, inbound.body))
        reply.whole(200, b"content-type: application/json\r\n", b"[]")

    start, body, end = ask(answers)
    assert seen == [("POST", "/x", b"{}")]
    assert (b"content-length", b"2") in start["headers"]
    assert (body["body"], end["body"]) == (b"[]", b"")
