"""What configuration and backends each know of the types of backends agrees."""

from __future__ import annotations

from proxy.backends.head import address
from proxy.backends.registry import TYPES, origin
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend


def test_every_type_that_can_be_configured_has_a_dialect_and_the_reverse() -> None:
    assert set(BACKEND_TYPES) == TYPES


def test_both_name_the_same_default_address() -> None:
    for row in BACKEND_TYPES.values():
        if row.base_url and not row.ours:
            assert origin(Backend("b", row.name)) == address(row.base_url).origin
