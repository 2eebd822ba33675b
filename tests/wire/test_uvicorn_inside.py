"""What the front door relies on inside uvicorn and httptools, so that another version cannot change it unnoticed."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version

import httptools
import uvicorn
from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState


async def _app(scope: object, receive: object, send: object) -> None: ...


def test_it_is_the_version_that_was_read() -> None:
    assert version("uvicorn").startswith("0.54.")


def test_the_protocol_has_what_the_connection_uses() -> None:
    async def look() -> None:
        protocol = HttpToolsProtocol(Config(_app, log_config=None), ServerState(), {})
        assert isinstance(protocol.parser, httptools.HttpRequestParser)
        for name in ("loop", "app", "app_state", "cycle", "flow", "asgi_version", "server", "client", "scheme"):
            assert hasattr(protocol, name), name
        assert protocol.connections is protocol.server_state.connections
        assert inspect.signature(protocol._start_asgi_task).parameters.keys() == {"cycle", "app"}
        assert {"pause_writing", "resume_writing", "connection_lost", "shutdown"} <= set(dir(protocol))

    asyncio.run(look())


def test_the_cycle_takes_and_keeps_what_it_is_given() -> None:
    assert list(inspect.signature(RequestResponseCycle).parameters) == [
        "scope",
        "transport",
        "flow",
        "logger",
        "access_logger",
        "access_log",
        "default_headers",
        "message_event",
        "expect_100_continue",
        "keep_alive",
        "on_response",
    ]
    source = inspect.getsource(RequestResponseCycle)
    for line in (
        "self.body = bytearray()",
        "self.more_body = True",
        "await self.message_event.wait()",
        "self.on_response()",
    ):
        assert line in source
    assert {"pause_writing", "resume_writing"} <= set(dir(FlowControl))


def test_the_server_calls_what_is_overridden() -> None:
    source = inspect.getsource(uvicorn.Server)
    for call in (
        "await self.startup(sockets=sockets)",
        "await self.main_loop()",
        "await self.shutdown(sockets=sockets)",
        "with self.capture_signals():",
        "config.http_protocol_class(",
    ):
        assert call in source
    assert "default_headers" in ServerState().__dict__
    assert {"startup", "shutdown"} <= set(dir(LifespanOn))


def test_the_parser_tells_where_an_offered_protocol_would_begin() -> None:
    class Deaf:
        def on_message_complete(self) -> None: ...

    parser = httptools.HttpRequestParser(Deaf())
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n"
    try:
        parser.feed_data(head + b"{}")
    except httptools.HttpParserUpgrade as upgrade:
        assert upgrade.args == (len(head),)
    else:
        raise AssertionError("the parser read on")
