"""Wayline: an OpenAI-compatible streaming reverse proxy with failover, health and true cost."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wayline")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0.0.0"
