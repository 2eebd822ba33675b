"""`wayline serve`: load, bind, serve; with several workers, supervise."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from proxy.config.address import with_address
from proxy.config.load import load_file
from proxy.config.prices import price_targets
from proxy.config.problem import Problems
from proxy.config.values import Config

SHARED = "WAYLINE_SHARED"
"""Environment variable by which workers learn of the directory that they share."""
WORKERS = "WAYLINE_WORKERS"
"""The same for how many they are."""
FAILED = 1


def serve(config_path: Path, *, host: str | None, port: int | None, workers: int) -> int:
    """Gives the exit status."""
    read = partial(_read, config_path, host, port)
    config = read()
    if isinstance(config, str):
        print(config, file=sys.stderr)  # noqa: T201  # before there is a log
        return FAILED
    return _supervise(config, config_path, workers) if workers > 1 else _serve(config, read)


def _read(path: Path, host: str | None, port: int | None) -> Config | str:
    """The file, listening where the command line says; or what is wrong."""
    loaded = load_file(path)
    return str(loaded) if isinstance(loaded, Problems) else with_address(loaded, host, port)


def _load(read: Callable[[], Config | str]) -> tuple[Config, str | None] | str:
    found = read()
    return found if isinstance(found, str) else price_targets(found)


def _serve(loaded: Config, read: Callable[[], Config | str]) -> int:
    with ThreadPoolExecutor(1) as aside:  # the prices come from another process: meanwhile, the imports
        pricing = aside.submit(price_targets, loaded)
        from proxy.app.process import IntoLog, Process
        from proxy.ledger.schema import LedgerError
        from proxy.ops.log import Log
        from proxy.state.schema import StateError
        from proxy.store.schema import StoreError
        from proxy.wire.server import run
        from proxy.wire.workers import Tether

        config, warning = pricing.result()
        from proxy.app.orders import Signals

    tether = Tether.inherited()
    shared = os.environ.get(SHARED)
    log = Log(form=config.log)
    logging.getLogger("wayline").addHandler(IntoLog(log))
    logging.getLogger("wayline").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addHandler(IntoLog(log))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        process = Process(config, dict(os.environ), log, partial(_load, read), shared=Path(shared) if shared else None)
        process.orders = Signals(supervised=tether is not None)
        if warning:
            log.event("warning", "config.prices", reason=warning)
        return run(
            config.listen,
            process.app,
            process.endpoints,
            cors=config.cors,
            draining=process.draining,
            reuse_port=tether is not None,
            on_reload=process.runtime.reload_soon,
            ready=_ready(config, process.unavailable, log.event, quiet=tether is not None),
            tether=tether,
        )
    except (LedgerError, StateError, StoreError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201
    except OSError as error:
        print(_unbound(config, error), file=sys.stderr)  # noqa: T201
    finally:
        log.close()
    return FAILED


def _unbound(config: Config, error: OSError) -> str:
    return f"cannot listen on {config.listen.host} port {config.listen.port}: {error.strerror or error}"


def _ready(
    config: Config, unavailable: Callable[[], Iterable[str]], say: Callable[..., None], *, quiet: bool
) -> Callable[[tuple[str, int]], None]:
    def ready(address: tuple[str, int]) -> None:
        from proxy.app.greeting import greeting

        say("info", "serve.listening", host=address[0], port=address[1])
        if quiet:
            return
        for left in config.left_out:
            say("info", "target.left_out", route=left.route, target=left.target, reason=left.reason)
        text = greeting(config, *address, trouble=unavailable())
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # for people, not for the log

    return ready


def _supervise(config: Config, config_path: Path, workers: int) -> int:
    from proxy.app.greeting import greeting
    from proxy.wire.workers import reserve, starter, supervise

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    host = config.listen.host
    try:
        sockets, port = reserve(host, config.listen.port)
    except OSError as error:
        print(_unbound(config, error), file=sys.stderr)  # noqa: T201
        return FAILED
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(config_path)]
    command += ["--host", host, "--port", str(port)]

    def all_ready() -> None:
        print(greeting(config, host, port), file=sys.stderr, flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory(prefix="wayline-") as shared:
        os.environ |= {SHARED: shared, WORKERS: str(workers)}
        try:
            return supervise(workers, starter(command), patience=config.listen.drain, all_ready=all_ready)
        finally:
            for sock in sockets:
                sock.close()
