"""Real workers: how they start, die, and go away with their parent."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.local import process
from proxy.local.find import find_model
from proxy.local.models import LocalModels
from tests.local.unix import backend, busy, chat, eventually, post, question, ready, seconds_until, sent


@asynccontextmanager
async def models(given: Backend, **more: Any) -> AsyncIterator[LocalModels]:
    made = LocalModels(given, **more)
    try:
        yield made
    finally:
        await made.close()


def worker_of(path: str) -> int:
    """The process that listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def lives(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def links_of(pid: int) -> set[str]:
    """What its file descriptors are."""
    links = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.add(str(fd.readlink()))
    return links


def link_of(fd: int) -> str:
    """What one of our own is."""
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def command_of(pid: int) -> str:
    """What `ps` shows of it."""
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_worker_killed_in_mid_stream_breaks_the_answer_and_comes_back(engine: str) -> None:
    async def main() -> None:
        async with models(backend(engine)) as made:
            path = await ready(made)
            pid = worker_of(path)
            place = made.places["smollm2"]
            with sent(path, "/v1/chat/completions", question(stream=True)) as connection:
                response = connection.getresponse()
                assert response.readline().startswith(b"data: ")
                os.kill(pid, signal.SIGKILL)
                with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                    await asyncio.to_thread(response.read)
                lost = place.lost()
            assert lost is not None
            assert lost.kind is FailureKind.WORKER_CRASHED
            assert await ready(made) == path
            assert worker_of(path) != pid
            assert place.lost() is None
            assert chat(path, question(max_tokens=2))["usage"]["completion_tokens"] == 2

    asyncio.run(main())


def test_an_illegal_instruction_is_survived_and_explained(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    """As when llama.cpp was built for another processor."""
    caplog.set_level(logging.INFO, "wayline.local")

    async def main() -> None:
        async with models(backend(engine), backoff=lambda _: 30.0) as made:
            path = await ready(made)
            os.kill(worker_of(path), signal.SIGILL)
            await eventually(lambda: made.places["smollm2"].state().state == "backoff")
            given = made.places["smollm2"].origin()
            assert not isinstance(given, Origin)
            failure = await given
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.WORKER_CRASHED

    asyncio.run(main())
    assert "SIGILL" in caplog.text
    assert "-DGGML_NATIVE=OFF" in caplog.text


PARENT = """
import asyncio, sys
from tests.local.unix import backend, ready
from proxy.local.models import LocalModels
async def main():
    made = LocalModels(backend(sys.argv[1]))
    print(await ready(made), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_worker_dies_with_its_parent_even_by_kill_9_and_in_mid_answer(engine: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, engine], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        path = parent.stdout.readline().strip()
        pid = worker_of(path)
        with sent(path, "/v1/chat/completions", question(stream=True)) as connection:
            connection.getresponse().readline()
            parent.kill()
            seconds_until(lambda: not lives(pid), within=2.0)
    directory = Path(path).parent
    for left in directory.iterdir():
        left.unlink()
    directory.rmdir()


def test_without_the_kernels_help_the_end_of_its_stdin_ends_it(engine: str) -> None:
    """As on other systems than Linux; here the parent lives on and only lets go of the pipe."""

    async def main() -> None:
        async with models(backend(engine)) as made:
            path = await ready(made)
            pid = worker_of(path)
            run = made._places["smollm2"]._run
            assert isinstance(run, process.WorkerProcess)
            assert run._process.stdin is not None
            run._process.stdin.close()
            await asyncio.to_thread(seconds_until, lambda: not lives(pid), 2.0)

    asyncio.run(main())


def test_closing_ends_the_worker_and_removes_its_directory() -> None:
    async def main() -> tuple[str, int]:
        async with models(backend("xllamacpp")) as made:
            path = await ready(made)
            return path, worker_of(path)

    path, pid = asyncio.run(main())
    assert not lives(pid)
    assert not Path(path).parent.exists()


def test_a_worker_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TERM_SECONDS", 0.1)

    async def main() -> None:
        async with models(backend("xllamacpp")) as made:
            pid = worker_of(await ready(made))
            os.kill(pid, signal.SIGSTOP)  # a stopped process takes no SIGTERM
            await made.close()
            assert not lives(pid)

    asyncio.run(main())


def test_the_socket_is_private_and_its_path_short() -> None:
    async def main() -> None:
        async with models(backend("xllamacpp")) as made:
            path = await ready(made)
            assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
            assert len(path) < 100

    asyncio.run(main())


def test_a_long_temporary_directory_does_not_make_it_longer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    given = LocalModels(backend("xllamacpp"))
    spec = given._directory.path
    assert len(str(spec / "999.inner.sock")) <= 100


def test_a_worker_inherits_no_socket_of_ours_and_stands_apart_from_ctrl_c() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as ours:
            ours.set_inheritable(True)
            name = link_of(ours.fileno())
            async with models(backend("xllamacpp")) as made:
                pid = worker_of(await ready(made))
                assert name not in links_of(pid)
                assert os.getpgid(pid) != os.getpgid(0)
                assert ".gguf" not in command_of(pid)

    asyncio.run(main())


def test_preload_starts_it_without_a_request() -> None:
    async def main() -> None:
        async with models(backend("xllamacpp", preload=True)) as made:
            assert made.places["smollm2"].state().state == "idle"
            await made.start()
            assert made.places["smollm2"].state().state == "loading"

        async with models(backend("xllamacpp")) as made:
            await made.start()
            assert made.places["smollm2"].state().state == "idle"

    asyncio.run(main())


def test_a_broken_model_is_unavailable_in_a_clear_sentence(engine: str, tmp_path: Path) -> None:
    whole = find_model(backend(engine).models["smollm2"])
    broken = tmp_path / "broken.gguf"
    with whole.open("rb") as file:
        broken.write_bytes(file.read(3_000_000))

    async def main() -> None:
        async with models(backend(engine, package="", path=str(broken))) as made:
            given = made.places["smollm2"].origin()
            assert not isinstance(given, Origin)
            failure = await given
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.NOT_AVAILABLE
            assert "cannot load the model's file" in failure.message
            assert str(tmp_path) not in failure.message
            assert made.places["smollm2"].state().state == "unavailable"

    asyncio.run(main())


def test_without_isolation_the_same_is_served_inside_this_process(engine: str) -> None:
    async def main() -> str:
        async with models(backend(engine, isolation="none")) as made:
            path = await ready(made)
            assert worker_of(path) == os.getpid()
            answer = await asyncio.to_thread(chat, path, question(max_tokens=3))
            assert answer["usage"]["completion_tokens"] == 3
            took = []
            for _ in range(3):  # a busy machine may stall for longer, but not each time
                with sent(path, "/v1/chat/completions", question(stream=True)) as connection:
                    response = connection.getresponse()
                    assert response.readline().startswith(b"data: ")
                took.append(await asyncio.to_thread(seconds_until, lambda: not busy(path)))
            assert min(took) < 0.25
            return path

    assert not Path(asyncio.run(main())).exists()


def test_two_slots_answer_at_the_same_time() -> None:
    async def main() -> None:
        async with models(backend("xllamacpp", parallel=2, queue=0)) as made:
            path = await ready(made)
            with (
                sent(path, "/v1/chat/completions", question(stream=True)) as one,
                sent(path, "/v1/chat/completions", question("Name a colour.", stream=True)) as two,
            ):
                for connection in (one, two):
                    assert connection.getresponse().readline().startswith(b"data: ")

    asyncio.run(main())


def test_requests_beyond_the_queue_are_told_so_at_once(engine: str) -> None:
    async def main() -> None:
        async with models(backend(engine, queue=0)) as made:
            path = await ready(made)
            with sent(path, "/v1/chat/completions", question(stream=True)) as working:
                assert working.getresponse().readline().startswith(b"data: ")
                status, answer = post(path, "/v1/chat/completions", question())
                assert status == 503
                assert answer["error"]["message"] == "our queue is full"
            # Its client has left: there is room again.
            seconds_until(lambda: post(path, "/v1/chat/completions", question(max_tokens=1))[0] == 200, within=2.0)

    asyncio.run(main())


def test_who_waits_in_the_queue_has_a_turn_as_soon_as_a_client_leaves(engine: str) -> None:
    async def main() -> None:
        async with models(backend(engine, queue=1)) as made:
            path = await ready(made)
            with sent(path, "/v1/chat/completions", question(stream=True)) as working:
                response = working.getresponse()
                assert response.readline().startswith(b"data: ")
                with sent(path, "/v1/chat/completions", question(max_tokens=1)) as waiting:
                    response.close()
                    working.close()
                    assert waiting.getresponse().status == 200

    asyncio.run(main())
