"""What the package imports is what it declares: nothing works only because something else happens to bring it."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = {"pyyaml": "yaml"}
"""Where the module is not called as its distribution."""


def modules(requirements: list[str]) -> set[str]:
    names = [Requirement(text).name for text in requirements]
    return {MODULES.get(name, name.replace("-", "_")) for name in names}


def imported() -> set[str]:
    """The top names of all that proxy/ imports and that is neither Python's nor its own."""
    found: set[str] = set()
    for path in (ROOT / "proxy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"proxy"}


def test_the_package_imports_only_what_it_declares() -> None:
    extras = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    assert imported() <= modules([*PROJECT["dependencies"], *extras])
