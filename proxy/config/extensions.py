"""Backend types that other packages bring: entry points of the group `wayline.backends`, each under its type's name.

They are looked for when a configuration names a type that Wayline does not have, and only then: looking through what is
installed takes time at every start, and what nobody names is not run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import NamedTuple

from proxy.config.backend_type import BackendType
from proxy.config.spec.shapes import Key
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.dialect import Dialect
from proxy.core.route import Target

GROUP = "wayline.backends"


class Extension(NamedTuple):
    """A backend type of another package. Its entry point names one of these."""

    kind: BackendType
    """What the configuration knows of it. `kind.name` is the entry point's name."""
    bind: Callable[[Backend, Target], Dialect]
    """The dialect of one target. Raises `ValueError` for what cannot be used."""
    origin: Callable[[Backend], Origin]
    """Where a backend is. Raises `ValueError` as `bind` does."""
    options: tuple[Key, ...] = ()
    """Keys that its backends have besides; they arrive as `Backend.options`."""


class Broken(ValueError):
    """A package brings a type in a way that cannot be used. The message says which and why."""


def installed() -> tuple[str, ...]:
    """The names of the types that packages bring, without loading them."""
    return tuple(sorted({point.name for point in _points()}))


@cache
def extension(name: str) -> Extension | None:
    """The type of that name, loaded once; `None` where no package brings it. Raises `Broken`."""
    points = [point for point in _points() if point.name == name]
    if not points:
        return None
    if len({point.value for point in points}) > 1:
        raise Broken(f"{' and '.join(map(_whence, points))} both bring a type of this name")
    whence = _whence(points[0])
    try:
        found = points[0].load()
    except Exception as error:  # other people's code, run here for the first time: it may raise anything
        raise Broken(f"{whence} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Extension):
        raise Broken(f"{whence} is no proxy.config.extensions.Extension")
    if found.kind.name != name:
        raise Broken(f"{whence} calls its type {found.kind.name!r}")
    return found


def _points() -> EntryPoints:
    return entry_points(group=GROUP)


def _whence(point: EntryPoint) -> str:
    return f"{point.value} of {point.dist.name}" if point.dist is not None else point.value
