"""Providers as data: what each row says is what is done, and a row is short."""

from __future__ import annotations

import inspect
import re
from decimal import Decimal
from typing import Any

import orjson
import pytest

from proxy.backends import providers, servers
from proxy.backends.openai_spec import HINTS, OpenAICompatible
from proxy.backends.providers import CLOUD, OPENAI
from proxy.backends.registry import SPECS, bind, origin
from proxy.backends.servers import OWN
from proxy.config import providers as rows
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import How
from proxy.core.resume import resume
from proxy.core.route import Target
from proxy.core.seam import Sent
from proxy.core.secret import Secret
from proxy.testing.conformance import prepared

ALL = {**CLOUD, **OWN}
KEY = "thekeythatmustnotgetout0123456789"
URL = "https://x.example/v1"
MOST_LINES = 25

each = pytest.mark.parametrize("name", sorted(ALL))


def at(name: str, model: str = "some-model", **target: Any) -> Dialect:
    url = BACKEND_TYPES[name].base_url or URL
    return bind(Backend("b", name, url, Secret(KEY)), Target(f"b/{model}", "b", model, **target))


def ask(dialect: Dialect, **body: Any) -> tuple[dict[str, Any], Prepared]:
    asked = {"model": "chat", "messages": [{"role": "user", "content": "x"}], **body}
    found = prepared(dialect.chat(ChatRequest(b"", asked, "chat", bool(body.get("stream")), False)))
    sent = orjson.loads(found.call.body)
    return {key: value for key, value in sent.items() if key not in ("model", "messages")}, found


def test_the_table_has_those_that_people_pay_for_and_run() -> None:
    assert set(CLOUD) == {row.name for row in rows.CLOUD}
    assert set(OWN) == {row.name for row in rows.OWN}
    assert len(CLOUD) >= 22
    assert len(OWN) >= 7


@each
def test_each_has_a_source_and_a_date_an_address_and_a_key_or_none(name: str) -> None:
    spec, row = ALL[name], BACKEND_TYPES[name]
    assert re.fullmatch(r"https://\S+", spec.source)
    assert re.fullmatch(r"2\d{3}-\d\d-\d\d", spec.dated)
    if name in OWN:
        assert row.free
        assert not row.key_variable
        assert (row.base_url or "").startswith("http://127.0.0.1:")
        assert spec.health.startswith("/")
        assert spec.loading
    else:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", row.key_variable)
        assert row.base_url is None or row.base_url.startswith("https://")


@each
def test_a_call_goes_below_its_address_with_its_key(name: str) -> None:
    found = prepared(at(name).chat(ChatRequest(b"", {"messages": []}, "chat", False, False)))
    line, *fields = found.call.head.decode().split("\r\n")
    assert line.endswith("/chat/completions HTTP/1.1")
    assert f"Authorization: Bearer {KEY}" in fields
    assert origin(Backend("b", name, URL)).host == "x.example"


@each
def test_what_it_refuses_is_left_out_and_named(name: str) -> None:
    spec = ALL[name]
    for param in spec.refuses - {"stream_options"}:
        sent, found = ask(at(name), **{param: "something"})
        assert param not in sent
        assert found.dropped == (param,)
        assert found.unsupported == (() if param in HINTS else (param,))


@each
def test_what_it_calls_otherwise_is_renamed(name: str) -> None:
    for param, other in ALL[name].renames.items():
        if param not in ALL[name].refuses:
            assert ask(at(name), **{param: "v"})[0] == {other: "v"}


@each
def test_what_it_takes_in_part_is_taken_in_part(name: str) -> None:
    for param, values in ALL[name].only.items():
        assert ask(at(name), **{param: values[0]})[0] == {param: values[0]}
        assert ask(at(name), **{param: "other"})[1].unsupported == (param,)
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    sent, found = ask(at(name), response_format=schema)
    takes = not ALL[name].formats or "json_schema" in ALL[name].formats
    assert (sent, found.unsupported) == (({"response_format": schema}, ()) if takes else ({}, ("response_format",)))


@each
def test_usage_is_asked_for_where_it_has_to_be(name: str) -> None:
    sent, found = ask(at(name), stream=True, stream_options={"include_usage": True})
    assert ("stream_options" in sent) is ALL[name].asks_usage
    assert not found.dropped  # a client that asks for usage gets it all the same


