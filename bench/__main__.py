"""`python -m bench`: measures, prints tables, and writes JSON when asked. See `--help`."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from bench import process, report, rows
from bench.gateways import ALL, Gateway


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute instead of about six")
    parser.add_argument("--only", action="append", choices=list(rows.ROWS), help="this row only; can be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--gateways", default=",".join(ALL), help="default: %(default)s")
    parsed = parser.parse_args()
    unknown = set(parsed.gateways.split(",")) - set(ALL)
    if unknown:
        parser.error(f"no such gateway: {', '.join(sorted(unknown))} (there are: {', '.join(ALL)})")
    return parsed


def available(names: list[str]) -> tuple[Gateway, ...]:
    """The gateways that can be run here; says what the others lack."""
    for name in names:
        if missing := ALL[name].needs():
            print(f"{name} is left out: {missing}")
    return tuple(ALL[name] for name in names if not ALL[name].needs())


async def measure(args: argparse.Namespace) -> dict[str, rows.Figures]:
    """Runs the rows, one after the other."""
    core, other = process.cores()
    if core == other:
        print("one core only: gateway, upstream and load share it, and the figures mean little")
    os.sched_setaffinity(0, {other})
    ports = process.free_ports(2)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.closing(socket.socket()) as refusing:
        refusing.bind(("127.0.0.1", 0))  # bound but not listening: it refuses, and nobody else gets the port
        directory = Path(name)
        command = process.python("-m", "bench.upstream", *map(str, ports))
        upstream = process.start(command, other, log=directory / "upstream.txt")
        try:
            await rows.reachable(ports[0])
            bench = rows.Bench(
                directory,
                available(args.gateways.split(",")),
                rows.QUICK if args.quick else rows.FULL,
                core,
                port=ports[0],
                error_port=ports[1],
                dead_port=refusing.getsockname()[1],
            )
            return await run(bench, args.only or list(rows.ROWS))
        finally:
            process.stop(upstream)


async def run(bench: rows.Bench, names: list[str]) -> dict[str, rows.Figures]:
    """The named rows' figures, each printed as soon as it is there."""
    results: dict[str, rows.Figures] = {}
    for row in names:
        began = time.monotonic()
        results[row] = await rows.ROWS[row](bench)
        print(f"\n{rows.ROWS[row].__doc__} ({time.monotonic() - began:.0f} s)")
        print(report.figures_table(row, results[row]), flush=True)
    return results


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    versions = {}
    for name in ("wayline", "uvicorn", "httptools", "uvloop", "tensorzero", "ferrogw"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": versions,
    }


def main() -> None:
    """Measures and reports."""
    args = arguments()
    on = machine()
    results = uvloop.run(measure(args))
    judged = report.judge(results)
    if report.US in args.gateways:
        print("\n" + report.budgets_table(judged))
    if args.json:
        everything = {"machine": on, "results": results, "budgets": [each._asdict() for each in judged]}
        args.json.write_text(json.dumps(report.sayable(everything), indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
