"""`wayline why` and `wayline spend` tell what docs/why.md shows; and a served request can be asked for right away."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner, Result

from bench import process
from proxy.cli.commands import wayline
from proxy.core.choice.choose import Choice
from proxy.core.choice.sifting import LeftOut
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from proxy.core.health import Standing
from proxy.core.outcome import Ended, Outcome
from proxy.core.plan import Plan, Skipped
from proxy.core.route import Target
from proxy.core.told import Note, Told
from proxy.core.usage import Usage
from proxy.ledger.prune import Kept
from proxy.ledger.sqlite import open_ledger
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import error, ok

DOCS = Path(__file__).resolve().parents[2] / "docs" / "why.md"
BLOCK = re.compile(r"^```console\n\$ wayline (?P<command>[^\n]+)\n(?P<shown>.*?)^```$", re.M | re.S)
CAME = datetime(2026, 11, 21, 14, 3, 7, 120_000, UTC).timestamp()
FREE_AGAIN = CAME + 12 - time.time() + time.monotonic()
"""On the engine's clock."""


def target(name: str) -> Target:
    backend, _, model = name.partition("/")
    return Target(name, backend, model)


XAI, GROQ, OPENAI = target("xai/grok-4-fast"), target("groq/llama-3.3-70b"), target("openai/gpt-4o-mini")
CHOICE = Choice(
    Plan((XAI, GROQ, OPENAI), (Skipped(target("xai/grok-4"), Standing.COOLING, FailureKind.RATE_LIMITED, FREE_AGAIN),)),
    left_out=(LeftOut(target("here/smollm2"), "context 8,192 < 30,000"),),
    behind=((OPENAI, "answers up to 16,384 < 20,000"),),
    strategy="cheapest",
    rule=1,
    use="large",
)
SERVED = Outcome(
    request_id="req_9f31c0de",
    attempt=2,
    route="chat",
    target=OPENAI.name,
    backend="openai",
    ended=Ended.SERVED,
    failure=None,
    status=200,
    stream=True,
    started_at=CAME,
    sent=10.322,
    first_byte=10.611,
    first_content=10.702,
    last=12.004,
    usage=Usage(30_012, 845, 1_024),
    price=None,
    cost=Decimal("0.004932"),
    maybe_billed=False,
    key="team-a",
    model="gpt-4o-mini-2024-07-18",
    agent="scout",
    tags=("nightly",),
)
TIMED_OUT = SERVED._replace(
    attempt=1,
    target=GROQ.name,
    backend="groq",
    ended=Ended.FAILED,
    failure=FailureKind.FIRST_TIMEOUT,
    status=None,
    sent=0.321,
    first_byte=None,
    first_content=None,
    last=10.322,
    usage=None,
    cost=None,
    maybe_billed=True,
    model="",
)
TOLD = Told(
    request_id="req_9f31c0de",
    started_at=CAME,
    route="chat",
    endpoint="chat",
    key="team-a",
    agent="scout",
    tags=("nightly",),
    stream=True,
    ended=Ended.SERVED,
    status=200,
    failure=None,
    duration=12.004,
    queued=0.32,
    attempts=2,
    planned=CHOICE,
    wish=Wish(max_cost=Decimal("0.05"), exclude=frozenset({"azure"})),
    notes=(
        Note("not asked", "xai/grok-4-fast", "our queue for this model is full"),
        Note("limit", "key 'team-a'", "3 of 4 requests at once, 58 of 60 requests a minute"),
        Note("budget", "tag 'nightly'", "$4.20 of $5 a day spent, $0.1 more reserved"),
    ),
)
OTHERS = (
    SERVED._replace(request_id="req_a", attempt=1, tags=("eval", "nightly")),
    SERVED._replace(request_id="req_b", attempt=1, tags=(), usage=Usage(120, 45, 20), cost=Decimal("0.0000435")),
    SERVED._replace(request_id="req_c", attempt=1, route="other"),
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration whose ledger holds what the document speaks of; the machine's clock is that of UTC."""

    async def record() -> None:
        ledger = open_ledger(tmp_path / "ledger.db", kept=Kept(days=100_000))
        for outcome in (TIMED_OUT, SERVED, *OTHERS):
            ledger.record(outcome)
        ledger.tell(TOLD)
        await ledger.close()

    asyncio.run(record())
    file = tmp_path / "routes.yaml"
    file.write_text(
        f"ledger: {{path: {tmp_path}/ledger.db}}\nbackends: {{a: {{type: ollama}}}}\nroutes: {{r: {{targets: [a/m]}}}}"
    )
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield file
    monkeypatch.undo()
    time.tzset()


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(wayline, [*arguments, "--config", str(config)])


@pytest.mark.parametrize("place", [0, 1])
def test_what_the_document_shows_is_what_is_told(config: Path, place: int) -> None:
    command, shown = BLOCK.findall(DOCS.read_text(encoding="utf-8"))[place]
    done = run(config, *command.split())
    assert (done.exit_code, done.stdout) == (0, shown), done.output
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_json_is_for_programs(config: Path) -> None:
    document = json.loads(run(config, "why", "req_9f31c0de", "--json").stdout)
    assert document["plan"]["strategy"] == "cheapest"
    assert [one["failure"] for one in document["attempts"]] == ["first_timeout", None]
    assert document["cost"] == "0.004932"


def test_an_id_that_is_not_on_record_is_exit_status_1(config: Path) -> None:
    done = run(config, "why", "req_nobody")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "No request req_nobody is on record" in done.stderr
    assert "2 requests begin" not in done.stderr
    several = run(config, "why", "req_")
    assert several.exit_code == 1
    assert "4 requests begin with req_: req_9f31c0de, req_a, req_b, req_c." in several.stderr
    config.write_text("ledger: false\n" + config.read_text().partition("\n")[2])
    assert "nothing was put on record" in run(config, "why", "req_a").stderr


def test_spend_of_some_only(config: Path) -> None:
    arguments = ("spend", "2026-11-01", "--agent", "scout", "--key", "team-a", "--by", "month", "--json")
    document = json.loads(run(config, *arguments).stdout)
    assert [line["name"] for line in document["lines"]] == ["2026-11"]
    assert document["total"]["attempts"] == 5
    assert json.loads(run(config, *arguments, "--tag", "eval").stdout)["total"]["requests"] == 1
    assert json.loads(run(config, *arguments, "--route", "none").stdout)["total"]["requests"] == 0


SERVING = """
listen: {{port: {port}}}
ledger: {{path: {directory}/ledger.db}}
backends:
  bad: {{type: openai, base_url: "{bad}", api_key: k, retry: {{same_target: 0}}}}
  good: {{type: openai, base_url: "{good}", api_key: k, price: {{input: 1, output: 2}}}}
routes:
  chat: {{targets: [bad/m, {{target: good/m, capabilities: {{vision: false}}}}]}}
"""


def test_a_request_to_a_real_server_can_be_asked_for_while_it_runs(tmp_path: Path) -> None:
    with in_thread(Upstream(error(500))) as bad, in_thread(Upstream(ok("Hello !"))) as good:
        port = process.free_ports(1)[0]
        urls = {"bad": bad.up.base_url, "good": good.up.base_url}
        config = tmp_path / "routes.yaml"
        config.write_text(SERVING.format(port=port, directory=tmp_path, **urls))
        log = tmp_path / "log.txt"
        with log.open("wb") as out:
            server = subprocess.Popen(
                process.python("-m", "proxy", "serve", "--config", str(config)), stdout=out, stderr=subprocess.STDOUT
            )
        try:
            _await(log, server)
            given = _asked(port, {"x-wayline-agent": "scout", "x-wayline-prefer": "tags=a|b"})
            told = json.loads(run(config, "why", given, "--json").stdout)
            lines = run(config, "why", given[:-1]).stdout.splitlines()
        finally:
            server.terminate()
            assert server.wait(20) == 0
    assert (told["ended"], told["agent"], told["tags"]) == ("served", "scout", ["a", "b"])
    assert [(one["target"], one["ended"], one["status"]) for one in told["attempts"]] == [
        ("bad/m", "failed", 500),
        ("good/m", "served", 200),
    ]
    assert told["plan"]["targets"] == ["bad/m", "good/m"]
    assert lines[1:4] == ["  route chat: targets as written", "    1  bad/m", "    2  good/m"]
    assert lines[-1].startswith("  served after ")


def _await(log: Path, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while "serve.listening" not in log.read_text():
        assert server.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def _asked(port: int, headers: dict[str, str]) -> str:
    """A request's id."""
    body = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "Say hello."}]}).encode()
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    request = Request(url, body, {"content-type": "application/json", **headers})
    with urlopen(request, timeout=10) as reply:
        assert json.load(reply)["choices"][0]["message"]["content"] == "Hello !"
        return str(reply.headers["x-wayline-request-id"])
