"""Tokens of Google Cloud, from a token endpoint and a metadata server of the test's own."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.credential import Credential
from proxy.core.failure import Failure, FailureKind
from proxy.core.secret import Secret
from proxy.credentials.build import credential_of
from proxy.credentials.google import SCOPE

Sign = Callable[[Credential, HttpCall], Coroutine[Any, Any, HttpCall | Failure]]


class Google(BaseHTTPRequestHandler):
    """Both servers in one."""

    asked: list[str]
    status = 200

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        payload = form["assertion"][0].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        self.asked.append(claims["scope"])
        self._say({"access_token": "ya29.account", "expires_in": 3599, "token_type": "Bearer"})

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "/token" in self.path:
            self._say({"access_token": "ya29.metadata", "expires_in": 3599, "token_type": "Bearer"})
        elif "recursive=true" in self.path:
            self._say({"email": "a@b.iam.gserviceaccount.com", "scopes": [SCOPE]})
        else:
            self._say("a-project")

    def _say(self, value: object) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(self.status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HTTPServer]:
    handler = type("Handler", (Google,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("PATH", str(tmp_path))
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def account(google: HTTPServer, tmp_path: Path) -> Path:
    key = rsa.generate_private_key(65537, 2048)
    path = tmp_path / "account.json"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "a-project",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": "a@b.iam.gserviceaccount.com",
                "token_uri": f"http://127.0.0.1:{google.server_port}/token",
            }
        )
    )
    return path


def vertex(**options: str) -> Credential:
    found = credential_of(Backend("gcp", "vertex", options=options))
    assert found is not None
    return found


def test_a_service_accounts_file_gives_a_token_for_the_cloud(
    google: HTTPServer, account: Path, call: HttpCall, sign: Sign
) -> None:
    credential = vertex(credentials_file=str(account))

    async def main() -> None:
        first: Any = await sign(credential, call)
        assert first.head == call.head + b"Authorization: Bearer ya29.account\r\n"
        assert isinstance(credential.sign(call), HttpCall)

    asyncio.run(main())
    assert google.RequestHandlerClass.asked == [SCOPE]  # type: ignore[attr-defined]  # it is our own class


def test_on_googles_own_machines_the_metadata_server_gives_it(
    google: HTTPServer, call: HttpCall, sign: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = f"127.0.0.1:{google.server_port}"
    monkeypatch.setenv("GCE_METADATA_HOST", at)
    monkeypatch.setenv("GCE_METADATA_IP", at)
    found: Any = asyncio.run(sign(vertex(), call))
    assert found.head.endswith(b"Authorization: Bearer ya29.metadata\r\n")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"type": "service_account"}', '{"type": "nonsense"}'])
def test_a_file_that_is_none_says_so_and_nothing_of_what_is_in_it(
    content: str, google: HTTPServer, call: HttpCall, sign: Sign, tmp_path: Path
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    for name in (path, tmp_path / "missing.json"):
        found: Any = asyncio.run(sign(vertex(credentials_file=str(name)), call))
        assert found.kind is FailureKind.KEY_REFUSED
        assert "google-auth says" in found.message
        assert str(tmp_path) not in found.message


def test_an_endpoint_that_refuses_is_a_failure_and_a_mended_file_is_read_again(
    google: HTTPServer, account: Path, call: HttpCall, sign: Sign
) -> None:
    google.RequestHandlerClass.status = 400  # type: ignore[attr-defined]  # it is our own class
    found: Any = asyncio.run(sign(vertex(credentials_file=str(account)), call))
    assert found.kind is FailureKind.KEY_REFUSED
    assert "RefreshError" in found.message
    assert found.retry_after


def test_with_a_key_there_is_nothing_to_fetch() -> None:
    assert credential_of(Backend("gcp", "vertex", api_key=Secret("AIzaSyExample0000"))) is None