@pytest.mark.parametrize("name", sorted(name for name in ALL if ALL[name].prefill))
def test_a_partial_answer_is_gone_on_with_in_its_own_way(name: str) -> None:
    style = at(name).prefill
    assert style is not None
    body = {"model": "r", "messages": [{"role": "user", "content": "x"}]}
    request = ChatRequest(b"", body, "r", True, False)
    again, _ = resume(request, How.PREFILL, Sent("id", 0, "Half an ans"), style)
    found = prepared(at(name).chat(again))
    sent = orjson.loads(found.call.body)
    assert sent["messages"][-1] == {"role": "assistant", "content": "Half an ans", **style.message}
    assert {key: sent[key] for key in style.body} == style.body
    path = ALL[name].prefill_path
    assert path in found.call.head.decode()
    if path:
        assert path not in prepared(at(name).chat(request)).call.head.decode()


def test_no_going_on_where_a_model_does_not() -> None:
    assert at("groq", "llama-3.3-70b").prefill is not None
    assert at("groq", "openai/gpt-oss-120b").prefill is None
    assert at("groq", "openai/gpt-oss-120b", prefill=True).prefill is not None


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("grok-4-0709", {"stop", "presence_penalty", "reasoning_effort"}),
        ("grok-4-1-fast-reasoning", {"stop", "presence_penalty", "reasoning_effort"}),
        ("grok-3-mini", {"stop", "presence_penalty"}),
        ("grok-4-1-fast-non-reasoning", set()),
        ("grok-3", set()),
    ],
)
def test_what_differs_by_model_differs(model: str, refused: set[str]) -> None:
    _, found = ask(at("xai", model), stop=["x"], presence_penalty=0.5, reasoning_effort="low")
    assert set(found.unsupported) == refused


def test_kimi_samples_as_it_wants() -> None:
    _, found = ask(at("moonshot", "kimi-k2.6"), temperature=0.3, tool_choice="required", n=2)
    assert set(found.unsupported) == {"temperature", "tool_choice", "n"}
    sent, _ = ask(at("moonshot", "moonshot-v1-8k"), temperature=0.3)
    assert sent == {"temperature": 0.3}


def test_github_models_are_openais_with_a_name_before() -> None:
    assert ask(at("github-models", "openai/gpt-5-mini"), max_tokens=3)[0] == {"max_completion_tokens": 3}
    assert ask(at("github-models", "meta/llama-3.3-70b"), max_tokens=3)[0] == {"max_tokens": 3}


@pytest.mark.parametrize(
    ("name", "status", "body", "kind"),
    [
        (
            "llama-server",
            503,
            b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
            FailureKind.LOADING,
        ),
        ("llamafile", 503, b'{"error":{"code":503,"message":"Loading model"}}', FailureKind.LOADING),
        (
            "llama-server",
            400,
            b'{"error":{"code":400,"type":"exceed_context_size_error","message":"the request exceeds"}}',
            FailureKind.CONTEXT_LENGTH,
        ),
        (
            "vllm",
            400,
            b'{"object":"error","message":"This model\'s maximum context length is 2048 tokens.","code":400}',
            FailureKind.CONTEXT_LENGTH,
        ),
        ("vllm", 404, b'{"error":{"message":"The model `x` does not exist.","code":404}}', FailureKind.NOT_FOUND),
        (
            "vllm",
            400,
            b'{"error":{"message":"\\"auto\\" tool choice requires --enable-auto-tool-choice"}}',
            FailureKind.UNSUPPORTED,
        ),
        ("tgi", 429, b'{"error":"Model is overloaded","error_type":"overloaded"}', FailureKind.OVERLOADED),
        (
            "tgi",
            422,
            b'{"error":"`inputs` tokens + `max_new_tokens` must be <= 4096","error_type":"validation"}',
            FailureKind.CONTEXT_LENGTH,
        ),
        ("sglang", 503, b'{"message":"The request queue is full.","type":"abort"}', FailureKind.OVERLOADED),
        ("localai", 404, b'{"error":{"code":404,"message":"model not found","type":""}}', FailureKind.NOT_FOUND),
        ("cloudflare", 401, b'{"success":false,"errors":[{"code":10000}]}', FailureKind.KEY_REFUSED),
        ("databricks", 403, b'{"error_code":"PERMISSION_DENIED","message":"no"}', FailureKind.KEY_REFUSED),
        ("nvidia", 402, b'{"detail":"Cloud credits expired"}', FailureKind.QUOTA),
        ("moonshot", 429, b'{"error":{"type":"exceeded_current_quota_error","message":"x"}}', FailureKind.QUOTA),
        ("moonshot", 429, b'{"error":{"type":"engine_overloaded_error","message":"x"}}', FailureKind.OVERLOADED),
        ("dashscope", 400, b'{"error":{"code":"data_inspection_failed","message":"x"}}', FailureKind.FILTERED),
        (
            "cerebras",
            429,
            b'{"message":"Requests per day limit exceeded","code":"request_quota_exceeded"}',
            FailureKind.RATE_LIMITED,
        ),
        ("cohere", 429, b'{"message":"You are using a Trial key, limited"}', FailureKind.RATE_LIMITED),
    ],
)
def test_their_errors_as_their_pages_and_trackers_show_them(
    name: str, status: int, body: bytes, kind: FailureKind
) -> None:
    got = at(name).failure(status, [], body)
    assert isinstance(got, Failure)
    assert got.kind is kind


