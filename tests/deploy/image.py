"""Read deploy/Containerfile, and carry it out without a container runtime, in a folder that stands for the root.

All stages share the folder: what the last stage does not copy from another is taken away at the end. That keeps the
absolute paths in a virtual environment true, as they are in a real image.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "deploy" / "Containerfile"
OURS = re.compile(r"(?<![\w/.])/(opt|src|data|tmp|etc/wayline)\b")
"""Absolute paths that are the image's own."""


class Instruction(NamedTuple):
    word: str
    value: str

    def listed(self) -> list[str]:
        """The exec form's words."""
        return [str(word) for word in json.loads(self.value[self.value.index("[") :])]


def read(text: str) -> list[Instruction]:
    """A Containerfile's instructions: comments gone, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*(part.strip() for part in line.split(None, 1))) for line in joined.splitlines()]


@dataclass
class Image:
    """What building leads to; `root` holds the last stage's files."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    copied: list[str] = field(default_factory=list)
    """What the last stage has taken from an earlier one, or from the context."""

    def here(self, text: str) -> str:
        """The text with the image's paths put under `root`."""
        return OURS.sub(lambda path: f"{self.root}{path[0]}", text)

    def process_environment(self) -> dict[str, str]:
        """ENV as a process in the image sees it, with this machine's own tools behind."""
        path = f"{self.root}/usr/local/bin:{os.defpath}"
        given = {name: self.here(value).replace("$PATH", path) for name, value in self.environment.items()}
        passed = {name: value for name, value in os.environ.items() if "CERT" in name or "PROXY" in name.upper()}
        return {"PATH": path, "HOME": f"{self.root}/tmp", **passed, **given}


def build(root: Path) -> Image:
    """Carry out every instruction that changes files; the others are for a runtime and are checked elsewhere."""
    image = Image(root)
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    # In a wrapper, not a link: what a link is called would become the environment's idea of where Python lives.
    python = root / "usr/local/bin/python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(os.path.realpath(sys.executable))} "$@"\n')
    python.chmod(0o755)
    for instruction in read(FILE.read_text()):
        step = STEPS.get(instruction.word)
        if step is not None:
            step(image, instruction.value)
    _keep_last_stage(image)
    return image


def _from(image: Image, value: str) -> None:
    image.environment, image.workdir, image.copied = {}, "/", []


def _arg(image: Image, value: str) -> None:
    name, _, default = value.partition("=")
    image.arguments[name] = default


def _env(image: Image, value: str) -> None:
    for word in shlex.split(value):
        name, _, given = word.partition("=")
        image.environment[name] = given


def _workdir(image: Image, value: str) -> None:
    image.workdir = value
    Path(image.here(value)).mkdir(parents=True, exist_ok=True)


def _run(image: Image, value: str) -> None:
    # Only root may give a file away; who is not builds for themselves.
    text = value if os.geteuid() == 0 else re.sub(r" -[og] 10001", "", value)
    environment = {**image.process_environment(), **image.arguments}
    done = subprocess.run(
        ["sh", "-c", image.here(text)],
        cwd=image.here(image.workdir),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"RUN {value}\n{done.stdout}\n{done.stderr}"


def _copy(image: Image, value: str) -> None:
    words = shlex.split(value)
    options = [word for word in words if word.startswith("--")]
    *sources, target = [word for word in words if not word.startswith("--")]
    if any(option.startswith("--from=") for option in options):
        assert sources == [target], "a virtual environment does not survive another path"
        assert Path(image.here(target)).exists()
        image.copied.append(target)
        return
    place = Path(image.here(target if target.startswith("/") else f"{image.workdir}/{target}"))
    for source in sources:
        assert in_context(source), f".dockerignore keeps {source} out of the build"
        whole = ROOT / source
        if whole.is_dir():
            shutil.copytree(whole, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            single = place / whole.name if target.endswith("/") else place
            single.parent.mkdir(parents=True, exist_ok=True)
            single.write_text(image.here(whole.read_text()) if target.startswith("/etc/") else whole.read_text())
    image.copied.append(target)


def in_context(source: str) -> bool:
    """Does .dockerignore, which here names what is let in, leave this in?"""
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    return f"!{source}" in lines


def _keep_last_stage(image: Image) -> None:
    for folder in ("opt", "src", "data", "etc"):
        for path in sorted((image.root / folder).glob("*") if folder in ("opt", "etc") else [image.root / folder]):
            inside = f"/{path.relative_to(image.root)}"
            if path.exists() and not any(
                copied == inside or copied.startswith(f"{inside}/") for copied in image.copied
            ):
                shutil.rmtree(path)


STEPS = {"FROM": _from, "ARG": _arg, "ENV": _env, "WORKDIR": _workdir, "RUN": _run, "COPY": _copy}
