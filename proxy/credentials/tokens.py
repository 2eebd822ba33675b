"""Tokens that others make: a command that prints one, a file that holds one and is written anew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

from proxy.core.failure import Failure
from proxy.credentials.kept import Lease, refused, until
from proxy.credentials.reading import read_token

TIMEOUT = 30.0
"""Seconds that a command may take. (`az` takes one to three.)"""
UNSAID = 300.0
"""Seconds for which a command's token is taken to be valid where nothing says for how long."""
LOOK = 5.0
"""Seconds between two looks at a file that is in use. Kubernetes writes a projected token anew when 80 % of its life
are over, so nothing is lost meanwhile."""
MOST = 64 * 1024
"""Bytes of output, or of a file, that can be a token."""


class CommandToken:
    """Runs a command, without a shell, for a token on its standard output. What it says on standard error is not read:
    it may hold secrets."""

    def __init__(
        self, argv: Sequence[str], *, timeout: float = TIMEOUT, clock: Callable[[], float] = time.time
    ) -> None:
        self._argv = tuple(argv)
        self._timeout = timeout
        self._clock = clock

    async def __call__(self) -> Lease[str] | Failure:
        """One run."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=MOST,
            )
        except (OSError, ValueError):
            return refused("its token_command cannot be started")
        try:
            said, status = await asyncio.wait_for(_outcome(process), self._timeout)
        except TimeoutError:
            return refused(f"its token_command took longer than {self._timeout:g} s")
        finally:
            await _end(process)
        if status != 0:
            return refused(f"its token_command ended with status {status}")
        now = self._clock()
        token = read_token(said.decode("utf-8", "replace"), now)
        if token is None:
            return refused("what its token_command printed is no token")
        if token.ends is not None and token.ends <= now:
            return refused("its token_command gave a token that has ended")
        return until(token.text, now + UNSAID if token.ends is None else token.ends, now)


async def _outcome(process: asyncio.subprocess.Process) -> tuple[bytes, int]:
    assert process.stdout is not None
    said = b""
    while len(said) <= MOST and (more := await process.stdout.read(MOST)):
        said += more
    if len(said) > MOST:
        return b"", 0  # no token is that long
    return said, await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Whatever it started ends with it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class FileToken:
    """Reads a token from a file; looks again while it is in use."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock

    async def __call__(self) -> Lease[str] | Failure:
        """One look, in a thread: the file may be on a slow file system."""
        text = await asyncio.to_thread(self._read)
        if text is None:
            return refused("its token_file cannot be read")
        now = self._clock()
        token = read_token(text, now)
        if token is None:
            return refused("its token_file holds no token")
        if token.ends is not None and token.ends <= now:
            return refused("its token_file holds a token that has ended", LOOK)
        return Lease(token.text, renew=now + LOOK, ends=inf if token.ends is None else token.ends)

    def _read(self) -> str | None:
        try:
            with self._path.open("rb") as file:
                return file.read(MOST).decode("utf-8", "replace")
        except OSError:
            return None
