"""`wayline explain` tells where a request would go and why, by the same function as live traffic."""

from __future__ import annotations

import json
import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli.commands import wayline
from proxy.cli.explain import lines
from tests.simulate.recorded_log import NOON, Log
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import plain

CONFIG = """
backends:
  cloud: {type: openai, base_url: "https://cloud.test/v1", api_key: k, price: {input: 2.5, output: 10}}
  cheap: {type: openai, base_url: "https://cheap.test/v1", api_key: k, price: {input: 0.1, output: 0.2}}
  near: {type: ollama}
routes:
  chat:
    targets:
      - {target: near/llama3.2, capabilities: {context: 8192, vision: false}}
      - {target: cloud/large, capabilities: {context: 200000, vision: true, output: 4096}}
      - {target: cheap/small, capabilities: {context: 128000, vision: false}}
      - {target: cloud/x-with-a-name-that-is-longer-than-anybody-would-want-it-to-be-in-a-table}
    strategy: cheapest
    groups: {nights: {targets: [near/llama3.2]}}
    rules: [{when: {hour: "22-6"}, use: nights}]
"""
TOLD = """\
route chat, strategy cheapest
  asked: 30,000 tokens in; up to 5,000 out; needs vision
    1  cloud/x-with-a-name-that-is-longer-than-any…  $0.125
    2  cloud/large                                   $0.125  last: answers up to 4,096 < 5,000
    –  near/llama3.2                                         context 8,192 < 30,000
    –  cheap/small                                           no vision
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(CONFIG)
    return path


def explain(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(wayline, ["explain", "-c", str(file), "--hour", "12", "-r", "chat", *arguments])


def test_each_target_is_told_with_its_place_or_its_reason(file: Path) -> None:
    done = explain(file, "--input", "30000", "--output", "5000", "--vision")
    assert (done.exit_code, done.stdout) == (0, TOLD), done.output
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_a_rule_that_holds_is_told(file: Path) -> None:
    done = explain(file, "--hour", "23")
    assert done.stdout.splitlines() == [
        "route chat, strategy order",
        "  asked: 1,000 tokens in",
        "  rule 1 holds: nights",
        "    1  near/llama3.2  free",
    ]


def test_what_is_down_is_passed_over(file: Path) -> None:
    lines = explain(file, "--down", "near", "--down", "cheap/small").stdout.splitlines()
    assert lines[2].startswith("    1  cloud/large ")
    assert lines[-2:] == [
        "    –  near/llama3.2                                          circuit open (refused)",
        "    –  cheap/small                                            circuit open (refused)",
    ]


def test_where_nothing_is_left_the_callers_answer_is_told_and_the_status_is_1(file: Path) -> None:
    done = explain(file, "--prefer", "only=near|cheap, capabilities=vision", "--key", "k")
    assert done.exit_code == 1
    assert "capabilities vision; only cheap near" in done.stdout
    assert "  answered at once: 400 no_target_fits\n    No target of route 'chat' can take this request:" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_for_programs(file: Path) -> None:
    told = json.loads(explain(file, "--input", "9000", "--tools", "--prefer", "max_cost=0.01", "--json").stdout)
    assert told["targets"] == [{"target": "cheap/small", "cost": "0.001", "behind": None}]
    assert told["left_out"][:2] == [
        {"target": "near/llama3.2", "reason": "context 8,192 < 9,000"},
        {"target": "cloud/large", "reason": "would cost $0.0275 > $0.01"},
    ]
    assert (told["strategy"], told["rule"], told["error"], told["request"]["needs"]) == (
        "cheapest",
        None,
        None,
        ["tools"],
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-r", "chap"], 'no route chap, expected chat; did you mean "chat"?'),
        (["--prefer", "cheap"], "unknown word 'cheap'"),
    ],
)
def test_what_makes_no_sense_is_said(file: Path, arguments: list[str], told: str) -> None:
    done = explain(file, *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr


def test_a_function_that_is_not_there_is_told_by_check_too(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(
        "backends: {b: {type: ollama}}\nroutes: {r: {targets: [b/m], strategy: custom, custom: 'no_such_module:f'}}\n"
    )
    told = "custom: no_such_module:f cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"
    checked = CliRunner().invoke(wayline, ["check", str(path)])
    assert checked.exit_code == 1 and told in checked.stderr
    explained = CliRunner().invoke(wayline, ["explain", "-c", str(path), "-r", "r"])
    assert explained.exit_code == 1 and told in explained.stderr


THERE: dict[str, Any] = {
    "route": "chat",
    "strategy": "least_latency",
    "rule": None,
    "use": None,
    "request": {"input": 10, "output": None, "needs": [], "wish": {"free": True}},
    "targets": [
        {
            "target": "cloud/large",
            "cost": "0.0001",
            "behind": None,
            "measured": {"first_content": 0.412, "speed": 71.5, "good": 0.98, "attempts": 120, "in_flight": 3},
        },
        {"target": "near/llama", "cost": "0", "behind": "no json_schema"},
    ],
    "left_out": [{"target": "cheap/small", "reason": "cooling for 12 s (rate_limited)"}],
    "anyway": False,
    "trouble": None,
    "error": None,
}


def test_a_running_server_is_asked_by_what_it_has_measured(file: Path) -> None:
    with in_thread(Upstream(plain(json.dumps(THERE).encode()))) as there:
        url = there.up.base_url.removesuffix("/v1")
        done = CliRunner().invoke(
            wayline,
            ["explain", "-r", "chat", "--server", url, "-c", str(file), "--down", "near", "--hour", "3"],
            env={"WAYLINE_ADMIN_KEY": "hush"},
        )
        [request] = there.up.requests
    assert done.stdout.splitlines() == [
        "route chat, strategy least_latency",
        "  asked: 10 tokens in; free yes",
        "    1  cloud/large  $0.0001  0.412 s; 71.5 tokens/s; 98 % good of 120; 3 in flight",
        "    2  near/llama      free  last: no json_schema",
        "    –  cheap/small           cooling for 12 s (rate_limited)",
    ]
    assert (request.path, request.headers["authorization"]) == ("/admin/explain", "Bearer hush")
    assert request.json == {
        "asked": {"route": "chat", "input": 1000, "needs": []},
        "key": "",
        "down": ["near"],
        "hour": 3,
        "config": CONFIG,
    }


def test_what_the_server_says_of_a_bad_draft_names_its_file(file: Path) -> None:
    told = {"error": {"message": "draft:2:5: routes: missing\ndraft:3:1: x: unknown"}}
    with in_thread(Upstream(plain(json.dumps(told).encode(), 400))) as there:
        url = there.up.base_url.removesuffix("/v1")
        done = explain(file, "--server", url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"{file}:2:5: routes: missing", f"{file}:3:1: x: unknown"]


@pytest.mark.parametrize(
    ("url", "told"), [("127.0.0.1:8080", "is no URL"), ("http://127.0.0.1:1", "http://127.0.0.1:1 does not answer")]
)
def test_a_server_that_is_not_there_is_said(file: Path, url: str, told: str) -> None:
    done = explain(file, "--server", url)
    assert done.exit_code == 1 and told in done.stderr


MONEY = """
ledger: {path: FOLDER/wayline.db}
state: {path: FOLDER/state.db}
keys: [{name: ci, key: 0123456789abcdef0123, routes: [small]}]
budgets: {tags: {search: [0.05/request]}}
backends:
  openai: {type: openai, base_url: "https://openai.test/v1", api_key: k, price: {input: 2.5, output: 10}}
  here: {type: ollama}
