"""deploy/ as the tools of each format see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.image import ROOT

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


def satisfied(*command: str | Path) -> None:
    """The tool finds nothing."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    satisfied(BIN / "hadolint", "deploy/Containerfile")


def test_the_compose_file_fits_the_compose_specification() -> None:
    satisfied(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")


@pytest.mark.parametrize("version", ["1.33", "1.37"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_the_manifests_fit_kubernetes_own_schema_without_an_unknown_field(manifest: Path, version: str) -> None:
    satisfied(BIN / "kubernetes-validate", "--strict", "--version", version, manifest)
