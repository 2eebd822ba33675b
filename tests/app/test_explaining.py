"""What a running server says of a request that it does not send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.app.desk import Desk, build
from proxy.app.explain_asked import Answer, explain
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.chat import ChatRequest
from proxy.core.choice.facts import text_of
from proxy.core.choice.measured import Measured
from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.engine.engine import Engine
from proxy.engine.lessons import conversation
from proxy.ledger.null import NullLedger
from proxy.net.flight import Net
from proxy.wire.body import chat_request

BACKENDS = """
backends:
  cloud: {type: openai, base_url: "https://cloud.test/v1", api_key: k, price: {input: 2.5, output: 10}}
  cheap: {type: openai, base_url: "https://cheap.test/v1", api_key: k, price: {input: 0.1, output: 0.2}}
  near: {type: ollama}
"""
CONFIG = f"""{BACKENDS}
direct: true
routes:
  chat:
    targets:
      - {{target: near/llama, capabilities: {{context: 8192, vision: false}}}}
      - {{target: cloud/large, capabilities: {{context: 200000, vision: true}}}}
      - cheap/small
    strategy: least_latency
    sticky: true
    rules:
      - {{when: {{header: {{x-team: "search-*"}}}}, use: cheap/small}}
      - {{when: {{hour: "22-6"}}, use: cloud/large}}
