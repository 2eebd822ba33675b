"""Calls signed for AWS, checked as AWS checks them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.credential import Credential
from proxy.core.failure import Failure, FailureKind
from proxy.core.secret import Secret
from proxy.credentials import sigv4
from proxy.credentials.bearer import Bearer
from proxy.credentials.build import credential_of
from proxy.credentials.kept import Always, Kept
from proxy.credentials.sigv4 import AwsKeys, SigV4, Source

Sign = Callable[[Credential, HttpCall], Coroutine[Any, Any, HttpCall | Failure]]
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = SimpleNamespace(access_key="AKIDEXAMPLE", secret_key=SECRET, token=None)
"""AWS's own example key."""
CALL = HttpCall(
    b"POST /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse HTTP/1.1\r\n"
    b"Host: bedrock-runtime.us-east-1.amazonaws.com\r\nAccept: application/json\r\n"
    b"Content-Type: application/json\r\nUser-Agent: wayline/0\r\n",
    b'{"messages":[]}',
)


def fields(head: bytes) -> tuple[str, dict[str, str]]:
    line, *lines = head.decode("latin-1").removesuffix("\r\n").split("\r\n")
    return line, {name.lower(): value for name, value in (field.split(": ", 1) for field in lines)}


def as_aws_would(call: HttpCall) -> str:
    """The signature that AWS works out for a call, from its documentation; path segments are encoded once more."""
    line, headers = fields(call.head)
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    scope, signed, _ = (part.split("=", 1)[1] for part in headers["authorization"].split(" ", 1)[1].split(", "))
    _, day, region, service, end = scope.split("/")
    names = signed.split(";")
    canonical = "\n".join(
        (method, quote(path, safe="/-_.~"), query, *(f"{name}:{headers[name]}" for name in names), "", signed)
    )
    canonical += "\n" + hashlib.sha256(call.body).hexdigest()
    text = "\n".join(
        ("AWS4-HMAC-SHA256", headers["x-amz-date"], f"{day}/{region}/{service}/{end}")
    ) + "\n" + hashlib.sha256(canonical.encode()).hexdigest()  # fmt: skip
    key = b"AWS4" + SECRET.encode()
    for part in (day, region, service, end, text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def ready(keys: Any = KEYS, **more: Any) -> SigV4:
    return SigV4(Kept(Always(keys)), "us-east-1", **more)


def test_a_signed_call_is_the_call_with_a_signature_that_aws_accepts(sign: Sign) -> None:
    found = asyncio.run(sign(ready(), CALL))
    assert isinstance(found, HttpCall)
    assert found.head.startswith(CALL.head)
    assert found.body == CALL.body
    _, headers = fields(found.head)
    assert headers["authorization"].endswith(f"Signature={as_aws_would(found)}")
    assert "SignedHeaders=content-type;host;x-amz-date" in headers["authorization"]
    assert "/us-east-1/bedrock/aws4_request" in headers["authorization"]


def test_a_session_token_is_sent_and_signed(sign: Sign) -> None:
    keys = SimpleNamespace(access_key="AKIDEXAMPLE", secret_key=SECRET, token="session/token==")
    found: Any = asyncio.run(sign(ready(keys), CALL))
    _, headers = fields(found.head)
    assert headers["x-amz-security-token"] == "session/token=="
    assert headers["authorization"].endswith(f"Signature={as_aws_would(found)}")
    assert "x-amz-security-token" in headers["authorization"]


def test_the_signature_of_awss_own_test_suite(sign: Sign, monkeypatch: pytest.MonkeyPatch) -> None:
    """`post-vanilla` of the Signature Version 4 test suite."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime(2015, 8, 30, 12, 36))
    call = HttpCall(b"POST / HTTP/1.1\r\nHost: example.amazonaws.com\r\n")
    found: Any = asyncio.run(sign(ready(service="service"), call))
    assert found.head.endswith(b"Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\r\n")


def test_another_body_has_another_signature(sign: Sign) -> None:
    async def both() -> list[Any]:
        return [await sign(ready(), HttpCall(CALL.head, body)) for body in (b"{}", b"[]")]

    one, other = asyncio.run(both())
    assert one.head != other.head


def test_keys_are_found_in_the_environment_and_after_that_signing_does_not_wait(
    sign: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    credential = credential_of(Backend("aws", "bedrock", options={"region": "us-east-1"}))
    assert isinstance(credential, SigV4)

    async def main() -> None:
        found = await sign(credential, CALL)
        assert isinstance(found, HttpCall)
        assert fields(found.head)[1]["authorization"].endswith(as_aws_would(found))
        assert isinstance(credential.sign(CALL), HttpCall)

    asyncio.run(main())


def test_a_profile_is_found_in_its_file(sign: Sign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"[work]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name, ok in (("work", True), ("play", False)):
        options = {"region": "us-east-1", "profile": name}
        credential = credential_of(Backend("aws", "bedrock", options=options))
        assert credential is not None
        found: Any = asyncio.run(sign(credential, CALL))
        if ok:
            assert b"Credential=AKIDPROFILE/" in found.head
        else:
            assert found.kind is FailureKind.KEY_REFUSED
            assert "ProfileNotFound" in found.message


def test_where_there_are_no_keys_it_says_so(sign: Sign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("BOTO_CONFIG", str(tmp_path / "none"))
    credential = credential_of(Backend("aws", "bedrock", options={"region": "us-east-1"}))
    assert credential is not None
    found: Any = asyncio.run(sign(credential, CALL))
    assert found.kind is FailureKind.KEY_REFUSED
    assert "no AWS credentials" in found.message
    assert found.retry_after


STS = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


class Sts(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        assert b"RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmodels" in asked
        body = STS % SECRET.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


def test_a_role_is_assumed_with_the_keys_that_were_found(sign: Sign, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Sts) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        role = "arn:aws:iam::123456789012:role/models"
        credential = credential_of(Backend("aws", "bedrock", options={"region": "us-east-1", "role_arn": role}))
        assert credential is not None
        try:
            found: Any = asyncio.run(sign(credential, CALL))
        finally:
            server.shutdown()
            thread.join()
    assert b"Credential=AKIDROLE/" in found.head
    assert b"role-token" in found.head


def test_keys_that_botocore_renewed_are_taken_up(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter(("one", "two"))
    monkeypatch.setattr(
        sigv4, "_credentials", lambda source: SimpleNamespace(get_frozen_credentials=lambda: next(given))
    )
    kept = Kept(AwsKeys(Source(), clock), clock)

    async def main() -> None:
        assert await kept.wait() == "one"
        clock.now += sigv4.GOOD
        assert await kept.wait() == "two"

    asyncio.run(main())


def test_an_api_key_of_bedrocks_own_is_used_before_signing(
    sign: Sign, call: HttpCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKexample")
    credential = credential_of(Backend("aws", "bedrock", options={"region": "us-east-1"}))
    assert isinstance(credential, Bearer)
    found: Any = asyncio.run(sign(credential, call))
    assert found.head.endswith(b"Authorization: Bearer ABSKexample\r\n")
    key = Secret("ABSKotherexample")
    assert credential_of(Backend("aws", "bedrock", api_key=key, options={"region": "us-east-1"})) is None
    options = {"region": "us-east-1", "profile": "work"}
    assert isinstance(credential_of(Backend("aws", "bedrock", options=options)), SigV4)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (Backend("aws", "bedrock", options={"region": "us-east-1"}), r"'aws' needs botocore.*wayline\[bedrock\]"),
        (Backend("gcp", "vertex"), r"'gcp' needs google-auth.*wayline\[vertex\]"),
    ],
)
def test_a_library_that_is_not_installed_is_named(
    backend: Backend, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)

    def none(name: str) -> None:
        if name == "google.auth":
            raise ModuleNotFoundError("google")

    monkeypatch.setattr("proxy.credentials.build.find_spec", none)
    with pytest.raises(ValueError, match=words):
        credential_of(backend)


def test_no_printed_form_holds_a_key(sign: Sign) -> None:
    credential = ready()
    found = asyncio.run(sign(credential, CALL))
    shown = f"{credential!r} {found!r} {Source('p', 'r', 'x')!r}"
    assert SECRET not in shown
    assert "AKIDEXAMPLE" not in shown
