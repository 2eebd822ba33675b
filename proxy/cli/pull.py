"""`wayline models pull`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from proxy.app.pull import Source, pull
from proxy.backends.ollama_pull import Progress
from proxy.config.load import load_file
from proxy.config.problem import Problems
from proxy.core.failure import Failure
from proxy.net.httpnet import HttpNet
from proxy.net.proxies import proxies_from
from proxy.net.settings import NetSettings

_LINE = 72


def run(name: str, config: Path) -> int:
    """Pulls `backend/model`; returns the exit status."""
    source = _source(name, config)
    if isinstance(source, str):
        click.echo(source, err=True)
        return 1
    failure = asyncio.run(_pull(source, _Teller(name, live=sys.stderr.isatty())))
    if failure is not None:
        click.echo(f"{name}: {failure.message}", err=True)
        return 1
    click.echo(f"{name}: pulled", err=True)
    return 0


def _source(name: str, config: Path) -> Source | str:
    """Where to pull it from; or why that cannot be done."""
    loaded = load_file(config)
    if isinstance(loaded, Problems):
        return str(loaded)
    backend, slash, model = name.partition("/")
    found = loaded.backends.get(backend)
    if not slash or not model:
        return f"{name}: expected BACKEND/MODEL"
    if found is None:
        return f"{config} has no backend {backend}; it has {', '.join(loaded.backends)}"
    if found.missing:
        return f"the backend {backend} is not in use: {', '.join(found.missing)} is not set"
    if found.type != "ollama":
        return f"the backend {backend} is of type {found.type}: only an Ollama pulls models"
    try:
        return Source.of(found, model)
    except ValueError as error:
        return f"the backend {backend} cannot be used: {error}"


async def _pull(source: Source, teller: _Teller) -> Failure | None:
    net = HttpNet(NetSettings(proxies=proxies_from(dict(os.environ))))
    try:
        return await pull(net, source, teller.tell)
    finally:
        teller.end()
        await net.close()


class _Teller:
    """Progress on standard error: one line that changes, on a terminal; elsewhere a line for each new state."""

    def __init__(self, name: str, *, live: bool) -> None:
        self._name = name
        self._live = live
        self._last = ""

    def tell(self, progress: Progress) -> None:
        """Writes what is new."""
        step = progress.percent
        if not self._live and step is not None:
            progress = progress._replace(completed=progress.total * (step - step % 10) // 100)
        text = f"{self._name}: {progress}"[:_LINE]
        if text == self._last:
            return
        self._last = text
        click.echo(f"\r{text:<{_LINE}}" if self._live else text, err=True, nl=not self._live)

    def end(self) -> None:
        """The line that changed stays."""
        if self._live and self._last:
            click.echo(err=True)
