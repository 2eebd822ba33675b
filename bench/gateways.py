"""The gateways that are compared: how each is configured and started, with the same two targets behind it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import process, traffic
from bench.load import once


@dataclass(frozen=True)
class Start:
    """A command, ready to run. `port` 0: the process chooses one and names it in its output (`http://host:port`)."""

    argv: Sequence[str]
    port: int
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gateway:
    """One kind of gateway. `prepare(directory, port, targets)` writes its configuration and gives its command."""

    name: str
    prepare: Callable[[Path, int, Sequence[str]], Start]
    needs: Callable[[], str]
    """What is missing to run it, in words; empty: nothing."""
    model: str = "gpt-4o-mini"
    path: str = traffic.PATH
    stream_path: str = traffic.PATH
    relays: bool = True
    """It asks the upstream (the floor does not)."""
    fails_over: bool = True

    def request(self, mark: str, *, size: int = 700, stream: bool = False) -> bytes:
        """A request as this gateway takes it."""
        path = self.stream_path if stream else self.path
        return traffic.request(path, traffic.body(self.model, mark, size=size, stream=stream))


@dataclass
class Running:
    """A gateway that answers. `started` is the time from its command to its first good answer, in seconds."""

    gateway: Gateway
    process: subprocess.Popen[bytes]
    port: int
    started: float

    @property
    def pid(self) -> int:
        """Of the process at the root of its tree."""
        return self.process.pid


class DidNotStart(RuntimeError):
    """A gateway ended, or gave no good answer in time; the text has the end of its output."""


@contextlib.asynccontextmanager
async def running(gateway: Gateway, directory: Path, targets: Sequence[str], core: int) -> AsyncIterator[Running]:
    """Starts it, waits for its first good answer, stops it after the block. Its files are in `directory`."""
    log = directory / "output.txt"
    command = _command(gateway, directory, targets)
    began = time.monotonic()
    child = process.start(command.argv, core, log=log, env=command.env)
    try:
        port = await _answering(gateway, child, command.port, log, began)
        yield Running(gateway, child, port, time.monotonic() - began)
    finally:
        process.stop(child)


async def _answering(gateway: Gateway, child: subprocess.Popen[bytes], port: int, log: Path, began: float) -> int:
    request = gateway.request(traffic.PLAIN_MARK)
    while time.monotonic() - began < 30 and child.poll() is None:
        port = port or _named_port(log)
        with contextlib.suppress(OSError):
            if port and await once(port, request):
                return port
        time.sleep(0.002)  # noqa: ASYNC251 - nothing else runs now, and a loop's timer would only add to the figure
    raise DidNotStart(f"{gateway.name} did not start: {_tail(log)}")


def _command(gateway: Gateway, directory: Path, targets: Sequence[str]) -> Start:
    directory.mkdir(parents=True, exist_ok=True)
    return gateway.prepare(directory, process.free_ports(1)[0], targets)


def _named_port(log: Path) -> int:
    named = re.search(rb"http://[^:/]+:(\d+)", log.read_bytes())
    return int(named[1]) if named else 0


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip()


@contextlib.contextmanager
def skipping() -> Iterator[None]:
    """Says so when a gateway does not start, and goes on without it."""
    try:
        yield
    except DidNotStart as error:
        print(error)


def _module(name: str) -> Callable[[], str]:
    return lambda: "" if importlib.util.find_spec(name) else f"pip install {name}"


def _program(name: str, hint: str) -> Callable[[], str]:
    return lambda: "" if find_program(name) else hint


def find_program(name: str) -> str | None:
    """A program on the path, or beside this Python."""
    beside = Path(process.python()[0]).parent
    return shutil.which(name, path=os.pathsep.join([str(beside), os.environ.get("PATH", ""), "/usr/sbin"]))


def _wayline(directory: Path, port: int, targets: Sequence[str]) -> Start:
    """Everything on: ledger, metrics, cost, health, circuit, request log."""
    backends = "".join(
        f'  up{i}: {{type: openai, base_url: "{url}/v1", api_key: bench}}\n' for i, url in enumerate(targets)
    )
    listed = ", ".join(f"{{target: up{i}/m, price: {{input: 0.15, output: 0.6}}}}" for i in range(len(targets)))
    text = (
        f"listen: {{host: 127.0.0.1, port: {port}}}\nledger: {{path: {directory / 'ledger.db'}}}\n"
        f"backends:\n{backends}routes:\n  gpt-4o-mini: {{targets: [{listed}]}}\n"
    )
    (directory / "routes.yaml").write_text(text)
    return Start(process.python("-m", "proxy", "serve", "--config", str(directory / "routes.yaml")), port)


NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log error;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_max_body_size 32m; client_body_buffer_size 256k; proxy_buffers 16 8k;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  upstream up {{ {servers} keepalive 1024; keepalive_requests 100000000; keepalive_time 24h; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; keepalive_requests 100000000; keepalive_time 24h;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 600s;
    proxy_next_upstream error timeout http_500 non_idempotent;
    location / {{ proxy_pass http://up; }}
    location /s/ {{ proxy_buffering off; proxy_pass http://up/; }}
  }}
}}
"""


