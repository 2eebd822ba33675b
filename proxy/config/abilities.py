"""What the models of targets can do: a small dated file of ours, which the configuration overrules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from proxy.core.ability import UNKNOWN, Ability

FILE = Path(__file__).with_name("abilities.yaml")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def ability_of(model: str) -> Ability:
    """What is known of a model by its name, with or without a provider's `name/` and a tag (`:free`)."""
    name = model.lower().rpartition("/")[2]
    for pattern, ability in _rows():
        if pattern.fullmatch(name):
            return ability
    return UNKNOWN


def declared(plain: Mapping[str, Any]) -> Ability:
    """What `capabilities:` of a target says."""
    said = {name: value for name, value in plain.items() if isinstance(value, bool)}
    has = frozenset(name for name, value in said.items() if value)
    return Ability(plain.get("context"), plain.get("output"), has, frozenset(said) - has)


@cache
def _rows() -> tuple[tuple[re.Pattern[str], Ability], ...]:
    whole = yaml.load(FILE.read_text("utf-8"), _LOADER)
    dated = str(whole["dated"])
    return tuple((re.compile(row["match"]), _ability(row, dated)) for row in whole["models"])


def _ability(row: Mapping[str, Any], dated: str) -> Ability:
    has, lacks = frozenset(row.get("has", ())), frozenset(row.get("lacks", ()))
    return Ability(row.get("context"), row.get("output"), has, lacks, dated)
