"""What this machine can hold, by what the kernel tells, and what a model needs, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.app.machine import GIB, largest, machine, needed, parameters

MEMINFO = (
    "MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:    8192000 kB\nHugePages_Total:       0\n"
)


def told(directory: Path, **limits: str) -> tuple[Path, Path]:
    """A meminfo, and a control group with these files."""
    (directory / "meminfo").write_text(MEMINFO)
    for name, text in limits.items():
        (directory / name.replace("_", ".")).write_text(text)
    return directory / "meminfo", directory


def test_memory_is_what_the_kernel_says_is_available(tmp_path: Path) -> None:
    found = machine(*told(tmp_path))
    assert (found.total, found.available) == (16_384_000 * 1024, 8_192_000 * 1024)
    assert found.cores >= 1


def test_a_containers_limit_counts_where_it_is_less(tmp_path: Path) -> None:
    found = machine(*told(tmp_path, memory_max=str(4 * GIB), memory_current=str(GIB)))
    assert (found.total, found.available) == (4 * GIB, 3 * GIB)


@pytest.mark.parametrize("limit", ["max\n", str(1024 * GIB)])
def test_no_limit_and_one_above_the_machine_change_nothing(tmp_path: Path, limit: str) -> None:
    assert machine(*told(tmp_path, memory_max=limit)).total == 16_384_000 * 1024


def test_where_the_system_does_not_tell_nothing_is_claimed(tmp_path: Path) -> None:
    found = machine(tmp_path / "nowhere", tmp_path)
    assert (found.total, found.available) == (None, None)


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("qwen2.5-coder:7b", 7),
        ("llama3.2:1b-instruct-q4_K_M", 1),
        ("mixtral-8x7b", 56),
        ("SmolLM2-135M-Instruct", 0.135),
        ("phi-3.5-mini-3.8b", 3.8),
        ("gpt-4o-mini", None),
        ("llama3.2", None),
        ("qwen3-4bit", None),
    ],
)
def test_the_size_of_a_model_by_its_name(model: str, billions: float | None) -> None:
    assert parameters(model) == (None if billions is None else pytest.approx(billions))


def test_what_fits_is_what_is_needed() -> None:
    assert largest(needed(7)) == pytest.approx(7, abs=0.1)
    assert largest(0) == 0
    assert 4 * GIB < needed(7) < 6 * GIB