routes:
  chat: {targets: [openai/gpt-4o, {target: here/llama3.2, capabilities: {context: 128000}}]}
  small: {targets: [here/smollm2]}
"""
DOCS = (Path(__file__).parents[2] / "docs/keys-and-budgets.md").read_text(encoding="utf-8")


@pytest.fixture
def money(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of alice's five dollars a day $4.92 are spent."""
    path = tmp_path / "routes.yaml"
    path.write_text(MONEY.replace("FOLDER", str(tmp_path)))
    monkeypatch.setattr(time, "time", lambda: NOON)
    log = Log()
    log.served(-60.0, "openai/gpt-4o", key="alice", cost=Decimal("4.92"))
    log.write(tmp_path / "wayline.db")
    for words in ("alice --budget 5/day --on-exceeded cheaper", "bob --tag search", "carol --budget 5/day"):
        made = CliRunner().invoke(wayline, ["keys", "add", *words.split(), "-c", str(path)])
        assert made.exit_code == 0, made.output
    return path


def asked(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(wayline, ["explain", "-c", str(path), "--route", "chat", *arguments])


def test_a_budget_of_the_callers_key_is_told_as_the_documentation_shows_it(money: Path) -> None:
    (block,) = [text for text in re.findall(r"```console\n(.*?)```", DOCS, re.S) if "wayline explain" in text]
    command, _, told = str(block).partition("\n")
    done = CliRunner().invoke(wayline, [*command.removeprefix("$ wayline ").split(), "-c", str(money)])
    assert (done.exit_code, done.stdout) == (0, told), done.output


def test_who_may_not_pay_is_told_the_status_that_the_caller_gets(money: Path) -> None:
    done = asked(money, "--input", "20000", "--output", "4000", "--key", "bob")
    assert done.exit_code == 1
    assert "  answered at once: 429 budget_exceeded\n    The budget of tag 'search' is $0.05 a request" in done.stdout
    assert asked(money, "--input", "20000", "--output", "4000", "--key", "carol").exit_code == 0
    done = asked(money, "--key", "ci")
    assert (done.exit_code, "answered at once: 403 model_not_allowed" in done.stdout) == (1, True)
    done = asked(money, "--key", "alic")
    assert (done.exit_code, done.stderr) == (1, 'there is no key alic; did you mean "alice"?\n')


def test_that_it_waits_for_its_turn_is_told() -> None:
    limit = "Limit reached for key 'team-a': 60 requests a minute. There is room again in 12.4 s."
    told = " ".join(line.strip() for line in lines({**THERE, "waits": limit}))
    assert told.endswith(f"waits for its turn: {limit}")


def test_the_priority_that_a_rule_sets_is_told(file: Path) -> None:
    file.write_text(CONFIG.replace("rules: [", 'rules: [{when: {tokens: ">20000"}, set: {priority: low}}, '))
    assert "  rule 1 holds: priority low" in explain(file, "--input", "30000").stdout.splitlines()
    file.write_text(CONFIG.replace("use: nights}", "use: nights, set: {priority: low}}"))
    assert "  rule 1 holds: nights, priority low" in explain(file, "--hour", "23").stdout.splitlines()
