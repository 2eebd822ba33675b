"""Short words for loading a configuration from a text."""

from __future__ import annotations

import textwrap

import pytest

from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.route import Target


class Loader:
    """Loads texts with a made-up environment and made-up files."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}
        self.files: dict[str, str | Exception] = {}

    def read_file(self, path: str) -> str:
        found = self.files.get(path, FileNotFoundError(path))
        if isinstance(found, Exception):
            raise found
        return found

    def any(self, text: str) -> Config | Problems:
        return load(textwrap.dedent(text), self.environ, "routes.yaml", self.read_file)

    def good(self, text: str) -> Config:
        found = self.any(text)
        assert isinstance(found, Config), str(found)
        return found

    def bad(self, text: str) -> list[str]:
        found = self.any(text)
        assert isinstance(found, Problems), "it was taken without a complaint"
        return found.lines()

    def target(self, settings: str = "", *, backend: str = "", route: str = "") -> Target:
        """The one target of a route, with settings in flow style at each level."""
        b, r, t = (f", {text}" if text else "" for text in (backend, route, settings))
        config = self.good(f"""
            backends: {{b: {{type: openai, api_key: k{b}}}}}
            routes: {{r: {{targets: [{{target: b/m{t}}}]{r}}}}}
            """)
        return config.routes["r"].targets[0]


@pytest.fixture
def loader() -> Loader:
    return Loader()
