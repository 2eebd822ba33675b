"""A running front door with the usual bounds."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.wire.running import Running, serving


@pytest.fixture
def door() -> Generator[Running]:
    """A server with the usual bounds."""
    with serving() as running:
        yield running
