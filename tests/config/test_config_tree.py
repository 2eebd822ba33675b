"""YAML is read strictly, by YAML 1.2, and within bounds."""

from __future__ import annotations

import pytest

from proxy.config.tree import MAX_DEPTH, MAX_NODES, Kind, Mapping, Scalar, Sequence, kind_of, parse


def problem(text: str) -> str:
    root, problems = parse(text)
    del root
    assert problems, "it was taken without a complaint"
    return f"{problems[0].mark.line}:{problems[0].mark.column}: {problems[0].message}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2\n", '2:1: duplicate key "a": it stands in line 1 already'),
        ("a: 1\n---\nb: 2\n", "2:1: a second document"),
        ("? [a]\n: 1\n", "1:3: a key that is a list or mapping"),
        ("true: 1\n", "1:1: a key that is true or false"),
        ("~: 1\n", "1:1: a key that is no value"),
        ("a: !!python/object:os.system x\n", "1:4: a YAML tag has no meaning here"),
        ("a: !mine {b: 1}\n", "1:4: a YAML tag has no meaning here"),
        ("a: &x [*x]\n", "1:8: an alias without an anchor that ended before it"),
        ("a: *nowhere\n", "1:4: an alias without an anchor"),
        ("a: {b: 1\n", "2:1: not valid YAML"),
        ("a: {b: ${C}}\n", '(inside of { } and [ ], write "${VAR}" in quotes)'),
        ("a: 'b\n", "not valid YAML"),
        ("a: \x00\n", "1:4: the character U+0000 is not allowed in YAML"),
        ('a: "\\ud800"\n', "1:4: half a surrogate pair is no character"),
        ('a: "\\U00110000"\n', "an escape or number out of range"),
        ("a: \t- b\n", "not valid YAML"),
        ("[" * 1000, f"1:{MAX_DEPTH + 1}: nested too deeply"),
        ("a: " + "x" * (1 << 20), "1:1: longer than"),
        ("", "the file is empty"),
    ],
)
def test_what_is_odd_is_refused_at_its_place(text: str, told: str) -> None:
    assert told in problem(text)


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    bomb = 'a0: &a0 "boom"\n' + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    assert f"more than {MAX_NODES} values once its aliases are expanded" in problem(bomb)


def test_a_plain_anchor_is_fine() -> None:
    root, problems = parse("a: &t {first: 5}\nb: *t\n")
    assert not problems
    assert isinstance(root, Mapping)
    assert root.entries[0][1] is root.entries[1][1]


def test_words_that_yaml_1_1_would_turn_into_something_else_stay_texts() -> None:
    for word in ("on", "off", "yes", "no", "1:30", "2026-11-21", "1_000", "0b1", "<<", "="):
        assert kind_of(word) is Kind.TEXT, word


def test_kinds_are_those_of_the_core_schema() -> None:
    for word, kind in {
        "null": Kind.NULL, "~": Kind.NULL, "": Kind.NULL, "true": Kind.BOOL, "False": Kind.BOOL, "0": Kind.INT,
        "-12": Kind.INT, "0x1F": Kind.INT, "0o17": Kind.INT, "1.5": Kind.FLOAT, "1e3": Kind.FLOAT, ".5": Kind.FLOAT,
        "-.inf": Kind.FLOAT, ".nan": Kind.FLOAT, "1.": Kind.FLOAT, "e3": Kind.TEXT, "0x": Kind.TEXT, "tRue": Kind.TEXT,
    }.items():  # fmt: skip
        assert kind_of(word) is kind, word


def test_quotes_make_a_text_of_anything() -> None:
    root, _ = parse("['1', \"true\", '', ~]")
    assert isinstance(root, Sequence)
    assert [item.kind for item in root.items if isinstance(item, Scalar)] == [Kind.TEXT] * 3 + [Kind.NULL]


def test_the_message_about_broken_yaml_quotes_nothing_that_may_be_a_key() -> None:
    for text in (
        "api_key: *sk-live-abcdef",
        "%TAG ! sk-live-abcdef\n---\na: !sk-live-abcdef!x y",
        "a: &sk-live-abcdef",
    ):
        _, problems = parse(text + "\n: [")
        assert "abcdef" not in str(problems)
