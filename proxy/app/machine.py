"""What this machine can hold: its memory and processors, as a container's limits leave them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

GIB = 1024**3
PER_BILLION = 0.62 * GIB
"""Bytes for a billion parameters at a little under 5 bits each (GGUF Q4_K_M: 4.85 bits)."""
BESIDE = 0.7 * GIB
"""Bytes for the context of some thousand tokens and what the engine needs besides; a rule of thumb."""
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")
_BILLIONS = re.compile(r"(?:^|[^0-9.a-z])(?:(\d+)x)?(\d+(?:\.\d+)?)(b|m)(?:[^a-z0-9]|$)")


class Machine(NamedTuple):
    """Bytes, and processors that we may use."""

    total: int | None
    """`None`: this system does not tell."""
    available: int | None
    cores: int


def machine(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> Machine:
    """This one, now. (proc(5); the kernel's cgroup-v2.rst)"""
    total, available = _meminfo(meminfo)
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is not None and (total is None or limit < total):
        total = limit
        left = limit - (used or 0)
        available = left if available is None else min(available, max(left, 0))
    return Machine(total, available, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores())


def _cores() -> int:
    return os.cpu_count() or 1


def _meminfo(path: Path) -> tuple[int | None, int | None]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None, None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.strip()}
    total, available = kib.get("MemTotal"), kib.get("MemAvailable")
    return None if total is None else total * 1024, None if available is None else available * 1024


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or `max`
        return None


def parameters(model: str) -> float | None:
    """Billions of parameters, where a model's name says it (`qwen2.5-coder:7b`, `mixtral-8x7b`, `smollm2-135m`)."""
    found = _BILLIONS.search(model.lower())
    if found is None:
        return None
    each = float(found[2]) / (1000 if found[3] == "m" else 1)
    return each * int(found[1] or 1)


def needed(billions: float) -> int:
    """Bytes that a model of so many parameters takes at 4 bits, about."""
    return int(billions * PER_BILLION + BESIDE)


def largest(available: int) -> float:
    """Billions of parameters at 4 bits that fit, about."""
    return max(0.0, round((available - BESIDE) / PER_BILLION, 1))
