"""Sends alerts to a webhook: signed, in their order, tried again until it takes them.

As the Standard Webhooks say (standardwebhooks.com, version 1.0.0): a POST of JSON with the headers `webhook-id`,
`webhook-timestamp` (Unix time in seconds, of this try) and, with a secret, `webhook-signature`: `v1,` and the base64 of
the HMAC-SHA256 over `id.timestamp.body`. The key is what follows `whsec_` in the secret, in base64; of a secret without
that beginning, its bytes. Any status from 200 to 299 takes it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import random
import time
import uuid
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import orjson

from proxy import __version__
from proxy.backends.head import address
from proxy.core.call import HttpCall
from proxy.core.secret import Secret
from proxy.core.vitals.policy import Webhook
from proxy.engine.alerts import Alert
from proxy.ledger.stats import Say
from proxy.net.flight import Net
from proxy.net.whole import answered

WAITING = 1000
"""Alerts that wait: beyond it the oldest are dropped, and the log says how many."""
TRIES = 12
"""For one alert: with the pauses between them about ten minutes, in which nothing overtakes it."""
PAUSE, PAUSE_MAX = 1.0, 120.0
"""Seconds after the first failed try, twice as long after each further one, and at most; +-50 %."""
WITHIN = 10.0
"""Seconds for a try."""
CONNECT = 5.0
CLOSE_WITHIN = 1.0
"""Seconds that what waits gets when the process ends."""
_MAX_ANSWER = 1024


def signature(secret: Secret, id_: str, timestamp: int, body: bytes) -> str:
    """What `webhook-signature` says."""
    text = secret.reveal()
    key = text.encode()
    if text.startswith("whsec_"):
        with contextlib.suppress(binascii.Error):
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    mac = hmac.new(key, b"%s.%d.%s" % (id_.encode(), timestamp, body), hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def told(alert: Alert) -> bytes:
    """An alert as a webhook gets it."""
    return orjson.dumps(
        {
            "type": "alert.raised" if alert.raised else "alert.cleared",
            "timestamp": _iso(alert.at),
            "data": {
                "kind": alert.kind,
                "subject": alert.subject,
                "message": alert.message,
                "since": _iso(alert.since),
                "about": dict(alert.about),
            },
        },
        default=str,
    )


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Sender:
    """One for each webhook. `put` at any time on the event loop; `close` at the end."""

    def __init__(self, net: Net, webhook: Webhook, say: Say, pause: Callable[[int], float] | None = None) -> None:
        """Raises `ValueError` for an address that cannot be used. `pause`: seconds after so many failed tries."""
        url = webhook.url.reveal()
        split = urlsplit(url)
        self._at = address(url)
        path = f"{split.path or '/'}{'?' if split.query else ''}{split.query}"
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._at.authority}\r\nContent-Type: application/json\r\n"
            f"User-Agent: wayline/{__version__}\r\n"
        )
        self._secret = webhook.secret
        self._net = net
        self._say = say
        self._pause = _pause if pause is None else pause
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def put(self, alert: Alert) -> None:
        """Send it, after all that was put before."""
        if self._closing.is_set():
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((f"msg_{uuid.uuid4().hex}", told(alert)))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Send what waits, for a second at most."""
        self._closing.set()
        task = self._task
        if task is not None:
            await asyncio.wait({task}, timeout=CLOSE_WITHIN)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._waiting:
            self._say("warning", "webhook.unsent", alerts=len(self._waiting))
            self._waiting.clear()

    async def _work(self) -> None:
        try:
            while self._waiting:
                if not await self._deliver(*self._waiting[0]):
                    return
        finally:
            self._task = None

    async def _deliver(self, id_: str, body: bytes) -> bool:
        """False: it is not taken, and there is no more time."""
        for number in range(1, TRIES + 1):
            trouble = await self._try(id_, body)
            if not trouble:
                break
            if number == TRIES:
                self._say("error", "webhook.failed", error=trouble, tries=number)
                break
            if number == 1:
                self._say("warning", "webhook.trouble", error=trouble)
            if self._closing.is_set():
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._pause(number))
        if self._waiting and self._waiting[0][0] == id_:  # it may have been dropped meanwhile
            self._waiting.popleft()
        if self._dropped:
            self._say("error", "webhook.dropped", alerts=self._dropped)
            self._dropped = 0
        return True

    async def _try(self, id_: str, body: bytes) -> str:
        """Why it was not taken; empty: it was."""
        now = int(time.time())
        head = f"{self._head}webhook-id: {id_}\r\nwebhook-timestamp: {now}\r\n"
        if self._secret is not None:
            head += f"webhook-signature: {signature(self._secret, id_, now, body)}\r\n"
        call = HttpCall(head.encode(), body)
        answer = await answered(self._net, self._at.origin, call, most=_MAX_ANSWER, connect=CONNECT, within=WITHIN)
        if isinstance(answer, str):
            return answer
        return "" if 200 <= answer.status < 300 else f"it answered {answer.status}"


def _pause(number: int) -> float:
    return min(PAUSE * 2.0 ** (number - 1), PAUSE_MAX) * random.uniform(0.5, 1.5)
