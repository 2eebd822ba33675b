"""Whatever OpenAI's schema allows becomes what AWS's own description of Converse allows, or is refused in clear words.

The description is the one that botocore carries; patterns, lengths and enumerations count, which botocore itself does
not look at.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import orjson
import pytest
from botocore.session import Session
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from tests.backends.conversations import AUDIO, FILE, REMOTE, requests
from tests.examples import many

MODELS = (
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-opus-4-7-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "mistral.mistral-large-2407-v1:0",
    "openai.gpt-oss-120b-1:0",
)


def converted(shape: Any, known: dict[str, Any]) -> dict[str, Any]:
    """One of botocore's shapes as JSON schema; those it refers to go into `known`."""
    if shape.name in known:
        return {"$ref": f"#/$defs/{shape.name}"}
    known[shape.name] = {}
    limits = shape.metadata
    kind = shape.type_name
    said: dict[str, Any] = {}
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        body = {name: one for name, one in shape.members.items() if "location" not in one.serialization}
        said = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: converted(one, known) for name, one in body.items()},
            "required": [name for name in shape.required_members if name in body],
        }
        if getattr(shape, "is_tagged_union", False):
            said |= {"minProperties": 1, "maxProperties": 1}
    elif kind == "list":
        said = {"type": "array", "items": converted(shape.member, known), "minItems": limits.get("min", 0)}
    elif kind == "map":
        said = {"type": "object", "additionalProperties": converted(shape.value, known)}
    elif kind in ("string", "blob"):
        said = {"type": "string", "minLength": limits.get("min", 0)}
        said |= {"maxLength": limits["max"]} if "max" in limits else {}
        said |= {"pattern": f"^(?:{limits['pattern']})$"} if "pattern" in limits else {}
        said |= {"enum": limits["enum"]} if "enum" in limits else {}
    elif kind in ("integer", "long", "float", "double"):
        said = {"type": "integer" if kind in ("integer", "long") else "number"}
        said |= {name: limits[key] for name, key in (("minimum", "min"), ("maximum", "max")) if key in limits}
    elif kind == "boolean":
        said = {"type": "boolean"}
    known[shape.name] = said
    return {"$ref": f"#/$defs/{shape.name}"}


@cache
def validator(operation: str) -> Draft202012Validator:
    model = Session().get_service_model("bedrock-runtime")
    known: dict[str, Any] = {}
    top = converted(model.operation_model(operation).input_shape, known)
    return Draft202012Validator({**top, "$defs": known})


def check(prepared: Prepared, body: dict[str, Any]) -> Any:
    value = orjson.loads(prepared.call.body)
    validator("ConverseStream" if body.get("stream") else "Converse").validate(value)
    assert set(prepared.unsupported) <= set(prepared.dropped) <= set(body)
    turns = [turn["role"] for turn in value["messages"]]
    assert turns
    assert all(one != other for one, other in pairwise(turns))
    assert all(turn["content"] for turn in value["messages"])
    return value


def calls_and_results_match(value: Any) -> None:
    """Each call has its result in the next turn, and each result its call; no id is used twice."""
    seen: set[str] = set()
    calls: list[str] = []
    for turn in value["messages"]:
        results = [block["toolResult"]["toolUseId"] for block in turn["content"] if "toolResult" in block]
        assert sorted(results) == sorted(calls)
        calls = [block["toolUse"]["toolUseId"] for block in turn["content"] if "toolUse" in block]
        assert not seen & set(calls)
        assert len(set(calls)) == len(calls)
        seen |= set(calls)
    assert not calls


@pytest.mark.parametrize("model", MODELS)
@given(body=requests())
@settings(max_examples=many(60), deadline=None)
def test_any_request_becomes_one_that_converse_describes(model: str, body: dict[str, Any]) -> None:
    dialect = bind(Backend("aws", "bedrock", options={"region": "us-east-1"}), Target("aws/m", "aws", model))
    prepared = dialect.chat(ChatRequest(b"", body, "r", bool(body.get("stream")), False))
    assert isinstance(prepared, Prepared)
    value = check(prepared, body)
    calls_and_results_match(value)
    if any("toolUse" in block for turn in value["messages"] for block in turn["content"]):
        assert "toolConfig" in value


@given(body=requests(AUDIO, FILE, REMOTE))
@settings(max_examples=50, deadline=None)
def test_what_cannot_be_given_is_refused_and_everything_else_is_sent(body: dict[str, Any]) -> None:
    dialect = bind(Backend("aws", "bedrock", options={"region": "us-east-1"}), Target("aws/m", "aws", MODELS[2]))
    prepared = dialect.chat(ChatRequest(b"", body, "r", bool(body.get("stream")), False))
    given = orjson.dumps(body["messages"])
    if isinstance(prepared, Failure):
        assert prepared.kind is FailureKind.UNSUPPORTED
        assert b'"file_id"' in given or b'"https://example.com/' in given
    else:
        check(prepared, body)
