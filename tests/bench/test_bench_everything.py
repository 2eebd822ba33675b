"""`python -m bench.everything`: what all that can be on costs a real process."""

from __future__ import annotations

import re
import subprocess

import pytest

from bench import process


@pytest.mark.slow
def test_a_server_with_more_on_is_measured_beside_one_in_order() -> None:
    done = subprocess.run(
        process.python("-m", "bench.everything", "--rounds", "1", "--seconds", "0.2", "--only", "a key with"),
        cwd=process.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    line = r"a key with a budget +[\d.]+ us +[\d.]+ x order  \(asked: 1\.15\)\n"
    assert re.fullmatch(line, done.stdout), done.stdout
