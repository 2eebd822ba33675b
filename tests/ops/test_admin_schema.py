"""The admin API's types: their JSON schemas say the same as the reader that takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ops.admin_schema import Schemas, Wrong, from_text, read


class Inner(TypedDict):
    """Within."""

    count: int
    words: list[str]


class Outer(TypedDict):
    """All that there is."""

    name: Annotated[str, "Whose it is."]
    share: float
    kind: Literal["one", "two"]
    inner: NotRequired[Inner]
    by_name: NotRequired[dict[str, bool]]
    perhaps: NotRequired[int | None]
    anything: NotRequired[Any]


GOOD: dict[str, Any] = {"name": "x", "share": 1.5, "kind": "one"}
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["one", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["count", "words", "a"]), inner),
    max_leaves=4,
)


def validator() -> Any:
    schemas = Schemas()
    reference = schemas.of(Outer)
    return jsonschema.Draft202012Validator({**reference, "components": {"schemas": schemas.named}})


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*Outer.__annotations__, "unknown"], json_like)))
def test_what_the_schema_takes_the_reader_takes_and_nothing_else(value: dict[str, Any]) -> None:
    value = {**GOOD, **value}
    try:
        read(Outer, value)
        taken = True
    except Wrong:
        taken = False
    assert taken == (validator().is_valid(value) and not _whole_float(value))


def _whole_float(value: Any) -> bool:
    """1.0 is an integer to JSON Schema; to us it is none."""
    places = [
        value.get("perhaps"),
        (value.get("inner") or {}).get("count") if isinstance(value.get("inner"), dict) else 0,
    ]
    return any(isinstance(one, float) and one.is_integer() for one in places)


def test_descriptions_stand_in_the_schema() -> None:
    schemas = Schemas()
    schemas.of(Outer)
    assert schemas.named["Outer"]["properties"]["name"] == {"type": "string", "description": "Whose it is."}
    assert schemas.named["Outer"]["description"] == "All that there is."
    assert schemas.named["Outer"]["required"] == ["name", "share", "kind"]


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"name": 5}, "name"),
        ({"inner": {"count": 1, "words": ["a", 2]}}, "inner.words[1]"),
        ({"inner": {"count": True, "words": []}}, "inner.count"),
        ({"by_name": {"a": 1}}, "by_name.a"),
        ({"kind": "three"}, "kind"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], at: str) -> None:
    with pytest.raises(Wrong) as told:
        read(Outer, {**GOOD, **wrong})
    assert told.value.at == at


def test_values_of_a_query_are_read_by_their_types() -> None:
    assert from_text(int, "5", "n") == 5
    assert from_text(float | None, "0.5", "n") == 0.5
    assert from_text(bool, "true", "n") is True
    for hint, text in ((int, "5.5"), (bool, "yes"), (Literal["a"], "b"), (float, "x")):
        with pytest.raises(Wrong):
            from_text(hint, text, "n")
