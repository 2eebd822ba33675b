"""Tokens out of commands and files, as a backend's calls get them."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.credential import Credential
from proxy.core.failure import Failure, FailureKind
from proxy.core.secret import Secret
from proxy.credentials.bearer import Bearer
from proxy.credentials.build import credential_of
from proxy.credentials.kept import Kept
from proxy.credentials.reading import Token, read_token
from proxy.credentials.tokens import LOOK, UNSAID, CommandToken, FileToken

NOW = 1_800_000_000.0
Sign = Callable[[Credential, HttpCall], Coroutine[Any, Any, HttpCall | Failure]]


def jwt(ends: float) -> str:
    parts = ({"alg": "none"}, {"exp": ends, "aud": "x"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + ".sig"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def run(argv: list[str], clock: Any, timeout: float = 20.0) -> Any:
    return asyncio.run(CommandToken(argv, timeout=timeout, clock=clock)())


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("ya29.plain\n", None),
        (jwt(NOW + 60), NOW + 60),
        ('{"accessToken": "t", "expiresOn": "2027-01-15 09:00:00.000000", "expires_on": 1800000900}', NOW + 900),
        ('{"accessToken": "t", "expires_on": "1800000900"}', NOW + 900),
        ('{"access_token": "t", "token_type": "Bearer", "expires_in": 3599}', NOW + 3599),
        ('{"access_token": "t", "expires_in": "3599"}', NOW + 3599),
        ('{"status": {"token": "t", "expirationTimestamp": "2027-01-15T08:15:00Z"}}', NOW + 900),
        ('{"credential": {"access_token": "t", "token_expiry": "2027-01-15T08:15:00Z"}}', NOW + 900),
        ('{"token": "t", "expires_at": 1800000900000}', NOW + 900),
        ('{"token": "t"}', None),
    ],
)  # fmt: skip
def test_a_token_is_found_in_the_forms_that_tools_print(text: str, ends: float | None) -> None:
    found = read_token(text, NOW)
    assert found is not None
    assert found.ends == ends


def test_azures_local_time_is_taken_as_local_time() -> None:
    found = read_token('{"accessToken": "t", "expiresOn": "2027-01-15 09:00:00.000000"}', NOW)
    assert found == Token("t", datetime(2027, 1, 15, 9).timestamp())


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "{}", '{"token": 1}', '{"token": "a b"}', "{", '{"a": [1]}'])
def test_what_holds_no_token_gives_none(text: str) -> None:
    assert read_token(text, NOW) is None


SAID = st.recursive(
    st.none() | st.text() | st.integers() | st.floats(),
    lambda inner: st.dictionaries(st.sampled_from(["token", "status", "expires_on", "expires_in"]), inner, max_size=3),
    max_leaves=5,
)


@given(st.text(max_size=60) | SAID.map(json.dumps))
@settings(max_examples=80, deadline=None)
def test_any_text_at_all_can_be_read(text: str) -> None:
    found = read_token(text, NOW)
    assert found is None or found.text.isprintable()


def test_a_commands_token_stands_on_each_call(call: HttpCall, sign: Sign) -> None:
    backend = Backend("b", "openai", options={"token_command": python("print('tok-from-command')")})
    credential = credential_of(backend)
    assert isinstance(credential, Bearer)

    async def main() -> None:
        first = await sign(credential, call)
        assert isinstance(first, HttpCall)
        assert first.head == call.head + b"Authorization: Bearer tok-from-command\r\n"
        assert first.body == call.body
        assert isinstance(credential.sign(call), HttpCall)

    asyncio.run(main())


def test_a_command_is_given_its_arguments_as_they_are_without_a_shell(clock: Any) -> None:
    lease = run([*python("import sys; print(len(sys.argv[1]))"), "$HOME; echo `id`"], clock)
    assert lease.value == "16"


def test_what_ends_is_renewed_before_and_what_does_not_say_so_is_asked_for_again(clock: Any) -> None:
    said = run(python('print(\'{"token": "t", "expires_in": 3600}\')'), clock)
    assert NOW + 3000 <= said.renew < said.ends <= NOW + 3600
    unsaid = run(python("print('t')"), clock)
    assert NOW < unsaid.renew < unsaid.ends <= NOW + UNSAID


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["/no/such/program"], "cannot be started"),
        (["a\0b"], "cannot be started"),
        (python("print('tok-secret'); raise SystemExit(3)"), "status 3"),
        (python("import sys; sys.stderr.write('tok-secret')"), "no token"),
        (python("print('tok-secret ' * 9999)"), "no token"),
        (python(f"print('{jwt(1.0)}')"), "has ended"),
    ],
)
def test_a_command_that_fails_says_why_and_nothing_of_what_it_said(argv: list[str], why: str, clock: Any) -> None:
    found = run(argv, clock)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.KEY_REFUSED
    assert why in found.message
    assert "secret" not in found.message
    assert "no/such" not in found.message


def ended(pid: str) -> bool:
    """It is dead, or will be as soon as the kernel comes to it: who was killed may still run for a moment."""
    for _ in range(1000):
        try:
            said = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if said.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(clock: Any, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(mark)!r}).write_text(str(child.pid))\n"
        "child.wait()"
    )
    found = run(python(code), clock, timeout=1.5)
    assert isinstance(found, Failure)
    assert "longer than" in found.message
    assert ended(mark.read_text())


def test_one_who_gives_up_waiting_for_good_ends_the_command() -> None:
    async def main() -> None:
        running = asyncio.ensure_future(CommandToken(python("import time; time.sleep(600)"))())
        await asyncio.sleep(0.2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())


def test_a_file_is_read_again_when_it_was_written_anew(tmp_path: Path, call: HttpCall, clock: Any, sign: Sign) -> None:
    path = tmp_path / "token"
    path.write_text("tok-one\n")
    credential = Bearer(Kept(FileToken(str(path), clock), clock))

    async def main() -> None:
        assert b"tok-one" in getattr(await sign(credential, call), "head", b"")
        path.write_text("tok-two\n")
        clock.now += LOOK
        await sign(credential, call)  # begins the look, and does not wait for it
        for _ in range(200):
            if b"tok-two" in getattr(await sign(credential, call), "head", b""):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the new token was not taken up")

    asyncio.run(main())


def test_a_file_that_vanishes_for_a_moment_costs_nothing(tmp_path: Path, call: HttpCall, clock: Any) -> None:
    path = tmp_path / "token"
    path.write_text("tok-one")
    kept = Kept(FileToken(str(path), clock), clock)

    async def main() -> None:
        await kept.wait()
        path.unlink()
        clock.now += LOOK
        assert kept.get() == "tok-one"
        failed = await kept.wait()
        assert failed == "tok-one"

    asyncio.run(main())


def test_a_files_token_is_used_until_it_ends_by_its_own_word(tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "token"
    path.write_text(jwt(NOW + 100))
    lease: Any = asyncio.run(FileToken(str(path), clock)())
    assert lease.ends == NOW + 100
    clock.now += 101
    ended: Any = asyncio.run(FileToken(str(path), clock)())
    assert "has ended" in ended.message
    path.write_text("opaque")
    lease = asyncio.run(FileToken(str(path), clock)())
    assert lease.ends == inf


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"two words"])
def test_a_file_without_a_token_says_so_without_its_path(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    found: Any = asyncio.run(FileToken(str(path))())
    assert found.kind is FailureKind.KEY_REFUSED
    assert "token_file" in found.message
    assert str(tmp_path) not in found.message


def test_a_plain_key_needs_no_credential_and_two_at_once_are_refused() -> None:
    key = Secret("sk-thekeythatmustnotgetout")
    assert credential_of(Backend("b", "openai", api_key=key)) is None
    assert credential_of(Backend("b", "openai")) is None
    with pytest.raises(ValueError, match="api_key and token_file"):
        credential_of(Backend("b", "azure", api_key=key, options={"token_file": "/run/token"}))
    headers = {"Authorization": Secret("Bearer mine")}
    for type_ in ("openai", "bedrock", "vertex"):
        assert credential_of(Backend("b", type_, headers=headers, options={"region": "us-east-1"})) is None
    with pytest.raises(ValueError, match="an authorization header and token_file"):
        credential_of(Backend("b", "openai", headers=headers, options={"token_file": "/run/token"}))
    with pytest.raises(ValueError, match="token_command and token_file"):
        credential_of(Backend("b", "azure", options={"token_file": "/run/token", "token_command": ["x"]}))


def test_a_configuration_that_is_read_anew_does_not_run_the_same_command_again(call: HttpCall, sign: Sign) -> None:
    def made(name: str, word: str) -> Credential:
        found = credential_of(Backend(name, "openai", options={"token_command": python(f"print('{word}')")}))
        assert found is not None
        return found

    async def main() -> None:
        old = made("b", "t")
        await sign(old, call)
        assert isinstance(made("b", "t").sign(call), HttpCall)
        for other in (made("b", "u"), made("c", "t")):
            waiting = other.sign(call)
            assert not isinstance(waiting, HttpCall)
            assert isinstance(await waiting, HttpCall)

    asyncio.run(main())


def test_a_command_is_run_on_the_loop_that_serves(clock: Any) -> None:
    async def main() -> Any:
        return await CommandToken(python("print('tok')"), clock=clock)()

    assert uvloop.run(main()).value == "tok"


def test_no_printed_form_holds_a_token(call: HttpCall, sign: Sign) -> None:
    credential = credential_of(Backend("b", "openai", options={"token_command": python("print('tok-hidden')")}))
    assert credential is not None

    async def main() -> None:
        found = await sign(credential, call)
        assert "tok-hidden" not in f"{credential!r} {found!r} {read_token('tok-hidden', 0)!r}"

    asyncio.run(main())
