"""SmolLM2 served by each engine: the same tests run on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.unix import Served, backend

ENGINES = [
    pytest.param("xllamacpp", id="xllamacpp"),
    # Built from source, in minutes: not in `make test`.
    pytest.param("llama-cpp-python", id="llama-cpp-python", marks=pytest.mark.slow),
]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def smollm(engine: str) -> Iterator[str]:
    """Socket of a chat model with a context of 512 tokens."""
    served = Served(backend(engine))
    yield served.path
    served.close()


@pytest.fixture(scope="session")
def embedder(engine: str) -> Iterator[str]:
    """Socket of an embedding model with a context of 1024 tokens."""
    served = Served(backend(engine, embedding=True, n_ctx=1024))
    yield served.path
    served.close()
