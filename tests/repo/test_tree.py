"""The repository: nothing of anyone's workplace in it, the licence that it names, one version everywhere."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLACES = re.compile(
    r"(?<![\w.])/(?:work|root)/[A-Za-z.]|(?<![\w./])/tmp/w\b"  # folders of a workplace
    r"|pypi\.org|pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org"  # where packages come from
)


def tracked() -> list[Path]:
    """Every file under version control (or about to be: not ignored)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_workplace_or_a_package_registry() -> None:
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in PLACES.finditer(text)]
    assert found == []


def test_the_pattern_for_workplaces_knows_one_when_it_sees_it() -> None:
    assert PLACES.search("open('/root/x')")
    assert PLACES.search("--index-url https://pypi.org/simple")
    assert not PLACES.search("docs/work/x and /data")


def test_no_big_file_is_under_version_control() -> None:
    assert [f"{path}: {path.stat().st_size}" for path in tracked() if path.stat().st_size > 1_500_000] == []


def test_the_licence_is_the_one_that_the_package_names() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released[0] == PROJECT["version"]


def test_the_container_s_manifests_name_this_version() -> None:
    for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml"):
        assert set(re.findall(r"image: wayline:(\S+)", path.read_text())) == {PROJECT["version"]}
