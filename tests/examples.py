"""How many examples the dearest properties are tried with."""

from __future__ import annotations

import os

ALL = os.environ.get("WAYLINE_EXAMPLES") == "all"
"""As `make test-all` says, which CI runs."""


def many(count: int) -> int:
    """`count` of them where every test runs; in `make test` a third. For properties that take a second and more."""
    return count if ALL else count // 3
