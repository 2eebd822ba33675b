"""`wayline models pull BACKEND/MODEL`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.backends.ollama_pull import Progress
from proxy.cli.commands import wayline
from proxy.cli.pull import _Teller
from tests.app.ollama import LINES, Ollama


class Background:
    """An Ollama on a loop of its own, as the command has one too."""

    def __init__(self) -> None:
        self.ollama = Ollama()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(10)

    async def _begin(self) -> None:
        await self.ollama.__aenter__()
        self.ollama.release()

    async def _end(self) -> None:
        await self.ollama.__aexit__(None)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def background() -> Iterator[Background]:
    there = Background()
    yield there
    there.close()


def pulled(tmp_path: Path, name: str, url: str = "http://127.0.0.1:1") -> Result:
    config = tmp_path / "routes.yaml"
    config.write_text(
        f"backends: {{o: {{type: ollama, base_url: '{url}'}}, c: {{type: openai, api_key: k}}, "
        "g: {type: openai, api_key: '${NOT_SET_ANYWHERE}'}}\nroutes: {r: {targets: [o/m]}}\n"
    )
    return CliRunner().invoke(wayline, ["models", "pull", name, "-c", str(config)])


def test_a_model_is_pulled_with_its_progress(background: Background, tmp_path: Path) -> None:
    done = pulled(tmp_path, "o/qwen3", background.ollama.url)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[-2:] == ["o/qwen3: 100 % of 4.7 GB", "o/qwen3: pulled"]
    assert background.ollama.models == {"qwen3"}


def test_what_ollama_says_of_a_failure_is_said(
    background: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background.ollama, "_lines", [LINES[0], {"error": "pull model manifest: file does not exist"}])
    done = pulled(tmp_path, "o/nosuch", background.ollama.url)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "o/nosuch: pull model manifest: file does not exist"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("o/m", "o/m: "),  # nobody listens there
        ("qwen3", "expected BACKEND/MODEL"),
        ("o/", "expected BACKEND/MODEL"),
        ("x/m", "has no backend x; it has o, c, g"),
        ("c/m", "of type openai: only an Ollama pulls models"),
        ("g/m", "is not in use: NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_cannot_be_pulled_is_told_with_exit_status_1(tmp_path: Path, name: str, told: str) -> None:
    done = pulled(tmp_path, name)
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr


def test_a_configuration_with_problems_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(wayline, ["models", "pull", "o/m", "-c", str(tmp_path / "none.yaml")])
    assert done.exit_code == 1
    assert "cannot be read" in done.stderr


def test_elsewhere_than_on_a_terminal_it_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    teller = _Teller("o/m", live=False)
    teller.tell(Progress("pulling manifest"))
    for there in range(0, 101, 3):
        teller.tell(Progress("pulling", there, 100))
    teller.end()
    tenths = [f"o/m: {tenth} % of 100 B" for tenth in range(0, 100, 10)]
    assert capsys.readouterr().err.splitlines() == ["o/m: pulling manifest", *tenths]


def test_on_a_terminal_it_is_one_line_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    teller = _Teller("o/m", live=True)
    for progress in (Progress("pulling manifest"), Progress("pulling", 1, 200), Progress("pulling", 4, 200)):
        teller.tell(progress)
        teller.tell(progress)
    teller.end()
    lines = capsys.readouterr().err
    assert [line.rstrip() for line in lines.split("\r")] == [
        *("", "o/m: pulling manifest", "o/m: 0 % of 200 B", "o/m: 2 % of 200 B"),
    ]
    assert lines.endswith("\n")
