"""The long way: a whole request as an ASGI cycle of uvicorn's."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import unquote_to_bytes

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy.wire.connection import Connection
from proxy.wire.head import path_of
from proxy.wire.outbox import pairs
from proxy.wire.turn import Turn


def begin(line: Connection, turn: Turn) -> None:
    """Starts the app on a request whose body is whole."""
    line.cycle = cycle = RequestResponseCycle(
        scope=_scope(line, turn),
        transport=line.transport,
        flow=line.flow,
        logger=line.logger,
        access_logger=line.access_logger,
        access_log=False,
        default_headers=line.server_state.default_headers + pairs(turn.more),
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=turn.keep_alive and not line.door.draining.active,
        on_response=partial(_done, line, turn),
    )
    cycle.body = bytearray(turn.body)
    cycle.more_body = False
    cycle.message_event.set()
    turn.body = b""
    line._start_asgi_task(cycle, line.app)


def _done(line: Connection, turn: Turn) -> None:
    if line.turn is turn:
        turn.keep_alive = line.cycle.keep_alive
        line.done(turn)


def _scope(line: Connection, turn: Turn) -> HTTPScope:
    path = path_of(turn.target)
    return {
        "type": "http",
        "asgi": {"version": line.asgi_version, "spec_version": "2.3"},
        "http_version": turn.version,
        "server": line.server,
        "client": line.client,
        "scheme": line.scheme or "http",
        "root_path": "",
        "headers": turn.headers,
        "state": line.app_state.copy(),
        "method": turn.method.decode(),
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": turn.target.partition(b"?")[2].partition(b"#")[0],
        "extensions": {},
    }
