"""README.md carried out once, from its first block to its last."""

from __future__ import annotations

import sys

import pytest

from tests.readme.blocks import NAMED
from tests.readme.reader import Reader

SERVE = [sys.executable, "-m", "proxy", "serve", "--config"]


@pytest.fixture(scope="session")
def came_out(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What really came out, by the name of the block that shows it."""
    reader = Reader(tmp_path_factory.mktemp("readme"))
    came: dict[str, str] = {}
    # What `make run` ends in; the rest of it is tested where CI starts from a fresh clone.
    first = [*SERVE, "routes.yaml", "--port", str(reader.ports["8080"])]
    with reader.serving("first", first, "8080") as server:
        came["start-says"] = reader.said("first")
        came["ask-says"] = reader.paste("ask")
        came["sdk-says"] = reader.paste("sdk")
        came["langchain"] = reader.paste("langchain")
        came["readyz-says"] = reader.paste("readyz")
        came["log-says"] = reader.log("first")
        came["metrics"] = reader.get("/metrics")
        came |= checked(reader)
        came["explain-says"] = reader.paste("explain")
        reader.save("failover.yaml")
        second = [*SERVE, "failover.yaml"]
        assert NAMED["failover-serve"].text.split()[1:] == second[3:]
        with reader.serving("second", second, "8090"):
            came["failover-before"] = reader.paste("failover-ask")
            server.kill()
            server.wait()
            came["failover-after"] = reader.paste("failover-ask")
            for _ in range(4):
                reader.paste("failover-ask")
            came["failover-open"] = reader.paste("failover-ask")
            came["failover-metrics-says"] = reader.paste("failover-metrics")
            came["failover-spend-says"] = reader.paste("failover-spend")
            came["failover-why-says"] = reader.paste("failover-why")
    came["spend-says"] = reader.paste("spend")
    return came


def checked(reader: Reader) -> dict[str, str]:
    """What `wayline check` says of the default file, and of the README's own with two mistakes in it."""
    wrong = NAMED["config"].text.replace("    targets:  ", "    target:  ").replace("first: 20", "first: 0")
    (reader.folder / "bad.yaml").write_text(wrong)
    return {
        "check-says": reader.paste("check"),
        "check-key-says": reader.paste("check", OPENAI_API_KEY="sk-any"),
        "wrong-says": reader.problems("bad.yaml"),
    }
