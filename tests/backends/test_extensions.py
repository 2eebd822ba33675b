"""Backend types that other packages bring."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from proxy.backends.registry import bind, origin
from proxy.config import extensions
from proxy.config.extensions import Broken, Extension, extension, installed
from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.values import Backend, Config
from proxy.core.route import Target

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "wayline-parrot"
ROUTES = "\nroutes: {r: {targets: [b/polly]}}"
TEXT = 'backends: {b: {type: parrot, base_url: "http://127.0.0.1:9000", perch: high}}' + ROUTES


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example is installed, as an installer unpacks its wheel."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=EXAMPLE, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as file:
        file.extractall(folder)
    return folder


def run(site: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, **environ}
    return subprocess.run([sys.executable, *command], cwd=site, env=env, capture_output=True, text=True, check=False)


def test_the_example_passes_the_suite_that_our_own_dialects_pass(site: Path) -> None:
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(EXAMPLE / "tests"))
    assert done.returncode == 0, done.stdout


def test_a_type_that_a_package_brings_is_configured_and_checked_as_any(site: Path) -> None:
    file = site / "routes.yaml"
    file.write_text(TEXT)
    done = run(site, "-m", "proxy", "check", "--json", str(file), PARROT_CRACKER="k")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["backends"]["b"] == {"type": "parrot", "missing": []}
    assert json.loads(run(site, "-m", "proxy", "check", "--json", str(file)).stdout)["backends"]["b"]["missing"] == [
        "PARROT_CRACKER"
    ]
    shown = run(site, "-m", "proxy", "check", str(file), PARROT_CRACKER="k").stdout
    assert "http://127.0.0.1:9000, with a key" in shown


def test_its_options_are_checked_by_its_own_table(site: Path) -> None:
    file = site / "wrong.yaml"
    file.write_text(TEXT.replace("high", "hihg").replace("perch", "perch: low, pirch", 1))
    done = run(site, "-m", "proxy", "check", str(file))
    assert 'unknown key "pirch"' in done.stderr
    assert 'did you mean "perch"?' in done.stderr
    file.write_text(TEXT.replace("high", "hihg"))
    assert (
        'found "hihg", expected one of low, high; did you mean "high"?'
        in run(site, "-m", "proxy", "check", str(file)).stderr
    )


def test_a_type_that_nobody_names_is_not_even_imported(site: Path) -> None:
    program = (
        "import sys; from proxy.config.load import load; from proxy.backends.registry import bind\n"
        "load('backends: {b: {type: ollama}}\\nroutes: {r: {targets: [b/m]}}', {}, '', str)\n"
        "assert 'wayline_parrot' not in sys.modules"
    )
    done = run(site, "-c", program)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """Entry points that are installed, as the test says."""
    given: list[EntryPoint] = []

    monkeypatch.setattr(extensions, "_points", lambda: EntryPoints(given))
    extension.cache_clear()
    yield given
    extension.cache_clear()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, extensions.GROUP)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module_anywhere:X", "cannot be loaded: ModuleNotFoundError"),
        ("json:no_such_name", "cannot be loaded: AttributeError"),
        ("json:dumps", "is no proxy.config.extensions.Extension"),
    ],
)
def test_what_cannot_be_used_is_told_at_its_line(points: list[EntryPoint], value: str, reason: str) -> None:
    points.append(point("parrot", value))
    found = load(TEXT, {}, "routes.yaml", str)
    assert isinstance(found, Problems)
    (line,) = found.lines()
    assert line.startswith("routes.yaml:1:")
    assert value in line
    assert reason in line


def test_two_packages_of_one_name_are_one_too_many(points: list[EntryPoint]) -> None:
    points += [point("parrot", "a:X"), point("parrot", "b:X")]
    with pytest.raises(Broken, match="a:X and b:X both bring"):
        extension("parrot")


def test_an_unknown_type_is_told_with_those_that_packages_bring(points: list[EntryPoint]) -> None:
    points.append(point("parrot", "a:X"))
    assert installed() == ("parrot",)
    found = load(TEXT.replace("parrot", "parrott"), {}, "routes.yaml", str)
    assert isinstance(found, Problems)
    assert 'did you mean "parrot"?' in found.lines()[0]


def test_without_any_an_unknown_type_is_what_it_was(points: list[EntryPoint]) -> None:
    found = load(TEXT, {}, "routes.yaml", str)
    assert isinstance(found, Problems)
    assert 'found "parrot", expected one of openai, ' in found.lines()[0]
    with pytest.raises(ValueError, match="is not a backend type"):
        bind(Backend("b", "parrot"), Target("b/m", "b", "m"))
    with pytest.raises(ValueError, match="is not a backend type"):
        origin(Backend("b", "parrot"))


def test_our_own_types_cannot_be_taken_over(points: list[EntryPoint]) -> None:
    points.append(point("openai", "json:dumps"))
    found = load('backends: {b: {type: openai, base_url: "http://x.example/v1"}}' + ROUTES, {}, "routes.yaml", str)
    assert isinstance(found, Config)
    assert bind(found.backends["b"], found.routes["r"].targets[0])


def test_an_extension_says_what_it_must() -> None:
    assert Extension._fields == ("kind", "bind", "origin", "options")
