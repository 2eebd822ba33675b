"""docs/clients.md, pasted block by block: what it shows is what comes out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readme.blocks import Block, parsed, shows
from tests.sdk.serving import ROOT, Serving, serving

BLOCKS = parsed((ROOT / "docs/clients.md").read_text(encoding="utf-8"))
[CONFIG] = [block for block in BLOCKS if block.kind == "yaml"]
PAIRS = [(block, BLOCKS[i + 1]) for i, block in enumerate(BLOCKS) if block.kind in ("sh", "python") and not block.why]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Serves the page's own configuration; its database in a folder of the test's own."""
    directory: Path = tmp_path_factory.mktemp("clients")
    text = CONFIG.text.replace("./clients.db", f"{directory}/clients.db")
    assert text != CONFIG.text
    with serving(directory, text) as running:
        yield running


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{block.kind}-{n}" for n, (block, _) in enumerate(PAIRS)])
def test_what_it_shows_is_what_comes_out(
    server: Serving, pair: tuple[Block, Block], capsys: pytest.CaptureFixture[str]
) -> None:
    block, shown = pair
    assert shown.kind == "text"
    assert "http://127.0.0.1:8080" in block.text
    text = block.text.replace("http://127.0.0.1:8080", server.url)
    if block.kind == "python":
        exec(compile(text, "docs/clients.md", "exec", dont_inherit=True), {"__name__": "__main__"})
        out = capsys.readouterr().out
    else:
        out = subprocess.run(["sh", "-ec", text], check=True, capture_output=True, text=True, timeout=120).stdout
    assert shows(shown.text, out), out
