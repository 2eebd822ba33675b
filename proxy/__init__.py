"""Wayline: an OpenAI-compatible streaming reverse proxy with failover, health and true cost."""

from typing import TYPE_CHECKING

__version__: str


def _version() -> str:
    """As installed. Looking it up imports much that most commands never need, so it is done when somebody asks."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("wayline")
    except PackageNotFoundError:  # a source tree that nobody installed
        return "0.0.0"


if not TYPE_CHECKING:  # for a type checker any attribute would exist

    def __getattr__(name: str) -> str:
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = _version()
        return globals()[name]
