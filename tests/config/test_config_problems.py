"""Every mistake is told at once: where it is, what was found, what was expected, and the nearest valid word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.config.kinds import BACKEND_TYPES
from proxy.config.problem import one_of
from proxy.config.spec.top import TOP

if TYPE_CHECKING:
    from tests.config.conftest import Loader

FIXTURES = Path(__file__).parent / "fixtures"
GOOD = "backends: {b: {type: openai, api_key: k}, here: {type: llamacpp, models: {s: {package: p}}}}\n"
ROUTES = "routes: {r: {targets: [b/m]}}\n"


def test_all_eighteen_mistakes_of_one_file_are_told_in_the_order_of_its_lines(loader: Loader) -> None:
    told = loader.bad((FIXTURES / "wrong.yaml").read_text())
    expected = (FIXTURES / "wrong.txt").read_text().replace("{TYPES}", ", ".join(BACKEND_TYPES))
    expected = expected.replace("{KEYS}", one_of(TOP.names()))
    assert told == expected.splitlines()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("[]", "found a list, expected the configuration"),
        ("{}", "`backends` is missing"),
        ("backends: {}\nroutes: {}", "backends: is empty, expected at least 1"),
        (GOOD + "routes: {r: {targets: }}", "found no value, expected a list"),
        (GOOD + "routes: {r: {}}", "`targets` is missing"),
        (GOOD + "routes: {r: {targets: [m]}}", 'found "m", expected backend/model'),
        (GOOD + "routes: {r: {targets: [b/]}}", 'found "b/", expected backend/model'),
        (GOOD + "routes: {r: {targets: [[b/m]]}}", "found a list, expected backend/model, or a mapping"),
        (GOOD + "routes: {r: {targets: [b/m, b/n, b/m]}}", "the same target as number 1"),
        (GOOD + "routes: {b/m: {targets: [b/m]}}", 'reads as a model of the backend "b"'),
        (GOOD + 'routes: {"a b": {targets: [b/m]}}', 'the key "a b" is not a route\'s name'),
        (GOOD + "routes: {r: {targets: [{price: {input: 1, output: 1}}]}}", "exactly one of `target` and `group`"),
        (GOOD + "routes: {r: {targets: [{target: b/m, price: {input: -1, output: 1}}]}}", "price.input: found -1"),
        (GOOD + "routes: {r: {targets: [b/m], timeouts: {total: -1s}}}", 'found "-1s", expected a positive duration'),
        (GOOD + "routes: {r: {targets: [b/m], timeouts: {total: .inf}}}", "found .inf, expected a positive duration"),
        (GOOD + "routes: {r: {targets: [b/m], timeouts: {total: 8d}}}", "expected a positive duration"),
        (GOOD + "routes: {r: {targets: [b/m], retry: {patience: -1}}}", "found -1, expected a duration of 0 or more"),
        (GOOD + "routes: {r: {targets: [b/m], max_attempts: 0}}", "found 0, expected a whole number from 1 to 100"),
        (GOOD + "routes: {r: {targets: [b/m], max_attempts: 2.5}}", "found 2.5, expected a whole number"),
        (GOOD + "routes: {r: {targets: [b/m], reply_model: rout}}", 'did you mean "route"?'),
        (GOOD + "routes: {r: {targets: [b/m], same_vectors: yes}}", 'found "yes", expected true or false'),
        (GOOD + "routes: {r: {targets: [b/m], drop: [model]}}", 'found "model", expected the name of a request param'),
        (
            GOOD + "routes: {r: {targets: [b/m], params: {defaults: {stream: true}}}}",
            'the key "stream" is not the name',
        ),
        (GOOD + "routes: {r: {targets: [b/m], params: {defaults: {a: .inf}}}}", "JSON cannot carry this"),
        (GOOD + "routes: {r: {targets: [b/m], params: {defaults: {a: 99999999999999999999}}}}", "JSON cannot carry"),
        (GOOD + "routes: {r: {targets: [b/m], params: {temperature: 1}}}", "expected defaults or overrides"),
        (GOOD + "routes: {r: {targets: [b/m], headers: {Host: x}}}", 'the key "Host" is not a header\'s name'),
        (
            GOOD + 'routes: {r: {targets: [b/m], headers: {x: "a\\nb: c"}}}',
            "headers.x: found a value that is not shown",
        ),
        (GOOD + ROUTES + "ledger: true", "ledger: found true, expected false"),
        (GOOD + ROUTES + "cors: {origins: ['*', 'https://a']}", "`*` stands for any origin: expected it alone"),
        (GOOD + ROUTES + "cors: {origins: [example.com]}", "expected an origin like"),
        (GOOD + ROUTES + "keys: [{name: a}]", "expected exactly one of `key` and `key_sha256`"),
        (GOOD + ROUTES + "keys: [{name: a, key: x}, {name: a, key: y}]", "keys[1].name: keys[0] has this name already"),
        (GOOD + ROUTES + "keys: [{name: a, key: x}, {name: b, key: x}]", "keys[1].key: the same key as keys[0]"),
        (GOOD + ROUTES + "keys: [{name: a, key_sha256: 12}]", "keys[0].key_sha256: found a value that is not shown"),
        (GOOD + ROUTES + "listen: {host: '::', port: 1}", ":: can be reached from other machines"),
        (GOOD + ROUTES + "listen: {host: gateway.local}", "gateway.local can be reached from other machines"),
        (GOOD + ROUTES + "listen: {host: 0.0.0.0}\nkeys: []", "so callers need keys"),
        (GOOD + ROUTES + "listen: {max_body: 0}", "expected a positive size"),
        (GOOD + ROUTES + "log: jsn", 'did you mean "json"?'),
        ("backends: {b: {api_key: k}}\n" + ROUTES, "`type` is missing, expected openai, "),
        ("backends: {b: {type: '${T}'}}\n" + ROUTES, "a variable cannot stand here"),
        ("backends: {b: {type: openai, engine: auto}}\n" + ROUTES, 'unknown key "engine"'),
        ("backends: {b: {type: openai, base_url: ftp://h}}\n" + ROUTES, 'found "ftp://h", expected an address'),
        ("backends: {b: {type: openai, base_url: 'https://h/v1?a=1'}}\n" + ROUTES, "expected an address"),
        ("backends: {b: {type: openai, base_url: 'http://h:99999'}}\n" + ROUTES, "expected an address"),
        ("backends: {b: {type: openai, base_url: 'http://[::1'}}\n" + ROUTES, "expected an address"),
        ("backends: {b: {type: openai, base_url: 'http://'}}\n" + ROUTES, "expected an address"),
        ("backends: {b: {type: openai, api_key: 12345}}\n" + ROUTES, "(in quotes, if it is meant as a text)"),
        ("backends: {b: {type: openai, api_key: '${A'}}\n" + ROUTES, "a `${` that begins no variable"),
        ("backends: {b/c: {type: openai}}\n" + ROUTES, 'the key "b/c" is not a backend\'s name'),
        ("backends: {b: {type: llamacpp, models: {m: {path: a, package: b}}}}\n" + ROUTES, "expected exactly one of"),
        ("backends: {b: {type: llamacpp, models: {}}}\n" + ROUTES, "models: is empty"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(loader: Loader, text: str, told: str) -> None:
    lines = loader.bad(text)
    assert any(told in line for line in lines), lines


def test_a_part_that_is_wrong_in_itself_is_told_once_and_does_not_drag_others_along(loader: Loader) -> None:
    told = loader.bad("backends: {b: {type: nope}}\n" + ROUTES)
    assert len(told) == 1, told


def test_what_an_alias_repeats_is_told_once(loader: Loader) -> None:
    told = loader.bad(GOOD + "routes: {r: &r {targets: [b/m], max_attempts: 0}, s: *r}")
    assert len(told) == 1, told


def test_of_very_many_problems_the_first_200_are_told_and_the_rest_counted(loader: Loader) -> None:
    told = loader.bad("\n".join(f"wrong{i}: 1" for i in range(500)) + "\n" + GOOD + ROUTES)
    assert len(told) == 201
    assert told[-1].endswith("and 300 more problems")


def test_a_host_name_with_keys_and_loopback_addresses_without_are_fine(loader: Loader) -> None:
    for listen in ("127.0.0.1", "127.9.9.9", "localhost", "'::1'"):
        loader.good(GOOD + ROUTES + f"listen: {{host: {listen}}}")
    loader.good(GOOD + ROUTES + "listen: {host: 0.0.0.0}\nkeys: [{name: a, key: b}]")
