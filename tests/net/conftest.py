"""Every test of the engine that opens sockets runs on asyncio's own event loop and on uvloop."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(autouse=True, scope="module")
def nothing_left_open() -> Iterator[None]:
    """An unclosed socket warns when it is freed, and warnings are errors."""
    yield
    gc.collect()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine; what the event loop's exception handler hears of fails the test."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(main: Coroutine[Any, Any, None]) -> None:
        unseen: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=factory) as loop_runner:
            loop_runner.get_loop().set_exception_handler(lambda loop, context: unseen.append(context))
            loop_runner.run(main)
        assert unseen == []

    return runner
