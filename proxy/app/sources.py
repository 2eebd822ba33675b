"""Where an embedded Wayline gets its configuration from: a file, a mapping as such a file says it, or a `Config`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from proxy.app.runtime import Load
from proxy.config.load import load, load_file, read_secret
from proxy.config.prices import price_targets
from proxy.config.problem import Problems
from proxy.config.values import Config

Source = str | os.PathLike[str] | Mapping[str, Any] | Config


def config_of(source: Source, environ: Mapping[str, str]) -> Config:
    """Raises `ValueError` with every problem."""
    if isinstance(source, Config):
        return source
    if isinstance(source, Mapping):
        loaded = load(as_yaml(source), environ, "the configuration", read_secret)
    else:
        loaded = load_file(Path(source), environ)
    if isinstance(loaded, Problems):
        raise ValueError(str(loaded))
    return loaded if not isinstance(source, Mapping) else _without_source(loaded)


def loader(source: Source, priced: Config) -> Load:
    """How it is loaded anew: only a file can have changed."""
    if isinstance(source, Config | Mapping):
        return lambda: (priced, None)
    return partial(_again, Path(source))


def _again(path: Path) -> tuple[Config, str | None] | str:
    loaded = load_file(path)
    return str(loaded) if isinstance(loaded, Problems) else price_targets(loaded)


def _without_source(config: Config) -> Config:
    """There is no file to be watched."""
    return replace(config, source="")


def as_yaml(value: Mapping[str, Any]) -> str:
    """Raises `ValueError` for what no file could say."""
    try:
        return str(yaml.safe_dump(_plain(value), allow_unicode=True, sort_keys=False))
    except yaml.YAMLError as error:
        raise ValueError(f"the configuration has a value that no file could have: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
