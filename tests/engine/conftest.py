"""The engine needs a running event loop, though nothing here waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest


@pytest.fixture
def on_loop() -> Callable[[Callable[[], None]], None]:
    """Runs a story on an event loop."""

    def run(story: Callable[[], None]) -> None:
        async def told() -> None:
            story()

        asyncio.run(told())

    return run
