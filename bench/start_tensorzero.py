"""Runs TensorZero's HTTP gateway, which is inside its wheel: `python -m bench.start_tensorzero CONFIG.toml`"""

from __future__ import annotations

import importlib
import signal
import sys


def main(config: str) -> None:
    """Prints its address and runs until the process is ended."""
    tensorzero = importlib.import_module("tensorzero")
    gateway = tensorzero._start_http_gateway(
        config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    print(gateway.base_url, flush=True)
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
