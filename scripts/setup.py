"""Make or mend `.venv`: `python scripts/setup.py LAYER`, with only the standard library.

A layer is a set of locks. Each lock is complete, so pip resolves nothing: it takes what is named and checks the hashes.
What stands in `.venv` is noted in a stamp, and the next call with the same locks, Python and folder does nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import clients
import llama_wheel
import say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CACHE = ROOT / ".cache"
VERSION = ".".join(str(part) for part in sys.version_info[:2])

RUN = ("core", "engine", "model", "build")
LAYERS: dict[str, tuple[str, ...]] = {
    "run": RUN,
    "dev": (*RUN, "dev"),
    "all": (*RUN, "dev", "all"),
    "bench": (*RUN, "bench"),
    "lock": ("lock",),
}
WHAT = {
    "run": "the server, the prebuilt llama.cpp engine and SmolLM2-135M (about 150 MB to download)",
    "dev": "what the tests need (about 200 MB to download)",
    "all": "what all the tests need (about 400 MB to download)",
    "bench": "the gateways to compare with",
    "lock": "uv, to write the locks",
}


def fingerprint(layer: str) -> str:
    """Changes whenever the layer has to be installed anew."""
    seen = hashlib.sha256(origin().encode())
    others = clients.NAMES if layer == "all" else ()
    for name in (*(f"locks/{lock}.txt" for lock in LAYERS[layer]), "pyproject.toml", *others):
        seen.update((ROOT / name).read_bytes())
    return seen.hexdigest()


def origin() -> str:
    """What `.venv` was made with and for; empty where there is none that runs. (Its scripts name their folder.)"""
    note = VENV / ".wayline-origin"
    return note.read_text() if note.exists() and PYTHON.exists() else ""


def suits() -> bool:
    """`.venv` is whole and ours; where a Python was named on purpose (PYTHON=), of its version too."""
    made = origin().split("\n")
    return made[0] == str(ROOT) and ("PYTHON" not in os.environ or made[-1] == VERSION)


def stamp(layer: str) -> Path:
    return VENV / f".wayline-{layer}"


def stands(layer: str) -> bool:
    path = stamp(layer)
    return suits() and path.exists() and path.read_text() == fingerprint(layer)


@contextmanager
def alone() -> Iterator[None]:
    """Two `make` at once take turns."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say.line("another make is setting up .venv: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_venv() -> None:
    if suits():
        return
    say.line(f"making .venv with Python {sys.version.split()[0]}")
    # Not sys.executable: with .venv activated that is the very one to be replaced.
    base = getattr(sys, "_base_executable", "") or sys.executable
    say.run([base, "-m", "venv", "--clear", str(VENV)], "making .venv", log=CACHE / "venv.log")
    (VENV / ".wayline-origin").write_text(f"{ROOT}\n{VERSION}")


def pip(arguments: Sequence[str], doing: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    say.run([*command, *arguments], doing, log=CACHE / "pip.log", environment=environment, explain=say.pip_trouble)


def install(layer: str) -> None:
    locks = [f"--requirement=locks/{lock}.txt" for lock in LAYERS[layer]]
    say.line(f"installing {WHAT[layer]}")
    pip(["--no-deps", "--require-hashes", "--only-binary=:all:", *locks], "installing")
    if layer == "all":
        wheel = llama_wheel.cached(ROOT / "locks", CACHE / "llama.log")
        pip(["--no-deps", "--no-index", "--force-reinstall", str(wheel)], "installing llama-cpp-python")
        clients.make()
    if layer != "lock":
        # The build's own requirements stand in the lock: no isolation, so that nothing unlocked is fetched.
        pip(["--no-deps", "--no-index", "--no-build-isolation", "--editable=."], "installing Wayline itself")


def main(layer: str) -> None:
    if stands(layer):
        return
    began = time.monotonic()
    os.chdir(ROOT)
    with alone():
        if stands(layer):
            return
        make_venv()
        install(layer)
        stamp(layer).write_text(fingerprint(layer))
    say.line(f"ready after {time.monotonic() - began:.0f} s; nothing of this is repeated until locks/ change")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in LAYERS:
        raise SystemExit(f"usage: setup.py {'|'.join(LAYERS)}")
    main(sys.argv[1])
