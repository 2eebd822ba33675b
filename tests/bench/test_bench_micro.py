"""`python -m bench.micro`: a plain request without sockets."""

from __future__ import annotations

import re
import subprocess

from bench import process


def test_it_answers_its_requests_and_tells_what_they_took() -> None:
    done = subprocess.run(
        process.python("-m", "bench.micro", "--rounds", "2"),
        cwd=process.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    plain, event = done.stdout.splitlines()
    assert re.fullmatch(r"request in [\d.]+ us, response out [\d.]+ us, together [\d.]+ us", plain)
    assert re.fullmatch(r"event of a stream [\d.]+ us, .* [\d.]+ us: [\d.]+ x", event)