"""
BODY = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


def made(text: str = CONFIG) -> tuple[Desk, Engine]:
    config = load(text, {}, "routes.yaml", lambda _: "")
    assert isinstance(config, Config), str(config)
    return build(config, 0), Engine(cast(Net, None), NullLedger())


def ask(said: object, desk: Desk, engine: Engine) -> Answer:
    return asyncio.run(explain(said, desk, engine, {}))


def found(said: Mapping[str, Any], desk: Desk, engine: Engine) -> dict[str, Any]:
    answer = ask({"hour": 12, **said}, desk, engine)
    assert answer.status == 200, answer.body
    return answer.body


def names(told: Mapping[str, Any]) -> list[str]:
    return [one["target"] for one in told["targets"]]


def test_it_is_what_the_server_has_measured_that_decides() -> None:
    desk, engine = made()
    measured = {"near/llama": 3.0, "cloud/large": 0.4, "cheap/small": 0.9}
    engine.choices.measured.update({name: Measured(first=first, attempts=7) for name, first in measured.items()})
    engine.trouble["near/llama"] = Health(
        cool_until=time.monotonic() + 30, cooled_at=time.monotonic(), cause=FailureKind.RATE_LIMITED
    )
    told = found({"request": BODY}, desk, engine)
    assert names(told) == ["cloud/large", "cheap/small"]
    assert told["targets"][0]["measured"]["first_content"] == 0.4
    assert told["left_out"] == [{"target": "near/llama", "reason": "cooling for 30 s (rate_limited)"}]
    assert (told["strategy"], told["error"], told["request"]["input"]) == ("least_latency", None, 9)


def test_a_target_that_is_not_configured_is_among_those_left_out() -> None:
    text = CONFIG.replace("api_key: k, price: {input: 0.1", 'api_key: "${CHEAP_KEY}", price: {input: 0.1')
    text = text.replace('      - {when: {header: {x-team: "search-*"}}, use: cheap/small}\n', "")
    desk, engine = made(text)
    told = found({"request": BODY}, desk, engine)
    assert names(told) == ["near/llama", "cloud/large"]
    assert told["left_out"] == [{"target": "cheap/small", "reason": "not configured: CHEAP_KEY is not set"}]
    refused = found({"asked": {"route": "chat", "input": 10**6}}, desk, engine)
    assert refused["error"].endswith("context 200,000 < 1,000,000; cheap/small: not configured.")


def test_nothing_changes_by_asking() -> None:
    text = CONFIG.replace("least_latency", "weighted")
    desk, engine = made(text)
    assert len({tuple(names(found({"request": BODY}, desk, engine))) for _ in range(5)}) == 1
    assert (engine.choices.turns, engine.choices.measured, engine.health) == ({}, {}, {})


def test_it_says_what_live_traffic_then_does() -> None:
    desk, engine = made(CONFIG.replace("least_latency", "weighted"))
    road = desk.roads.find("chat")
    request = chat_request(b'{"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}', 9)
    assert road is not None and isinstance(request, ChatRequest)
    engine.choices.hour = lambda: 12
    for _ in range(7):
        told = names(found({"request": BODY}, desk, engine))
        sent = engine.choices.ready(road, request, "", engine.trouble, time.monotonic(), text_of(request)).choice
        assert told == [target.name for target in sent.plan.targets]


def test_a_conversation_stays_where_it_is() -> None:
    desk, engine = made()
    engine.choices.last["chat", conversation(BODY)] = "cheap/small"
    assert names(found({"request": BODY}, desk, engine))[0] == "cheap/small"


def test_only_what_is_known_of_a_request_is_enough() -> None:
    desk, engine = made()
    told = found(
        {
            "asked": {"route": "chat", "input": 30000, "needs": ["vision"]},
            "headers": {"X-Wayline-Prefer": "max_cost=1"},
        },
        desk,
        engine,
    )
    assert told["left_out"] == [{"target": "near/llama", "reason": "context 8,192 < 30,000"}]
    assert told["request"] == {"input": 30000, "output": None, "needs": ["vision"], "wish": {"max_cost": "1"}}
    assert names(found({"asked": {"route": "cloud/other"}}, desk, engine)) == ["cloud/other"]  # `direct: true`


@pytest.mark.parametrize(
    ("more", "first", "rule"),
    [
        ({"headers": {"x-team": "search-7"}}, "cheap/small", 1),
        ({"hour": 23}, "cloud/large", 2),
        ({"hour": 12}, "near/llama", None),
    ],
)
def test_rules_see_headers_and_the_hour(more: dict[str, Any], first: str, rule: int | None) -> None:
    desk, engine = made(CONFIG.replace("least_latency", "order"))
    told = found({"request": BODY, **more}, desk, engine)
    assert (names(told)[0], told["rule"], told["use"]) == (first, rule, first if rule else None)


def test_what_is_said_to_be_down_is_passed_over() -> None:
    desk, engine = made()
    told = found({"request": BODY, "down": ["cloud", "near/llama"]}, desk, engine)
    assert names(told) == ["cheap/small"]
    assert [one["reason"] for one in told["left_out"]] == ["circuit open (refused)"] * 2


def test_a_draft_is_asked_with_what_is_measured_now() -> None:
    desk, engine = made()
    engine.choices.measured["cheap/small"] = Measured(first=0.1, attempts=3)
    draft = f"{BACKENDS}routes: {{chat: {{targets: [cheap/small, cloud/large], strategy: cheapest}}}}"
    told = found({"request": BODY, "config": draft}, desk, engine)
    assert (names(told), told["strategy"]) == (["cheap/small", "cloud/large"], "cheapest")
    assert told["targets"][0]["measured"]["attempts"] == 3
    assert desk.config.routes["chat"].targets[0].name == "near/llama"


def test_a_bad_draft_is_told_with_all_its_problems_and_no_secret_of_the_server(tmp_path: Path) -> None:
    desk, engine = made()
    secret = tmp_path / "secret"
    secret.write_text("hunter2hunter2")
    draft = (
        f"backends: {{a: {{type: openai, api_key: '${{file:{secret}}}', concurrency: '${{file:{secret}}}'}}}}\n"
        "routes: {chat: {targets: [b/m], strategy: fastest}}\n"
    )
    answer = ask({"request": BODY, "config": draft}, desk, engine)
    assert answer.status == 400
    lines = {(one["line"], one["path"]) for one in answer.body["error"]["problems"]}
    assert {(1, "backends.a.concurrency"), (2, "routes.chat.strategy")} <= lines
    assert answer.body["error"]["code"] == "invalid_configuration"
    assert "draft:2:" in answer.body["error"]["message"] and "hunter2" not in str(answer.body)


def test_a_draft_runs_no_function_that_is_not_in_force() -> None:
    desk, engine = made()
    draft = f"{BACKENDS}routes: {{chat: {{targets: [near/m], strategy: custom, custom: 'os:system'}}}}"
    answer = ask({"request": BODY, "config": draft}, desk, engine)
    assert (answer.status, answer.body["error"]["param"]) == (400, "config")
    assert "only a function that is in force can be asked here, not os:system" in answer.body["error"]["message"]


@pytest.mark.parametrize(
    ("said", "param", "told"),
    [
        ([], None, "a JSON object is needed"),
        ({"body": BODY}, "body", "unknown member 'body'"),
        ({}, "request", "one of 'request' and 'asked' is needed"),
        ({"request": {"model": "chat"}}, "request", "'messages' is missing"),
        ({"request": {**BODY, "model": "chap"}}, None, 'no route chap, expected chat; did you mean "chat"?'),
        ({"request": {**BODY, "wayline": {"fast": 1}}}, "request", "unknown word 'fast'"),
        ({"request": BODY, "down": "cloud"}, "down", "must be a list of names"),
        ({"request": BODY, "down": ["cloudy"]}, "down", "no target or backend cloudy"),
        ({"request": BODY, "hour": 24}, "hour", "0 to 23"),
        ({"request": BODY, "headers": {"x-team": 1}}, "headers", "an object of texts"),
        ({"asked": {"route": "chat", "input": -1}}, "asked", "must be numbers of tokens"),
        ({"asked": {"route": "chat", "needs": ["wings"]}}, "asked", "'needs' must be some of"),
        ({"asked": {"route": "chat"}, "headers": {"x-wayline-prefer": "fast"}}, "headers", "unknown word 'fast'"),
    ],
)
def test_what_makes_no_sense_is_said(said: object, param: str | None, told: str) -> None:
    desk, engine = made()
    answer = ask(said, desk, engine)
    assert (answer.status, answer.body["error"]["param"]) == (400, param)
    assert told in answer.body["error"]["message"]


def test_vectors_are_asked_of_targets_of_one_model() -> None:
    desk, engine = made(CONFIG.replace("least_latency", "order"))
    assert names(found({"request": {"model": "chat", "input": "Hello"}}, desk, engine)) == ["near/llama"]


def test_a_model_that_would_have_to_be_loaded_is_passed_over_where_only_warm_ones_are_asked(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"")
    here = f"  here: {{type: llamacpp, models: {{m: {{path: {tmp_path}/m.gguf}}}}}}"
    desk, engine = made(f"{BACKENDS}{here}\nroutes: {{chat: {{targets: [here/m, cheap/small], warm: only}}}}")
    told = found({"request": BODY}, desk, engine)
    assert names(told) == ["cheap/small"]
    assert told["left_out"][0]["reason"].startswith("not loaded (")


@pytest.mark.parametrize("drafted", [False, True])
def test_tokenizers_count_for_what_is_explained_too(drafted: bool) -> None:
    """In force, and as a draft that names the same models."""
    text = CONFIG.replace("sticky: true", "unsupported: refuse").replace("near/llama,", "near/gpt-4,")
    text = text.partition("    rules:")[0].replace("direct:", "tokenizers: true\ndirect:")
    desk, engine = made(text)
    counter = desk.tokenizers.own("gpt-4")
    assert counter is not None
    counter.encode, counter.vocabulary = (lambda text: [0] * len(text.split())), "words"
    long = {"model": "chat", "messages": [{"role": "user", "content": "extraordinarily " * 4000}]}
    said = {"request": long, **({"config": text} if drafted else {})}
    told = found(said, desk, engine)
    assert "near/gpt-4" in names(told) and told["request"]["input"] == pytest.approx(4007, rel=0.02)
    assert "near/gpt-4" not in names(found({"asked": {"route": "chat", "input": 16_000}}, desk, engine))
