"""Alerts reach a webhook: signed, in their order, and again until it takes them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.app.webhook import WAITING, Sender, signature
from proxy.core.secret import Secret
from proxy.core.vitals.policy import Webhook
from proxy.engine.alerts import Alert
from proxy.net.httpnet import HttpNet

SECRET = "whsec_" + base64.b64encode(b"a key of the receiver's").decode()


class Receiver:
    """Checks what it gets as Standard Webhooks say, and answers what it is told to."""

    def __init__(self, *statuses: int, hangs: bool = False) -> None:
        self.statuses = list(statuses)
        self.hangs = hangs
        self.tries: list[tuple[str, str]] = []
        """(id, message) of each try."""
        self.taken: list[Any] = []
        self.lines: list[str] = []
        self.changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(fields["content-length"]))
        self.lines.append(head[0])
        signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
        mac = hmac.new(b"a key of the receiver's", signed, hashlib.sha256).digest()
        assert hmac.compare_digest(fields["webhook-signature"], "v1," + base64.b64encode(mac).decode())
        assert abs(time.time() - int(fields["webhook-timestamp"])) < 60
        told = json.loads(body)
        self.tries.append((fields["webhook-id"], told["data"]["message"]))
        if self.hangs:
            self.changed.set()
            await reader.read()
        status = self.statuses.pop(0) if self.statuses else 204
        if status < 300:
            self.taken.append(told)
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)
        self.changed.set()

    async def until(self, tries: int) -> None:
        async with asyncio.timeout(5):
            while len(self.tries) < tries:
                self.changed.clear()
                await self.changed.wait()


class Notes:
    """The log."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []
        self.came = asyncio.Event()

    def __call__(self, level: str, name: str, /, **fields: object) -> None:
        self.said.append((name, fields))
        self.came.set()


@asynccontextmanager
async def meeting(receiver: Receiver, notes: Notes, secret: str = SECRET) -> AsyncIterator[Sender]:
    """A sender to this receiver."""
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    net = HttpNet()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks/wayline?team=1"
    sender = Sender(net, Webhook(Secret(url), Secret(secret)), notes, pause=lambda _: 0.0)
    try:
        yield sender
    finally:
        await sender.close()
        await net.close()
        server.close()


def alert(message: str = "a/m is down", raised: bool = True) -> Alert:
    return Alert("down", "a/m", raised, 1_795_392_000.0, 1_795_391_000.0, message, {"cause": "refused"})


def test_the_receiver_gets_what_happened_and_can_trust_it() -> None:
    async def story() -> None:
        receiver, notes = Receiver(), Notes()
        async with meeting(receiver, notes) as sender:
            sender.put(alert())
            sender.put(alert(raised=False))
            await receiver.until(2)
        assert receiver.lines[0] == "POST /hooks/wayline?team=1 HTTP/1.1"
        first, second = receiver.taken
        assert first == {
            "type": "alert.raised",
            "timestamp": "2026-11-23T00:00:00Z",
            "data": {
                "kind": "down",
                "subject": "a/m",
                "message": "a/m is down",
                "since": "2026-11-22T23:43:20Z",
                "about": {"cause": "refused"},
            },
        }
        assert second["type"] == "alert.cleared"
        assert notes.said == []

    asyncio.run(story())


def test_it_is_tried_again_until_it_is_taken_and_nothing_overtakes_it() -> None:
    async def story() -> None:
        receiver, notes = Receiver(500, 429, 204), Notes()
        async with meeting(receiver, notes) as sender:
            for message in ("one", "two", "three"):
                sender.put(alert(message))
            await receiver.until(5)
        assert [message for _, message in receiver.tries] == ["one", "one", "one", "two", "three"]
        assert len({id_ for id_, _ in receiver.tries}) == 3  # a receiver can tell one that comes twice
        assert [told["data"]["message"] for told in receiver.taken] == ["one", "two", "three"]
        assert notes.said == [("webhook.trouble", {"error": "it answered 500"})]

    asyncio.run(story())


def test_one_that_is_never_taken_is_given_up_and_the_next_one_goes() -> None:
    async def story() -> None:
        receiver, notes = Receiver(*[500] * 12), Notes()
        async with meeting(receiver, notes) as sender:
            sender.put(alert("one"))
            sender.put(alert("two"))
            await receiver.until(13)
        assert [told["data"]["message"] for told in receiver.taken] == ["two"]
        assert notes.said[-1] == ("webhook.failed", {"error": "it answered 500", "tries": 12})

    asyncio.run(story())


def test_what_waits_is_bounded_and_the_log_says_what_was_dropped() -> None:
    async def story() -> None:
        receiver, notes = Receiver(), Notes()
        async with meeting(receiver, notes) as sender:
            for number in range(WAITING + 20):
                sender.put(alert(str(number)))
            await receiver.until(WAITING)
        assert [message for _, message in receiver.tries] == [str(n) for n in range(20, WAITING + 20)]
        assert ("webhook.dropped", {"alerts": 20}) in notes.said

    asyncio.run(story())


def test_a_receiver_that_hangs_does_not_hold_up_the_end() -> None:
    async def story() -> None:
        receiver, notes = Receiver(hangs=True), Notes()
        async with meeting(receiver, notes) as sender:
            sender.put(alert())
            sender.put(alert())
            await receiver.until(1)
            began = time.monotonic()
            await sender.close()
            assert time.monotonic() - began < 2
        assert notes.said == [("webhook.unsent", {"alerts": 2})]

    asyncio.run(story())


def test_a_pause_is_cut_short_by_the_end_for_one_last_try() -> None:
    async def story() -> None:
        receiver, notes = Receiver(500), Notes()
        async with meeting(receiver, notes) as sender:
            sender._pause = lambda _: 3600.0
            sender.put(alert())
            async with asyncio.timeout(5):
                await notes.came.wait()  # it was refused, and waits
        assert len(receiver.taken) == 1

    asyncio.run(story())


def test_a_secret_may_be_any_text_and_is_seen_nowhere() -> None:
    body = b"{}"
    mac = hmac.new(b"plain words", b"msg_1.17.{}", hashlib.sha256).digest()
    assert signature(Secret("plain words"), "msg_1", 17, body) == "v1," + base64.b64encode(mac).decode()
    mac = hmac.new(b"whsec_?!", b"msg_1.17.{}", hashlib.sha256).digest()
    assert signature(Secret("whsec_?!"), "msg_1", 17, body) == "v1," + base64.b64encode(mac).decode()
    assert "plain words" not in repr(Webhook(Secret("http://x/plain words"), Secret("plain words")))


def test_an_example_of_standard_webhooks_is_signed_as_they_say() -> None:
    # From the specification, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    said = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("url", ["ftp://x/y", "http://u:p@x/y", "http:///y"])
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Sender(HttpNet(), Webhook(Secret(url)), Notes())
