"""What holds for every text and every valid configuration, by generated examples."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.backends.registry import bind, origin
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.schema import json_schema
from proxy.config.values import Config
from tests.config import strategies

ENVIRON = {"SET": "value-of-a-variable", "A": "value-of-a-variable"}
VALIDATOR = jsonschema.Draft202012Validator(json_schema())
QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def read_file(path: str) -> str:
    if path == "/there":
        return "content-of-a-file\n"
    raise FileNotFoundError(path)


def loaded(text: str) -> Config | Problems:
    return load(text, ENVIRON, "f", read_file)


def written(data: Any) -> str:
    """As JSON, which YAML 1.2 contains. (PyYAML would write the text `0E0` without quotes, by YAML 1.1.)"""
    return json.dumps(data, ensure_ascii=False)


@QUICK
@given(st.text() | strategies.yaml_like)
@example("a: !!int x")
@example("%YAML 1.99999999999999999999\n---\na")
@example("backends: {b: {type: llamacpp, models: {m: {}}}}\nroutes: {r: {targets: [b/m]}}")
def test_any_text_is_a_configuration_or_problems_and_never_an_exception(text: str) -> None:
    found = loaded(text)
    if isinstance(found, Problems):
        assert found.items
        assert all(p.mark.line >= 1 and p.mark.column >= 1 and p.message for p in found.items)


@QUICK
@given(strategies.anything)
def test_any_data_in_any_place_is_a_configuration_or_problems(data: Any) -> None:
    loaded(written(data))


@FEW
@given(strategies.configurations())
def test_every_valid_configuration_loads_and_the_schema_accepts_it(data: dict[str, Any]) -> None:
    found = loaded(written(data))
    assert isinstance(found, Config), str(found)
    VALIDATOR.validate(data)
    assert set(found.routes) == set(data["routes"])
    for name, route in found.routes.items():
        left = [out for out in found.left_out if out.route == name]
        assert len(route.targets) + len(left) == len(data["routes"][name]["targets"])


@FEW
@given(strategies.configurations())
def test_every_target_of_a_valid_configuration_can_be_bound_to_its_dialect(data: dict[str, Any]) -> None:
    found = loaded(written(data))
    assert isinstance(found, Config), str(found)
    for target in [*(t for route in found.routes.values() for t in route.targets), *found.direct_targets.values()]:
        backend = found.backends[target.backend]
        bind(backend, target)
        if not BACKEND_TYPES[backend.type].ours:
            origin(backend)


@FEW
@given(strategies.configurations(), st.data())
def test_a_key_too_many_is_refused_by_checker_and_schema_alike(data: dict[str, Any], choose: st.DataObject) -> None:
    route = choose.draw(st.sampled_from(sorted(data["routes"])))
    backend = choose.draw(st.sampled_from(sorted(data["backends"])))
    place = choose.draw(st.sampled_from([data, data["routes"][route], data["backends"][backend]]))
    place["nonsense"] = 1
    found = loaded(written(data))
    assert isinstance(found, Problems)
    assert any('unknown key "nonsense"' in line for line in found.lines())
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(data)


SECRET = "hunter2-Zq9xLw7"
PLACES = [
    "backends: {{b: {{type: openai, api_key: {0}}}}}\nroutes: {{r: {{targets: [b/m]}}}}\nwrong: 1",
    "backends: {{b: {{type: openai, api_key: [{0}]}}}}",
    "backends: {{b: {{type: openai, api_key: '{0} {0}'}}}}",
    "backends: {{b: {{type: openai, headers: {{x: [{0}]}}}}}}",
    'backends: {{b: {{type: openai, headers: {{x: "{0}\\n"}}}}}}',
    "backends: {{b: {{type: openai, base_url: 'https://me:{0}@host/v1'}}}}",
    "backends: {{b: {{type: openai, base_url: 'https://host/v1?key={0}'}}}}",
    "keys: {0}",
    "keys: [{0}]",
    "keys: [{{name: a, key: [{0}]}}]",
    "keys: [{{name: a, key: '{0} x'}}]",
    "keys: [{{name: a, key: {0}}}, {{name: b, key: {0}}}]",
    "keys: [{{name: a, key_sha256: {0}}}]",
    "listen: {0}",
    "api_key: &{0}",
    "api_key: *{0}",
    "api_key: !{0} x",
    "api_key: 'sk-{0}",
    "log: sk-{0}",
    "sk-{0}: 1",
    "routes: {{r: {{targets: ['${{A}}'], timeouts: {{first: '${{A}}'}}, max_attempts: '${{A}}'}}}}",
    "routes: {{r: {{on_filter: '${{A}}', drop: ['${{A}} x'], price: {{input: '${{A}}'}}}}}}",
    "backends: {{b: {{type: ollama}}}}\nroutes: {{r: {{targets: ['${{A}}/m']}}}}",
    "backends: {{b: {{type: llamacpp, models: {{m: {{path: p}}}}}}}}\nroutes: {{r: {{targets: ['b/${{A}}']}}}}",
    "listen: {{host: '${{A}}'}}",
    "listen: {{host: '${{A}}', port: '${{A}}'}}\nledger: '${{A}}'\nlog: '${{file:/there}}'",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_message_holds_a_key_or_the_value_of_a_variable(place: str) -> None:
    found = load(place.format(SECRET), {"A": SECRET}, "f", lambda _path: SECRET)
    assert isinstance(found, Problems)
    assert SECRET not in str(found) + repr(found)


@FEW
@given(strategies.configurations())
def test_no_key_is_in_the_repr_of_a_configuration(data: dict[str, Any]) -> None:
    data["backends"]["secret"] = {"type": "openai", "api_key": SECRET, "headers": {"Authorization": SECRET}}
    data["keys"] = [{"name": "a", "key": SECRET}]
    found = loaded(written(data))
    assert isinstance(found, Config), str(found)
    assert SECRET not in repr(found)
