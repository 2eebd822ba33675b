"""How many threads llama.cpp should compute with."""

from __future__ import annotations

import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def cores(cpu_max: Path = _CPU_MAX) -> int:
    """All but one of the processors that this process may use, by its affinity and its container's quota (cgroup v2's
    `cpu.max`: quota and period in microseconds, or `max`); at least one.

    llama.cpp's threads wait for each other by spinning, many times a token: when one of them has to share its
    processor, with Wayline itself for instance, all the others burn theirs. On 2 processors with other work, SmolLM2
    makes 26 to 39 tokens/s with one thread and 2 to 5 with two; on idle ones, two make twice as many as one. Who has
    the machine for the model alone can say so by `threads`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text("ascii").split()
        allowed = min(allowed, int(quota) // int(period))
    except (OSError, ValueError):  # not Linux, no quota (`max`), or an older kernel's cgroups
        pass
    return max(allowed - 1, 1)
