"""Compile llama-cpp-python once per machine: minutes, then a wheel in the user's cache.

pip's own cache is not asked: a wheel in there may have been built for this processor by its defaults (-march=native),
and such a one can die of an illegal instruction on a virtual machine.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

import say

CMAKE_ARGS = "-DGGML_NATIVE=OFF"


def folder(lock: str) -> Path:
    """Where this version's wheel is kept, built with these flags for this kind of machine and Python."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    facts = [lock, CMAKE_ARGS, sys.version, platform.machine(), "-".join(platform.libc_ver())]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    version = re.search(r"==(\S+)", lock)
    return base / "wayline" / "wheels" / f"llama-cpp-python-{version[1] if version else 'unknown'}-{key}"


def cached(locks: Path, log: Path) -> Path:
    """The wheel, built now if it was not there."""
    kept = folder((locks / "llama.txt").read_text())
    there = sorted(kept.glob("*.whl"))
    if there:
        return there[0]
    say.line("compiling llama-cpp-python without processor-specific code: 4 to 8 minutes on 2 cores, once per machine")
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        raise SystemExit("wayline: a C++ compiler is needed for this (Debian: apt-get install g++)")
    with tempfile.TemporaryDirectory() as work:
        built = build(locks, Path(work), log)
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Copied under another name first: a wheel in the cache is a whole one.
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=kept.parent))
        shutil.copy2(built, part)
        shutil.rmtree(kept, ignore_errors=True)
        part.rename(kept)
    return kept / built.name


def build(locks: Path, work: Path, log: Path) -> Path:
    """Compile in an environment of its own, which holds the locked build tools and nothing else."""
    python = work / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    strict = ["--no-deps", "--require-hashes"]
    say.run([sys.executable, "-m", "venv", str(work / "venv")], "making the build environment", log=log)
    tools = [*pip, "install", *strict, "--only-binary=:all:", f"--requirement={locks / 'llama-build.txt'}"]
    say.run(tools, "installing the build tools", log=log, explain=say.pip_trouble)
    environment = {
        **os.environ,
        "CMAKE_ARGS": CMAKE_ARGS,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    }
    wheel = [*pip, "wheel", *strict, "--no-binary=:all:", "--no-build-isolation", "--no-cache-dir"]
    wheel += [f"--wheel-dir={work}", f"--requirement={locks / 'llama.txt'}"]
    say.run(wheel, "compiling llama-cpp-python", log=log, environment=environment, explain=say.pip_trouble)
    return next(work.glob("*.whl"))
