"""Azure OpenAI: its addresses, its credentials, what it answers oddly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, EmbedRequest, Kind
from proxy.core.dialect import Dialect
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.testing.conformance import prepared
from proxy.testing.exchange import load

KEY = "thekeythatmustnotgetout0123456789"
HOST = "https://mine.openai.azure.com"
RECORDED = {e.id: e for e in load(Path(__file__).parent / "fixtures" / "openai.jsonl") if e.provider == "azure"}


def at(url: str = HOST, model: str = "gpt-5-mini", **options: Any) -> Dialect:
    return bind(Backend("az", "azure", url, Secret(KEY), options=options), Target(f"az/{model}", "az", model))


def request(**body: Any) -> ChatRequest:
    whole = {"model": "chat", "messages": [], **body}
    return ChatRequest(orjson.dumps(whole), whole, "chat", bool(whole.get("stream")), False)


def line(dialect: Dialect) -> str:
    return prepared(dialect.chat(request())).call.head.decode().split("\r\n")[0].split()[1]


def sent(dialect: Dialect, **body: Any) -> Any:
    return orjson.loads(prepared(dialect.chat(request(**body))).call.body)


def test_with_a_dated_version_models_are_deployments() -> None:
    dialect = at(api_version="2024-12-01-preview")
    assert line(dialect) == "/openai/deployments/gpt-5-mini/chat/completions?api-version=2024-12-01-preview"
    body = {"model": "e", "input": "x"}
    embed = prepared(dialect.embed(EmbedRequest(orjson.dumps(body), body, "e", False)))
    assert embed.call.head.startswith(b"POST /openai/deployments/gpt-5-mini/embeddings?api-version=2024-12-01-preview ")


@pytest.mark.parametrize("url", [HOST, f"{HOST}/", f"{HOST}/openai", f"{HOST}/openai/v1"])
def test_without_one_they_are_named_in_the_body(url: str) -> None:
    dialect = at(url.rstrip("/"))
    assert line(dialect) == "/openai/v1/chat/completions"
    assert sent(dialect)["model"] == "gpt-5-mini"
    assert line(at(url.rstrip("/"), api_version="preview")) == "/openai/v1/chat/completions?api-version=preview"


def test_any_other_address_is_taken_as_given() -> None:
    url = "https://mine.services.ai.azure.com/models"
    assert line(at(url, api_version="2024-05-01-preview")) == "/models/chat/completions?api-version=2024-05-01-preview"
    assert line(at(f"{url}?api-version=1")) == "/models/chat/completions?api-version=1"
    deployment = f"{HOST}/openai/deployments/other"
    assert line(at(deployment, api_version="2024-10-21")) == (
        "/openai/deployments/other/chat/completions?api-version=2024-10-21"
    )


@pytest.mark.parametrize("id_", sorted(RECORDED))
def test_each_recorded_address_is_come_by_in_the_way_that_is_documented(id_: str) -> None:
    exchange = RECORDED[id_]
    host, _, rest = exchange.url.removeprefix("https://").partition("/")
    path, _, query = rest.partition("?")
    options = {"api_version": query.removeprefix("api-version=")} if query else {}
    model = path.split("/")[2] if "deployments" in path else exchange.model
    base = f"https://{host}" + ("/models" if path.startswith("models/") else "")
    if "deployments" in path and not query:
        base += f"/openai/deployments/{model}"  # this one names no version
    dialect = at(base, model, **options)
    body = dict(exchange.sent)
    if exchange.endpoint == "embeddings":
        asked = dialect.embed(EmbedRequest(b"", body, "e", True))
    else:
        asked = dialect.chat(ChatRequest(b"", body, "c", exchange.streaming, True))
    assert prepared(asked).call.head.split(b"\r\n")[0].decode() == f"POST /{rest} HTTP/1.1"


def test_a_name_with_a_slash_stays_one_name() -> None:
    assert line(at(model="a/b c", api_version="2024-10-21")).startswith("/openai/deployments/a%2Fb%20c/chat")


def test_the_key_has_a_header_of_its_own_and_none_goes_beside_a_token() -> None:
    head = prepared(at().chat(request())).call.head.decode()
    assert f"\r\napi-key: {KEY}\r\n" in head
    assert "authorization" not in head.lower()
    for option in ("token_command", "token_file"):
        backend = Backend("az", "azure", HOST, Secret(KEY), options={option: ["az"]})
        head = prepared(bind(backend, Target("az/m", "az", "m")).chat(request())).call.head.decode()
        assert KEY not in head


def test_versions_that_do_not_know_stream_options_are_not_sent_them() -> None:
    assert "stream_options" not in sent(at(api_version="2024-06-01"), stream=True)
    assert sent(at(api_version="2024-10-21"), stream=True)["stream_options"] == {"include_usage": True}
    assert sent(at(), stream=True)["stream_options"] == {"include_usage": True}


def test_deployments_named_after_a_model_get_what_that_model_takes() -> None:
    assert sent(at(model="gpt-5-mini-prod"), max_tokens=3) == {
        "model": "gpt-5-mini-prod",
        "messages": [],
        "max_completion_tokens": 3,
    }


def test_responses_are_handed_on_where_azure_has_them() -> None:
    assert at().speaks == {"responses"}
    assert at(api_version="2024-12-01-preview").speaks == frozenset()


def test_its_first_chunk_which_breaks_clients_is_kept_from_them_and_its_filters_are_not() -> None:
    decoder = at().decoder(wants_usage=True)
    events = decoder.feed(RECORDED["azure-043"].body)
    assert events[0].kind is Kind.EMPTY
    assert events[0].raw == b""
    assert any(b"content_filter_results" in event.raw for event in events)


@pytest.mark.parametrize(
    ("status", "error", "kind", "wait"),
    [
        (404, {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}, "NOT_FOUND", None),
        (404, {"code": "404", "message": "Resource not found"}, "NOT_FOUND", None),
        (401, {"code": "401", "message": "Access denied due to invalid subscription key"}, "KEY_REFUSED", None),
        (429, {"code": "429", "message": "Please retry after 7 seconds."}, "RATE_LIMITED", 7.0),
        (429, {"code": "429", "message": "exceeded token rate limit of your current tier"}, "RATE_LIMITED", 3.0),
        (400, {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}, "FILTERED", None),
        (400, {"code": "OperationNotSupported", "message": "The chatCompletion operation"}, "NOT_FOUND", None),
    ],
)
def test_its_errors(status: int, error: dict[str, Any], kind: str, wait: float | None) -> None:
    headers = [(b"retry-after-ms", b"0"), (b"x-ratelimit-remaining-tokens", b"-1"), (b"x-ratelimit-reset-tokens", b"9")]
    if wait == 3.0:
        headers.append((b"retry-after", b"3"))
    got = at().failure(status, headers, orjson.dumps({"error": error}))
    assert (got.kind, got.retry_after) == (FailureKind[kind], wait)


def test_an_address_is_needed() -> None:
    with pytest.raises(ValueError, match="base URL"):
        bind(Backend("az", "azure"), Target("az/m", "az", "m"))
    assert origin(Backend("az", "azure", HOST)).host == "mine.openai.azure.com"


def test_the_host_is_not_told_to_callers() -> None:
    got = at().failure(400, [], orjson.dumps({"error": {"message": f"{HOST} and {KEY} said no"}}))
    assert isinstance(got, Failure)
    assert "mine" not in got.message
    assert KEY not in got.message
