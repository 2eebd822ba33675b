"""README.md itself: every block is accounted for, every link leads somewhere, every figure has its source."""

from __future__ import annotations

import re

import pytest

from bench.table import BEGIN, END
from tests.readme.blocks import BLOCKS, README, ROOT

TEXT = README.read_text(encoding="utf-8")
PASTED_IN_CI = {"make run", "make test"}
"""Commands without a name: scripts/readme.py and CI run them."""
DOCUMENTS = ["README.md", "proxy/DESIGN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
DOCUMENTS += [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))]


def test_every_block_is_run_or_says_why_not() -> None:
    for block in BLOCKS:
        if not block.name and block.kind in ("sh", "python"):
            assert block.why or block.text.strip() in PASTED_IN_CI, block.text


def test_every_name_is_there_once() -> None:
    names = [block.name for block in BLOCKS if block.name]
    assert len(names) == len(set(names))
    assert TEXT.count("<!-- readme: ") == len(names)


def test_what_ci_pastes_needs_nothing_that_a_fresh_clone_does_not_have() -> None:
    for block in BLOCKS:
        if block.kind == "python":
            assert block.why, block.text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_into_the_repository_leads_somewhere(name: str) -> None:
    path = ROOT / name
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", ["README.md", "proxy/DESIGN.md"])
def test_prose_is_at_most_100_columns_wide(name: str) -> None:
    fenced = False
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if not fenced and not line.startswith(("|", "<!--", "```")) and "](" not in line:
            assert len(line) <= 100, line


def test_the_number_of_packages_is_the_lock_s() -> None:
    locked = re.findall(r"^[A-Za-z0-9].*==", (ROOT / "locks/core.txt").read_text(), re.M)
    assert f"core installs {len(locked)} packages" in re.sub(r"\s+", " ", TEXT)


def test_figures_are_told_of_only_where_they_were_measured() -> None:
    before, _, rest = TEXT.partition(BEGIN)
    after = rest.partition(END)[2]
    assert not re.search(r"\d\s*(?:µs|us|x faster|times faster)", before + after)