def _nginx(directory: Path, port: int, targets: Sequence[str]) -> Start:
    first, *others = [url.removeprefix("http://") for url in targets]
    servers = f"server {first};" + "".join(f" server {each} backup;" for each in others)
    conf = directory / "nginx.conf"
    conf.write_text(NGINX.format(dir=directory, servers=servers, port=port))
    program = find_program("nginx") or "nginx"
    return Start([program, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(conf)], port)


def _floor(_directory: Path, port: int, _targets: Sequence[str]) -> Start:
    options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "critical"]
    return Start(
        process.python("-m", "uvicorn", "bench.floor:app", "--port", str(port), "--lifespan", "off", *options), port
    )


def _tensorzero(directory: Path, _port: int, targets: Sequence[str]) -> Start:
    names = [f"up{i}" for i in range(len(targets))]
    providers = "".join(
        f'[models.chat.providers.{name}]\ntype = "openai"\nmodel_name = "m"\napi_base = "{url}/v1/"\n'
        'api_key_location = "none"\n'
        for name, url in zip(names, targets, strict=True)
    )
    text = f"[gateway]\nobservability.enabled = false\n[models.chat]\nrouting = {names}\n{providers}"
    (directory / "tensorzero.toml").write_text(text)
    return Start(
        process.python("-m", "bench.start_tensorzero", str(directory / "tensorzero.toml")), 0, {"RUST_LOG": "off"}
    )


def _ferro(directory: Path, port: int, targets: Sequence[str]) -> Start:
    """Its providers are a fixed list; OpenAI-compatible ones of them stand for the targets."""
    names = ["openai", "deepseek"][: len(targets)]
    listed = "".join(f"  - virtual_key: {name}\n    model_map: {{gpt-4o-mini: m}}\n" for name in names)
    (directory / "ferro.yaml").write_text(f"strategy:\n  mode: fallback\ntargets:\n{listed}")
    env = {
        "PORT": str(port),
        "GATEWAY_CONFIG": str(directory / "ferro.yaml"),
        "MASTER_KEY": "fgw_bench",
        "ALLOW_UNAUTHENTICATED_PROXY": "true",
        "RATE_LIMIT_RPS": "0",
        "FERRO_MODEL_CATALOG_TIMEOUT": "0",
        "LOG_LEVEL": "error",
    }
    for name, url in zip(names, targets, strict=True):
        env |= {f"{name.upper()}_API_KEY": "bench", f"{name.upper()}_BASE_URL": f"{url}/v1"}
    return Start([find_program("ferrogw") or "ferrogw", "serve"], port, env)


ALL = {
    gateway.name: gateway
    for gateway in (
        Gateway("wayline", _wayline, lambda: ""),
        Gateway("nginx", _nginx, _program("nginx", "install nginx"), stream_path=f"/s{traffic.PATH}"),
        Gateway("floor", _floor, _module("uvicorn"), relays=False, fails_over=False),
        Gateway(
            "tensorzero",
            _tensorzero,
            _module("tensorzero"),
            model="tensorzero::model_name::chat",
            path="/openai/v1/chat/completions",
            stream_path="/openai/v1/chat/completions",
        ),
        Gateway("ferro", _ferro, _program("ferrogw", "pip install ferrogw")),
    )
}
