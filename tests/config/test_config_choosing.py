"""What a configuration says of choosing: what it becomes, and every mistake in it by name, before anything runs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.choice.policy import Group, Rule, Ucb, Weights, When
from proxy.core.choice.wish import NONE, Wish

HEAD = """
backends:
  a: {type: openai, base_url: "http://127.0.0.1:1/v1", api_key: k}
  b: {type: openai, base_url: "https://b.test/v1", api_key: k}
  gone: {type: openai, api_key: "${UNSET}"}
routes:
  r:
"""


T = "targets: [a/x, b/y]"


def read(*lines: str) -> Config | Problems:
    return load(HEAD + "".join(f"    {line}\n" for line in lines), {}, "routes.yaml", lambda _path: "x")


def good(*lines: str) -> Config:
    found = read(*lines)
    assert isinstance(found, Config), str(found)
    return found


def test_a_route_that_says_nothing_of_it_has_no_policy() -> None:
    route = good("targets: [a/x, b/y]", "max_attempts: 2").routes["r"]
    assert route.policy is None
    assert [target.local for target in route.targets] == [True, False]


def test_everything_that_can_be_said_becomes_a_policy() -> None:
    route = good(
        "targets: [{group: cheap, weight: 2}, {target: b/x, weight: 3, concurrency: 4}]",
        "strategy: weighted",
        "groups:",
        "  cheap: {strategy: cheapest, targets: [a/x, gone/z, b/y]}",
        "  spare: {targets: [{group: cheap}, a/w]}",
        "require: {max_cost: 0.05, max_latency_ms: 1500, only: [a, b], free: false}",
        "rules:",
        '  - {when: {tokens: ">8000", output: "1-500", has: [tools], hour: "22-6", header: {X-T: "s*"}}, use: spare}',
        "  - {when: {key: ci}, use: score, set: {priority: low, max_cost: 0.01}}",
        "tasks: {code_generation: [b/x, cheap]}",
        "score: {cost: 40%}",
        "ucb: {exploration: 0.5, window: 10m}",
        "prefer_other_backend: true",
        "exclude_failed: 30m",
        "sticky: true",
    ).routes["r"]
    policy = route.policy
    assert policy is not None
    assert [target.name for target in route.targets] == ["a/x", "b/y", "b/x", "a/w"]
    assert (policy.top.strategy, [(m.name, m.weight) for m in policy.top.members]) == (
        "weighted",
        [("cheap", 2.0), ("b/x", 3.0)],
    )
    cheap = policy.groups["cheap"]
    assert isinstance(cheap, Group) and policy.top.members[0].group is cheap
    assert policy.require == Wish(max_cost=Decimal("0.05"), max_latency=1.5, only=frozenset({"a", "b"}))
    assert policy.rules == (
        Rule(
            When(
                tokens=(8001, float("inf")),
                output=(1, 500),
                has=frozenset({"tools"}),
                hour=(22, 6),
                header=(("x-t", "s*"),),
            ),
            "spare",
            NONE,
        ),
        Rule(When(key="ci"), "score", Wish(priority="low", max_cost=Decimal("0.01"))),
    )
    assert policy.tasks == {"code_generation": ("b/x", "cheap")}
    assert (policy.weights, policy.ucb) == (Weights(cost=0.4), Ucb(exploration=0.5, window=600.0))
    assert (policy.prefer_other_backend, policy.exclude_failed, policy.sticky, policy.extra) == (True, 1800, True, True)


def test_a_task_may_have_an_order_or_weights_and_weights_alone_are_a_policy() -> None:
    policy = good(T, "tasks: {t: [{name: a/x, weight: 3}, {name: b/y}], u: [b/y]}").routes["r"].policy
    assert policy is not None
    assert policy.tasks == {"t": ("a/x", "b/y"), "u": ("b/y",)}
    assert policy.task_weights == {"t": (("a/x", 3.0),)}
    weighed = good("targets: [{target: a/x, weight: 3}, b/y]").routes["r"].policy
    assert weighed is not None
    assert (weighed.top.strategy, [member.weight for member in weighed.top.members]) == ("order", [3.0, 1.0])


def test_what_stands_in_several_places_has_the_settings_of_the_first() -> None:
    route = good("targets: [{target: a/x, concurrency: 4}]", "groups: {g: {targets: [a/x, b/x]}}").routes["r"]
    assert [(target.name, target.concurrency) for target in route.targets] == [("a/x", 4), ("b/x", None)]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["targets: [{group: g}]"], '.group: unknown group "g", expected nothing (there is none)'),
        (
            ["targets: [{group: g, target: a/x}]", "groups: {g: {targets: [a/x]}}"],
            "exactly one of `target` and `group`",
        ),
        (["targets: [{group: g, concurrency: 3}]", "groups: {g: {targets: [a/x]}}"], "a group has no concurrency here"),
        (
            [T, "groups: {g: {targets: [{group: h}]}, h: {targets: [{group: g}]}}"],
            "groups in a circle: g > h > g",
        ),
        ([T, "groups: {g: {targets: [c/x]}}"], 'groups.g.targets[0]: unknown backend "c"'),
        ([T, "strategy: best"], 'found "best", expected one of order,'),
        ([T, "strategy: custom"], "strategy custom needs `custom`"),
        ([T, 'custom: "m:f"'], "is not used"),
        ([T, "rules: [{use: nobody}]"], 'rules[0].use: unknown group, strategy or target "nobody"'),
        ([T, "rules: [{when: {priority: high}}]"], "rules[0]: says neither `use` nor `set`"),
        ([T, "rules: [{use: a/x}, {when: {key: k}, use: b/y}]"], "rules[1]: is never reached: rule 1 holds"),
        ([T, 'rules: [{when: {tokens: "9-3"}, use: a/x}]'], "can never hold: `tokens` has nothing between"),
        ([T, 'rules: [{when: {tokens: "many"}, use: a/x}]'], 'numbers like ">8000"'),
        ([T, 'rules: [{when: {hour: "25-3"}, use: a/x}]'], 'hours of a day like "8-18"'),
        ([T, "tasks: {t: [{name: a/z, weight: 2}]}"], 'tasks.t[0]: unknown target or group "a/z"'),
        ([T, "tasks: {t: [a/x, {name: a/x}]}"], 'tasks.t[1]: "a/x" stands there twice'),
        ([T, "tasks: {t: [{name: a/x, weight: 0}]}"], "1 to 1000000"),
        ([T, "tasks: {t: [a/z]}"], 'tasks.t[0]: unknown target or group "a/z"'),
        ([T, "require: {max_cost: -1}"], "US dollars (0 or more)"),
        ([T, "require: {only: [c]}"], "r.require: leaves out every target of the route"),
        ([T, "require: {exclude: [x, b]}"], "r.require: leaves out every target of the route"),
        ([T, "require: {only: [a]}", "rules: [{use: b/y}]"], "rules[0]: leaves out every target that it could use"),
        ([T, "rules: [{use: cheapest, set: {only: [z]}}]"], "rules[0]: leaves out every target that it could use"),
        ([T, "ucb: {exploration: 0}"], "a positive number"),
    ],
)
def test_a_mistake_is_told_by_its_place(lines: list[str], told: str) -> None:
    found = read(*lines)
    assert isinstance(found, Problems)
    assert told in str(found)
