"""The image, built without a container runtime: each command of deploy/Containerfile is carried out in a folder."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deploy.image import FILE, ROOT, Image, build, read

pytestmark = pytest.mark.slow
RULES = ROOT / "deploy/prometheus/rules.yaml"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    built = build(tmp_path_factory.mktemp("image"))
    # Here it runs as whoever runs the tests, in place of 10001.
    os.chown(built.root / "data", os.geteuid(), os.getegid())
    return built


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def words_of(word: str, image: Image, port: int) -> list[str]:
    """The last stage's exec form, with the image's paths and port put where they are here."""
    found = [instruction for instruction in read(FILE.read_text()) if instruction.word == word][-1]
    return [image.here(text).replace("8080", str(port)) for text in found.listed()]


def start(image: Image, port: int, **variables: str) -> subprocess.Popen[str]:
    """ENTRYPOINT and CMD with only the image's environment. As root without root's rights over files."""
    routes = image.root / "etc/wayline/routes.yaml"
    mine = image.root / "tmp" / f"routes-{port}.yaml"
    mine.write_text(routes.read_text().replace("8080", str(port)).replace("0.0.0.0", "127.0.0.1"))
    command = [*words_of("ENTRYPOINT", image, port), *words_of("CMD", image, port)]
    command = [str(mine) if word == str(routes) else word for word in command]
    command[0] = str(image.root / "opt/wayline/bin" / command[0])
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    return subprocess.Popen(
        [*bare, *command],
        cwd=image.root / "data",
        env={**image.process_environment(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def healthy(image: Image, port: int) -> bool:
    """What the HEALTHCHECK says."""
    command = words_of("HEALTHCHECK", image, port)
    command[0] = str(image.root / "opt/wayline/bin" / command[0])
    environment = image.process_environment()
    return subprocess.run(command, env=environment, capture_output=True, timeout=10, check=False).returncode == 0


@contextmanager
def serving(image: Image, port: int) -> Iterator[subprocess.Popen[str]]:
    process = start(image, port, WAYLINE_KEY="sesame", OPENAI_API_KEY="sk-nothing")
    try:
        deadline = time.monotonic() + 20
        while not healthy(image, port):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "not healthy within 20 s"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def status(port: int, path: str, key: str = "") -> int:
    return ask(port, path, key)[0]


def ask(port: int, path: str, key: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {key}"} if key else {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


@contextmanager
def read_only(image: Image) -> Iterator[None]:
    """Nobody may write anywhere but in /data and /tmp."""
    kept = [image.root / "data", image.root / "tmp"]
    folders = [path for path in image.root.rglob("*") if path.is_dir() and not path.is_symlink()]
    closed = [path for path in folders if not any(path == k or k in path.parents for k in kept)]
    for path in closed:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in closed:
            path.chmod(0o755)


def contents(image: Image) -> dict[str, int]:
    """Every file outside of /data and /tmp, and when it was changed."""
    files = [path for path in (image.root / folder for folder in ("opt", "etc")) for path in path.rglob("*")]
    return {str(path): path.lstat().st_mtime_ns for path in files}


def exported(metrics: str) -> set[str]:
    """The names of the series that a text of metrics can hold."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", metrics, re.M))
    ends = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + end for name, kind in kinds.items() for end in ends.get(kind, ("",))}


def test_it_holds_wayline_and_what_the_core_lock_names_and_neither_pip_nor_the_build(image: Image) -> None:
    site = next((image.root / "opt/wayline/lib").glob("python*/site-packages"))
    installed = {path.name.split("-")[0].lower().replace("_", "-") for path in site.glob("*.dist-info")}
    locked = {line.split("==")[0] for line in (ROOT / "locks/core.txt").read_text().splitlines() if "==" in line}
    assert {"starlette", "uvicorn", "wayline"} <= installed <= {*locked, "wayline"}
    assert sorted(path.name for path in (image.root / "opt").iterdir()) == ["wayline"]
    assert not (image.root / "src").exists()


def test_without_a_key_for_its_callers_it_does_not_start_and_names_the_variable(image: Image) -> None:
    process = start(image, free_port())
    output, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "WAYLINE_KEY" in output
    assert "Traceback" not in output


def test_it_serves_on_a_read_only_root_and_the_health_check_sees_it_and_sigterm_ends_it(image: Image) -> None:
    port = free_port()
    before = contents(image)
    assert not healthy(image, port)
    with read_only(image), serving(image, port) as process:
        assert status(port, "/v1/models") == 401
        assert status(port, "/v1/models", key="sesame") == 200
        assert status(port, "/readyz") == 200
        assert set(re.findall(r"wayline_\w+", RULES.read_text())) <= exported(ask(port, "/metrics", key="sesame")[1])
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        assert process.returncode in (0, 143, -signal.SIGTERM), output
    assert "Traceback" not in output
    assert {path for path in contents(image) if path not in before} == set()
    assert (image.root / "data/wayline.db").exists()
