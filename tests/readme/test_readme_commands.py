"""What README.md tells its reader to paste works, and what it shows is what comes out."""

from __future__ import annotations

import pytest

from proxy.config.load import load
from proxy.config.values import Config
from tests.readme.blocks import BLOCKS, NAMED, shows

SHOWN = [block.name for block in BLOCKS if block.kind == "text" and block.name]
KEYS = {"OPENAI_API_KEY": "o", "GROQ_API_KEY": "g", "ALICE_KEY": "a"}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_comes_out(came_out: dict[str, str], name: str) -> None:
    assert shows(NAMED[name].text, came_out[name]), came_out[name]


def test_langchain_gets_its_answer(came_out: dict[str, str]) -> None:
    assert "Paris" in came_out["langchain"]


def test_once_the_circuit_is_open_a_dead_target_costs_no_attempt(came_out: dict[str, str]) -> None:
    assert shows("x-wayline-target: here/smollm2\nx-wayline-attempts: 1", came_out["failover-open"])


def test_the_configuration_that_is_shown_is_right() -> None:
    config = load(NAMED["config"].text, KEYS, "README.md", str)
    assert isinstance(config, Config), str(config)
    chat = config.routes["chat"]
    assert [target.name for target in chat.targets] == [
        "openai/gpt-4o-mini",
        "groq/llama-3.1-8b-instant",
        "here/smollm2",
    ]
    assert chat.targets[0].timeouts.first == 20


def test_the_configuration_that_is_shown_needs_no_key() -> None:
    config = load(NAMED["config"].text, {}, "README.md", str)
    assert isinstance(config, Config), str(config)
    assert [target.name for target in config.routes["chat"].targets] == ["here/smollm2"]


def test_with_the_keys_that_are_shown_any_address_may_be_listened_on() -> None:
    rest = NAMED["config"].text.partition("backends:")
    config = load(NAMED["keys"].text + "".join(rest[1:]), KEYS, "README.md", str)
    assert isinstance(config, Config), str(config)
    assert [key.name for key in config.keys] == ["alice", "ci"]
    assert not isinstance(load("listen: {host: 0.0.0.0}\n" + "".join(rest[1:]), KEYS, "README.md", str), Config)


def test_the_lines_that_make_a_route_choose_are_right() -> None:
    before, _, routes = NAMED["config"].text.partition("routes:")
    config = load(before + NAMED["choosing"].text, KEYS, "README.md", str)
    assert routes and isinstance(config, Config), str(config)
    policy = config.routes["chat"].policy
    assert policy is not None and policy.top.strategy == "score" and policy.sticky and policy.rules[0].use == "cheapest"


def test_what_is_shown_is_compared_but_for_what_changes_each_time() -> None:
    assert shows('a: 1\n"x_s":0.5 …end', 'a:  1\nb\n"x_s":0.75 and the end')
    assert not shows("a: 1", "a: 2")
    assert not shows("a\nb", "b\na")
