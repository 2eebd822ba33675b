"""A served Wayline that signs its calls for AWS, or sends a token from a file: over sockets, to a real client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
from click.testing import CliRunner

from proxy.cli.commands import wayline
from proxy.core.call import HttpCall
from proxy.testing.exchange import load
from tests.credentials.test_sigv4 import SECRET, as_aws_would
from tests.sdk.serving import Serving

EXCHANGES = {one.id: one for one in load(Path(__file__).parents[1] / "backends" / "fixtures" / "bedrock.jsonl")}
STREAM, ANSWER = EXCHANGES["bedrock-023"], EXCHANGES["bedrock-001"]
COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
CONFIG = """
backends:
  aws: {{type: bedrock, region: us-east-1, base_url: "{url}", price: {{input: 1, output: 1}}}}
  own: {{type: openai, base_url: "{url}/v1", token_file: "{token}", price: {{input: 1, output: 1}}}}
routes:
  claude: {{targets: ["aws/us.anthropic.claude-sonnet-4-5-20250929-v1:0"]}}
  own: {{targets: [own/m]}}
ledger: false
"""


class Upstream(BaseHTTPRequestHandler):
    """Bedrock, which looks at signatures, and a server that wants a token."""

    protocol_version = "HTTP/1.1"
    wrong: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        given = self.headers["Authorization"]
        if self.path.startswith("/v1/"):
            if given != "Bearer tok-of-the-file":
                self.wrong.append(given)
            self._whole(json.dumps(COMPLETION).encode(), "application/json")
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        call = HttpCall(f"{self.requestline}\r\n{lines}".encode("latin-1"), body)
        if not given.endswith(f"Signature={as_aws_would(call)}"):
            self.wrong.append(given)
        if self.path.endswith("/converse-stream"):
            self._stream(STREAM.body)
        else:
            self._whole(ANSWER.body, "application/json")

    def do_GET(self) -> None:
        good = self.headers["Authorization"] == "Bearer tok-of-the-file"
        self._whole(json.dumps({"data": [{"id": "a-model"}]} if good else {}).encode(), "application/json")

    def _whole(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(body), 100):
            piece = body[at : at + 100]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (Upstream,), {"wrong": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler.wrong  # type: ignore[attr-defined]  # it is our own class
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def serving(upstream: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    directory = tmp_path_factory.mktemp("served")
    token = directory / "token"
    token.write_text("tok-of-the-file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
        served = Serving(directory, CONFIG.format(url=upstream[0], token=token))
    yield served
    assert served.end() in (0, -15, 143)
    said = served.said() + (directory / "log.txt").read_text()
    assert SECRET not in said
    assert "tok-of-the-file" not in said


def test_a_stream_of_bedrocks_is_one_of_openais_to_a_client(serving: Serving, upstream: tuple[str, list[str]]) -> None:
    with openai.OpenAI(base_url=serving.base_url, api_key="none", max_retries=0) as client:
        with client.chat.completions.create(
            model="claude",
            messages=[{"role": "user", "content": "Weather in Paris and Rome?"}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream:
            chunks = list(stream)
        plain = client.chat.completions.create(model="claude", messages=[{"role": "user", "content": "Hi"}])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert text == "Let me look."
    assert [call.function.name for call in calls if call.function and call.function.name] == ["get_weather"] * 2
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == STREAM.golden["usage"]["input"]
    assert plain.choices[0].message.content == "Blue — čistě modrá."
    assert upstream[1] == []


def test_a_token_of_a_file_is_sent(serving: Serving, upstream: tuple[str, list[str]]) -> None:
    with openai.OpenAI(base_url=serving.base_url, api_key="none", max_retries=0) as client:
        found = client.chat.completions.create(model="own", messages=[{"role": "user", "content": "Hi"}])
    assert found.choices[0].message.content == "Hi"
    assert upstream[1] == []


def test_a_list_of_models_is_asked_for_with_the_token_too(upstream: tuple[str, list[str]], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("tok-of-the-file")
    path = tmp_path / "routes.yaml"
    path.write_text(CONFIG.format(url=upstream[0], token=tmp_path / "token"))
    done = CliRunner().invoke(wayline, ["models", "--config", str(path), "--provider", "own"])
    assert "a-model" in done.stdout, done.output
    (tmp_path / "token").unlink()
    done = CliRunner().invoke(wayline, ["models", "--config", str(path), "--provider", "own"])
    assert "token_file cannot be read" in done.output


def test_a_check_says_what_calls_are_signed_with(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(
        "backends:\n"
        "  aws: {type: bedrock, region: eu-west-1, price: {input: 1, output: 1}}\n"
        "  own: {type: openai, base_url: 'http://h/v1', token_file: /run/token, price: {input: 1, output: 1}}\n"
        "routes: {r: {targets: [aws/m, own/m]}}\n"
    )
    done = CliRunner().invoke(wayline, ["check", str(path)])
    assert done.exit_code == 0, done.output
    assert "eu-west-1, with AWS's credentials" in done.stdout
    assert "http://h/v1, with a token (token_file)" in done.stdout


def test_a_check_tells_of_two_credentials_at_once(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(
        "backends: {b: {type: openai, api_key: k, token_file: /run/token}}\nroutes: {r: {targets: [b/m]}}\n"
    )
    done = CliRunner().invoke(wayline, ["check", str(path)])
    assert done.exit_code == 1
    assert "backends.b: backend 'b' has api_key and token_file: expected one of them" in done.stderr


def test_a_check_tells_of_a_library_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.credentials.build.find_spec", lambda name: None)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    path = tmp_path / "routes.yaml"
    path.write_text("backends: {b: {type: bedrock, region: us-east-1}}\nroutes: {r: {targets: [b/m]}}\n")
    done = CliRunner().invoke(wayline, ["check", str(path)])
    assert done.exit_code == 1
    assert "pip install 'wayline[bedrock]'" in done.stderr
