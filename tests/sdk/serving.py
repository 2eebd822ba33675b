"""A real `wayline serve` in a process of its own, as a user starts it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parse

READY = re.compile(r"Wayline is ready at (http://\S+)/v1")
START_WITHIN = 60.0
"""Seconds; on a machine that does much else at the same time."""
ROOT = Path(__file__).resolve().parents[2]


class Serving:
    """The process. It listens on a free port; `url` is its address without `/v1`."""

    def __init__(self, directory: Path, config: str, workers: int = 1) -> None:
        self.directory = directory
        self.config = directory / "routes.yaml"
        self.config.write_text(config)
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(self.config), "--port", "0"]
        with (directory / "log.txt").open("wb") as log:
            self.child = subprocess.Popen(
                [*command, "--workers", str(workers)], cwd=ROOT, stdout=log, stderr=subprocess.PIPE, text=True
            )
        self.url = ""
        self._said: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="wayline-stderr")
        self._reader.start()
        if not self._ready.wait(START_WITHIN) or not self.url:
            self.child.kill()
            raise RuntimeError(f"it did not start: {self.said()}")

    @property
    def base_url(self) -> str:
        """What goes into an SDK's `base_url`."""
        return self.url + "/v1"

    def said(self) -> str:
        """What it wrote on standard error so far."""
        return "".join(self._said)

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log so far."""
        return [json.loads(line) for line in (self.directory / "log.txt").read_text().splitlines()]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as reply:
            samples = [sample for family in parse(reply.read().decode()) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def wayline(self, *words: str) -> str:
        """What another `wayline` command prints."""
        command = [sys.executable, "-m", "proxy", *words]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout

    def spend(self, *words: str) -> Any:
        """`wayline spend --json`, of this server's own ledger."""
        return json.loads(self.wayline("spend", "today", "--config", str(self.config), "--json", *words))

    def end(self) -> int:
        """SIGTERM, if it was not sent before; its exit status, when it has drained. Raises TimeoutExpired."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(60)
        finally:
            self.child.kill()
            self._reader.join()
            assert self.child.stderr is not None
            self.child.stderr.close()

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self._said.append(line)
            if found := READY.search(line):
                self.url = found[1]
                self._ready.set()
        self._ready.set()


@contextlib.contextmanager
def serving(directory: Path, config: str, workers: int = 1) -> Iterator[Serving]:
    """Serves while the block runs. At its end it must stop by itself, and have thrown nothing in people's faces."""
    server = Serving(directory, config, workers)
    try:
        yield server
    finally:
        status = server.end()
    assert status == 0, server.said()
    assert "Traceback" not in server.said(), server.said()
