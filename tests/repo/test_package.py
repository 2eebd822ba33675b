"""The wheel: the package and its metadata, nothing else."""

from __future__ import annotations

import email
import io
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(io.BytesIO(built.read_bytes()))


def test_it_holds_the_package_and_its_metadata_only(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"proxy", f"wayline-{PROJECT['version']}.dist-info"}
    assert not [name for name in wheel.namelist() if name.endswith((".pyc", ".db"))]


def test_it_says_that_it_is_typed_and_brings_its_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "proxy/py.typed" in names
    assert f"wayline-{PROJECT['version']}.dist-info/licenses/LICENSE" in names


def test_its_metadata_are_the_project_s(wheel: zipfile.ZipFile) -> None:
    metadata = email.message_from_bytes(wheel.read(f"wayline-{PROJECT['version']}.dist-info/METADATA"))
    assert metadata["Name"] == "wayline"
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"


def test_it_installs_the_command(wheel: zipfile.ZipFile) -> None:
    points = wheel.read(f"wayline-{PROJECT['version']}.dist-info/entry_points.txt").decode()
    assert "wayline = proxy.cli:main" in points


def test_every_module_of_the_package_is_in_it(wheel: zipfile.ZipFile) -> None:
    command = ["git", "ls-files", "-z", "proxy"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    assert {name for name in tracked if name.endswith(".py") and (ROOT / name).exists()} <= set(wheel.namelist())
