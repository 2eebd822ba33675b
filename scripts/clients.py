"""Make or mend `.cache/clients`: other people's clients and simulators, Python's and npm's, which some tests start.

They have an environment of their own, since they require other versions of some packages than the tests do. Node comes
as a wheel, so that no machine needs one. Nothing is done where it stands already.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import say

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("locks/clients.txt", "tests/clients/node/package-lock.json")
HOME = ROOT / ".cache" / "clients"
BIN = HOME / "bin"


def fingerprint() -> str:
    """Changes whenever it has to be made anew."""
    seen = hashlib.sha256(f"{HOME} {sys.version}".encode())
    for name in NAMES:
        seen.update((ROOT / name).read_bytes())
    return seen.hexdigest()


def make() -> Path:
    """Its folder, whole."""
    stamp = HOME / ".wayline"
    if stamp.exists() and stamp.read_text() == fingerprint():
        return HOME
    logs = HOME.parent
    logs.mkdir(exist_ok=True)
    say.line("installing other people's clients (about 150 MB to download)")
    base = getattr(sys, "_base_executable", "") or sys.executable
    say.run([base, "-m", "venv", "--clear", str(HOME)], "making their environment", log=logs / "clients-venv.log")
    pip = [str(BIN / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    pip += ["--no-deps", "--require-hashes", "--only-binary=:all:", f"--requirement={ROOT / NAMES[0]}"]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    say.run(pip, "installing clients", log=logs / "clients-pip.log", environment=environment, explain=say.pip_trouble)
    for name in ("package.json", "package-lock.json"):
        shutil.copy2((ROOT / NAMES[1]).with_name(name), HOME)
    npm = [str(BIN / "npm"), "ci", f"--prefix={HOME}", "--ignore-scripts", "--no-audit", "--no-fund"]
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    say.run(npm, "installing clients from npm", log=logs / "clients-npm.log", environment=environment)
    stamp.write_text(fingerprint())
    return HOME


if __name__ == "__main__":
    print(make())
