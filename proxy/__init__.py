"""Wayline: an OpenAI-compatible streaming reverse proxy with failover, health and true cost.

from proxy import Wayline, WaylineError     # the same, without a socket: see proxy/app/embedded.py
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.app.answers import WaylineError as WaylineError
    from proxy.app.embedded import Wayline as Wayline

__version__: str

_ELSEWHERE = {"Wayline": "proxy.app.embedded", "WaylineError": "proxy.app.answers"}
"""Where it stands: importing `proxy` alone must cost next to nothing, as each command does it."""


def _version() -> str:
    """As installed. Looking it up imports much that most commands never need, so it is done when somebody asks."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("wayline")
    except PackageNotFoundError:  # a source tree that nobody installed
        return "0.0.0"


def _found(name: str) -> Any:
    from importlib import import_module

    return getattr(import_module(_ELSEWHERE[name]), name)


if not TYPE_CHECKING:  # for a type checker any attribute would exist

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            globals()[name] = _version()
        elif name in _ELSEWHERE:
            globals()[name] = _found(name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]