@pytest.mark.parametrize(
    ("name", "charge", "dollars"),
    [
        ("xai", {"cost_in_usd_ticks": 8702400}, "0.00087024"),
        ("perplexity", {"cost": {"total_cost": 0.00501}}, "0.00501"),
        ("deepinfra", {"estimated_cost": 2.5e-05}, "0.000025"),
    ],
)
def test_a_charge_is_found_where_the_row_says(name: str, charge: dict[str, Any], dollars: str) -> None:
    decoder = at(name).decoder(wants_usage=False)
    usage = {"prompt_tokens": 1, "completion_tokens": 1, **charge}
    decoder.feed(b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\n")
    assert decoder.usage is not None
    assert decoder.usage.cost == Decimal(dollars)


def lines_of(source: str, name: str) -> int:
    """How many lines a row of this name takes in a file."""
    lines = source.splitlines()
    for number, line in enumerate(lines):
        if re.match(rf'    "{name}": OpenAICompatible\(|    (?:BackendType|_own)\(\s*"{name}"', line) or (
            line.strip() == f'"{name}",' and lines[number - 1].endswith("BackendType(")
        ):
            end = next(n for n in range(number, len(lines)) if lines[n].startswith("    )") or lines[n].endswith("),"))
            return end - number + 2
    raise AssertionError(f"{name} has no row")


@each
def test_adding_a_provider_is_at_most_25_lines(name: str) -> None:
    table = inspect.getsource(providers if name in CLOUD else servers)
    assert lines_of(table, name) + lines_of(inspect.getsource(rows), name) <= MOST_LINES


def test_only_the_exceptions_that_are_data_make_a_difference() -> None:
    """No other code asks which provider it is: types without a row of their own behave as OpenAI's dialect does."""
    assert SPECS["openai"] is OPENAI
    plain = OpenAICompatible()
    for name, spec in ALL.items():
        assert (spec.key_header, spec.key_prefix) == (plain.key_header, plain.key_prefix), name


@each
def test_developer_messages_are_the_systems_where_that_role_is_not_known(name: str) -> None:
    given = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "x"}]
    body = {"model": "chat", "messages": given}
    found = prepared(at(name).chat(ChatRequest(b"", body, "chat", False, False)))
    first = orjson.loads(found.call.body)["messages"][0]
    assert first == {"role": "developer" if ALL[name].developer else "system", "content": "Be brief."}
    assert given[0]["role"] == "developer"
    assert not found.dropped


def test_openai_gets_developer_messages_as_they_are() -> None:
    assert OPENAI.developer


def test_groq_refuses_names_of_speakers_and_gets_none() -> None:
    given = [{"role": "user", "name": "ann", "content": "x"}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    body = {"model": "chat", "messages": given, "tools": tools}
    sent = orjson.loads(prepared(at("groq").chat(ChatRequest(b"", body, "chat", False, False))).call.body)
    assert sent["messages"] == [{"role": "user", "content": "x"}]
    assert sent["tools"] == tools


def test_deepseek_goes_on_at_the_hosts_beta_whatever_the_path_of_its_address() -> None:
    for url in ("https://api.deepseek.com", "https://api.deepseek.com/v1", "https://api.deepseek.com/beta"):
        dialect = bind(Backend("b", "deepseek", url), Target("b/m", "b", "m"))
        last = {"role": "assistant", "content": "Half", "prefix": True}
        asked = dialect.chat(ChatRequest(b"", {"messages": [last]}, "chat", False, False))
        assert prepared(asked).call.head.startswith(b"POST /beta/chat/completions ")
