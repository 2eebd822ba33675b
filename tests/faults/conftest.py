"""Stories told on one event loop, the one that serves in production."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.faults.rig import Rig

Story = Callable[[Rig], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a story with a rig of its own; keyword arguments go into the configuration's top level."""

    def runs(story: Story, **settings: Any) -> None:
        async def told() -> None:
            async with Rig(tmp_path, settings) as rig:
                await story(rig)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(told())

    return runs
