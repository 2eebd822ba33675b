"""What exchanges of routes with `screen` or `quality` share. It loads none of what these need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.engine.lane import Road


class Attention:
    """One for each process."""

    def __init__(self) -> None:
        self.find: Callable[[str], Road | None] = lambda _: None
        """The road of a route or of a target that a screen asks, by its name, as the configuration in force has it."""
        self.found: dict[tuple[str, str, str, str, str], int] = {}
        """How often something was found: by route, `input` or `output`, rule, category, action."""
