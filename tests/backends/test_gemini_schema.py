"""Whatever OpenAI's schema allows becomes what Gemini's own description allows, or is refused in clear words."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.backends.gemini_schema import parameters_of, schema_of
from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from tests.backends.conversations import AUDIO, FILE, REMOTE, TEXT, requests

SCHEMA = orjson.loads((Path(__file__).parent / "fixtures" / "gemini-schema.json").read_bytes())
MODELS = ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-flash-latest", "tuned")


def dialect(model: str) -> Dialect:
    return bind(Backend("g", "gemini", options={"safety": "BLOCK_ONLY_HIGH"}), Target("g/m", "g", model))


DIALECTS = [dialect(model) for model in MODELS]


def check(name: str, value: Any) -> None:
    Draft202012Validator({**SCHEMA, "$ref": f"#/components/schemas/{name}"}).validate(value)


@given(body=requests(AUDIO), bound=st.sampled_from(DIALECTS))
@settings(max_examples=100, deadline=None)
def test_any_request_becomes_one_that_google_describes(body: dict[str, Any], bound: Dialect) -> None:
    prepared = bound.chat(ChatRequest(b"", body, "r", bool(body.get("stream")), False))
    assert isinstance(prepared, Prepared)
    value = orjson.loads(prepared.call.body)
    check("GenerateContentRequest", value)
    roles = [content["role"] for content in value["contents"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    assert set(prepared.unsupported) <= set(prepared.dropped) <= set(body)


@given(body=requests(FILE, REMOTE), bound=st.sampled_from(DIALECTS))
@settings(max_examples=25, deadline=None)
def test_what_cannot_be_given_is_refused_and_everything_else_is_sent(body: dict[str, Any], bound: Dialect) -> None:
    prepared = bound.chat(ChatRequest(b"", body, "r", False, False))
    given = orjson.dumps(body["messages"])
    if isinstance(prepared, Failure):
        assert prepared.kind is FailureKind.UNSUPPORTED
        assert b'"file_id"' in given or b'"https://example.com/' in given
    else:
        check("GenerateContentRequest", orjson.loads(prepared.call.body))


@given(texts=TEXT | st.lists(TEXT, min_size=1, max_size=4), dimensions=st.none() | st.integers(1, 512))
@settings(max_examples=25, deadline=None)
def test_any_texts_to_embed_become_what_google_describes(texts: object, dimensions: int | None) -> None:
    asked = EmbedRequest(b"", {"input": texts, "dimensions": dimensions, "encoding_format": "float"}, "r", False)
    prepared = DIALECTS[0].embed(asked)
    assert isinstance(prepared, Prepared)
    check("BatchEmbedContentsRequest", orjson.loads(prepared.call.body))


LEAVES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *({}, True, {"type": "null"}, {"type": ["string", "null"]}, {"type": ["integer", "string"]}, {"const": 1}),
        *({"enum": ["a", "", "b", None]}, {"enum": [1, 2.5, True]}, {"type": "integer", "enum": [1, 2]}),
        {"type": "string", "format": "email", "minLength": 1, "pattern": "^a", "default": "a", "examples": ["a"]},
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "multipleOf": 2},
        {"type": "number", "minimum": 0.5, "exclusiveMinimum": 0, "format": "double"},
        *({"$ref": "#/$defs/self"}, {"$ref": "#/$defs/nosuch"}, {"$ref": "#", "description": "d"}, {"type": "array"}),
        *({"type": "array", "items": [{"type": "string"}, {"type": "number"}]}, {"type": "object"}, {"$id": "x"}),
    ]
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one: {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}, inner),
        st.builds(lambda many: {"anyOf": many, "description": "one of them"}, st.lists(inner, max_size=3)),
        st.builds(lambda many: {"oneOf": many, "type": "object", "nullable": True}, st.lists(inner, max_size=3)),
        st.builds(lambda many: {"allOf": many, "title": "all"}, st.lists(inner, max_size=3)),
        st.builds(lambda many: {"type": "array", "prefixItems": many}, st.lists(inner, max_size=3)),
        st.builds(
            lambda named, more: {
                **{"type": "object", "properties": named, "required": [*named, "nosuch"], "additionalProperties": more},
                **{"$defs": {"self": {"type": "object", "properties": {"next": {"$ref": "#/$defs/self"}}}}},
                **{"patternProperties": {"^x": {}}, "if": {}, "then": False, "not": {"type": "null"}},
            },
            st.dictionaries(st.sampled_from(["a", "b", "type", "$ref", "properties"]), inner, max_size=3),
            inner,
        ),
    ),
    max_leaves=8,
)


@given(schema=NESTED)
@settings(max_examples=100, deadline=None)
def test_any_json_schema_becomes_one_of_googles(schema: Any) -> None:
    check("Schema", schema_of(schema if isinstance(schema, dict) else {}))
    parameters = parameters_of(schema if isinstance(schema, dict) else {})
    if parameters is not None:
        check("Schema", parameters)
        assert parameters["type"] == "OBJECT"
        assert set(parameters.get("required", ())) <= set(parameters["properties"])


def only(schema: Any) -> Any:
    """What one property of a function becomes."""
    made = parameters_of({"type": "object", "properties": {"a": schema}, "$defs": {"n": {"type": "integer"}}})
    assert made is not None
    return made["properties"]["a"]


@pytest.mark.parametrize(
    ("schema", "becomes"),
    [
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ({"const": "x"}, {"type": "STRING", "enum": ["x"]}),
        ({"enum": ["a", "", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER", "description": "One of: 1, 2."}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "INTEGER", "minimum": 1}),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": 0}, {"type": "INTEGER", "minimum": 5}),
        ({"type": "number", "exclusiveMaximum": 1.5}, {"type": "NUMBER", "maximum": 1.5}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        (
            {"type": "string", "format": "uri", "description": "Where"},
            {"type": "STRING", "description": "Where (format: uri)"},
        ),
        ({"type": "string", "maxLength": 5, "$comment": "no"}, {"type": "STRING", "maxLength": "5"}),
        ({"type": "array", "items": {"type": "string"}}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"$ref": "#/$defs/n", "description": "d"}, {"type": "INTEGER", "description": "d"}),
        ({"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}, {"type": "INTEGER", "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "d"},
            {"anyOf": [{"type": "STRING", "description": "d"}, {"type": "INTEGER", "description": "d"}]},
        ),
        (
            {"allOf": [{"properties": {"x": {"type": "string"}}}, {"required": ["x"]}]},
            {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}, "required": ["x"]},
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}),
    ],
)
def test_each_word_of_json_schema_is_said_as_nearly_as_can_be(schema: Any, becomes: Any) -> None:
    assert only(schema) == becomes


def test_a_recursive_definition_is_written_out_twice_and_then_left_open() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    made = schema_of({"$ref": "#/$defs/node", "$defs": {"node": node}})
    assert made["properties"]["next"] == {"type": "OBJECT", "properties": {"next": {"type": "OBJECT"}}}


@pytest.mark.parametrize("depth", [50, 5000])
def test_no_depth_is_too_much(depth: int) -> None:
    """Neither of definitions that lead to one another, nor of definitions that are all of themselves."""
    defs = {f"d{n}": {"properties": {"a": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(depth)}
    check("Schema", schema_of({"$ref": "#/$defs/d0", "$defs": defs}))
    check("Schema", schema_of({"type": "array", "items": {"allOf": [{"$ref": "#"}]}}))


def test_references_cannot_make_a_schema_endless() -> None:
    """2 to the 40th nodes, were they all written out."""
    defs = {f"d{n}": {"properties": {x: {"$ref": f"#/$defs/d{n + 1}"} for x in "ab"}} for n in range(40)}
    made = schema_of({"$ref": "#/$defs/d0", "$defs": {**defs, "d40": {"type": "string"}}})
    assert len(orjson.dumps(made)) < 1_000_000


def test_a_function_without_parameters_has_none() -> None:
    assert parameters_of({"type": "object", "properties": {}}) is None
