"""What configuration and backends each know of the types of backends agrees."""

from __future__ import annotations

from proxy.backends.registry import SPECS
from proxy.config.kinds import BACKEND_TYPES


def test_every_type_that_can_be_configured_has_a_dialect_and_the_reverse() -> None:
    assert set(BACKEND_TYPES) == set(SPECS)


def test_both_name_the_same_default_address() -> None:
    for row in BACKEND_TYPES.values():
        if row.base_url and not row.ours:
            assert SPECS[row.name].base_url == row.base_url
