"""`python -m bench.faults`: plays the scenarios, prints a table, and exits with 1 when one fails. See `--help`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.__main__ import machine
from bench.faults import report
from bench.faults.beyond import BEYOND
from bench.faults.case import Case
from bench.faults.cuts import CUTS
from bench.faults.leaving import LEAVING
from bench.faults.profile import PROFILES
from bench.faults.published import PUBLISHED
from bench.faults.run import play
from bench.faults.verdict import Verdict

CASES = (*PUBLISHED, *BEYOND, *LEAVING, *CUTS)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--profile", choices=list(PROFILES), default="full", help="default: %(default)s")
    parser.add_argument(
        "--only", action="append", metavar="ID", help="this scenario, with all its readings; repeatable"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the evidence")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page of the documentation")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave configurations, logs and ledgers there")
    return parser.parse_args(argv)


def chosen(only: Sequence[str] | None) -> list[Case]:
    """The cases with these numbers or full names; all without any. Raises SystemExit for an unknown one."""
    if not only:
        return list(CASES)
    known = {case.id for case in CASES} | {case.id.partition("/")[0] for case in CASES}
    if unknown := set(only) - known:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}")
    return [case for case in CASES if case.id in only or case.id.partition("/")[0] in only]


def main(argv: Sequence[str] | None = None) -> int:
    """Plays and reports; the exit status."""
    args = arguments(argv)
    cases, profile, on = chosen(args.only), PROFILES[args.profile], machine()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        directory = args.keep or Path(name)
        played = uvloop.run(play(cases, profile, directory, lambda each: print(report.line(each), flush=True)))
    print(f"\n{report.summary(played)} ({time.monotonic() - began:.0f} s)")
    if args.json:
        everything = report.as_json(played, profile, on)
        args.json.write_text(json.dumps(everything, indent=1, ensure_ascii=False, default=str) + "\n")
    if args.page:
        args.page.write_text(report.page(played, profile, on))
    return int(any(each.verdict is Verdict.FAIL for each in played))


if __name__ == "__main__":
    sys.exit(main())
