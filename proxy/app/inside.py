"""The endpoints for requests from inside: as the front's, but nobody is asked for a key."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.app.asked import Asked
from proxy.app.desk import Desk
from proxy.app.notes import Notes
from proxy.app.process import Process
from proxy.core.key import Key
from proxy.engine.roads import Roads
from proxy.wire.auth import Authenticator
from proxy.wire.front import Front
from proxy.wire.reply import Inbound

KEY = b"key"
"""The header that holds the name of a key. It cannot come from outside: this front has no socket."""


class Trusting(Authenticator):
    """Takes the caller's word for its name."""

    def check(self, fields: Mapping[bytes, bytes]) -> Key:
        return Key(fields.get(KEY, b"").decode())


class Counter:
    """The desk in force, with everybody trusted."""

    def __init__(self, desk: Desk) -> None:
        self.roads: Roads = desk.roads
        self.max_depth = desk.max_depth
        self.auth: Authenticator = Trusting(())


class Inside:
    """One for each process that is embedded."""

    def __init__(self, process: Process, notes: Notes) -> None:
        front = Front(process.engine, lambda: Counter(process.runtime.desk), process.ways)
        self._endpoints = front.endpoints()
        self._notes = notes

    def ask(self, inbound: Inbound, asked: Asked) -> None:
        """Sets the request on its way."""
        self._notes.awaited[asked.request_id] = asked.finished
        self._endpoints[inbound.method, inbound.path](inbound, asked.outbox)
