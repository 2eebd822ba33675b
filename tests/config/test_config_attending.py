"""What a file says of screens, evaluations and ratings: rules are made ready, and what cannot be meant is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.config.load import load
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.quality.policy import Feedback, Quality

FILE = """
backends: {a: {type: openai, base_url: "http://a.test/v1", api_key: k}}
routes:
  chat: {targets: [a/x, {target: a/y, safety: 7}], %s}
  care: {targets: [a/z], screen: false}
%s
"""


def read(route: str = "", top: str = "") -> Config | Problems:
    """A file with this at its route `chat`, and at the top."""
    return load(FILE % (route, top), {}, "routes.yaml", lambda path: "")


def good(route: str = "", top: str = "") -> Config:
    found = read(route, top)
    assert isinstance(found, Config), str(found)
    return found


def test_without_a_word_nothing_is_looked_at() -> None:
    route = good().routes["chat"]
    assert route.quality is None and route.screen is None


def test_an_evaluation_says_its_shares_and_its_judge() -> None:
    route = good("quality: {share: 5%, retry_low_quality: true, judge: care, judge_budget: 0.5}").routes["chat"]
    assert route.quality == Quality(share=0.05, retry=True, judge="care", judge_budget=Decimal("0.5"))
    assert good("quality: {}").routes["chat"].quality == Quality()


def test_the_rules_of_the_top_hold_for_every_route_before_its_own_unless_it_wants_none() -> None:
    top = "screen: {input: [{category: first, terms: [a]}], hold: 9}"
    config = good("screen: {input: [{category: second, terms: [b]}]}", top)
    screen = config.routes["chat"].screen
    assert screen is not None and config.screen is not None
    assert [rule.name for rule in screen.input] == ["first", "second"] and screen.hold == 9
    assert config.routes["care"].screen is None


def test_other_endpoints_are_looked_at_where_the_route_or_else_the_top_says_so() -> None:
    top = "screen: {input: [{category: first, terms: [a]}], also: [embeddings, images]}"
    for said, also in (("", {"embeddings", "images"}), ("screen: {also: [speech]}", {"speech"})):
        screen = good(said, top).routes["chat"].screen
        assert screen is not None and screen.also == also
    screen = good("screen: {input: [{category: first, terms: [a]}]}").routes["chat"].screen
    assert screen is not None and not screen.also


@pytest.mark.parametrize(
    ("route", "top", "told"),
    [
        ("screen: {also: [speech]}", "", "4:67: routes.chat.screen.also: is not used: there is no `input`"),
        ("", "screen: {also: [speech]}", "6:16: screen.also: is not used: there is no `input`"),
        (
            "screen: {also: [chat]}",
            "",
            'found "chat", expected one of embeddings, rerank, speech, images, audio',
        ),
    ],
)
def test_endpoints_that_nothing_looks_at_or_that_are_none_are_named(route: str, top: str, told: str) -> None:
    found = read(route, top)
    assert isinstance(found, Problems) and told in str(found), str(found)


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ("terms: [a]", "refuse"),
        ("terms: [a], severity: medium", "flag"),
        ("terms: [a], severity: low, action: refuse", "refuse"),
        ("terms: [a], resources: help", "flag"),
    ],
)
def test_what_follows_goes_by_the_severity_unless_it_is_said(said: str, action: str) -> None:
    screen = good(f"screen: {{input: [{{category: c, {said}}}]}}").routes["chat"].screen
    assert screen is not None and [rule.action for rule in screen.input] == [action]


def test_targets_that_are_not_safe_enough_are_left_out_with_the_reason() -> None:
    config = good("min_safety: 8")
    assert not config.routes["chat"].targets
    reasons = [left.reason for left in config.left_out]
    assert reasons == ["no safety rating, and 8 is asked for", "safety 7 < 8"]
    assert config.routes["chat"].missing[1] == ("a/y", "safety 7 < 8")
    assert len(good("min_safety: 0").routes["chat"].targets) == 2
    assert [target.name for target in good("min_safety: 7").routes["chat"].targets] == ["a/y"]


def test_ratings_are_taken_unless_they_are_not_wanted() -> None:
    assert good().feedback == Feedback(comments=False, within=86400.0, days=30)
    assert good(top="feedback: false").feedback is None
    assert good(top="feedback: {comments: true, within: 1h}").feedback == Feedback(comments=True, within=3600.0)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{category: c}", "expected `terms` or `patterns` or both, or `moderation`, or `when`"),
        ("{terms: [a]}", "`category` is missing"),
        ("{category: c, terms: [a], moderation: care}", "expected `terms` or `patterns`"),
        ("{when: c}", "says nothing of what follows"),
        ("{category: c, terms: [a], use: nowhere}", 'unknown route "nowhere", expected chat or care'),
        ("{category: c, terms: [a], use: chat}", "is this route itself"),
        ("{moderation: nowhere}", 'unknown route "nowhere", expected chat or care'),
        ("{moderation: b/omni}", 'unknown "b/omni", expected a route, chat or care, or a model of a backend, a'),
        ("{moderation: a/}", 'unknown "a/"'),
        ("{category: c, terms: [a], use: care, action: flag}", "expected either `use` or `action` and `resources`"),
        ("{category: c, terms: [a], resources: x, action: refuse}", "found refuse, expected flag"),
        ("{category: c, terms: [a], above: 50%}", "is not used: there is no `moderation`"),
        ("{category: c, terms: [a, '*']}", "nothing of it is left to look for"),
        ("{category: c, terms: ['  ']}", "nothing of it is left to look for"),
        ('{category: c, terms: ["\\u200b"]}', "nothing of it is left to look for"),
        ("{category: c, patterns: ['a*']}", "it would be found in every text"),
        ("{category: c, patterns: ['(']}", "no such pattern: missing ): ("),
        ("{category: c, patterns: ['(?<=a)b']}", "no such pattern"),
        ("{category: c, terms: [a]}, {category: c, terms: [b]}", 'another rule is called "c": give it a `name`'),
    ],
)
def test_a_rule_that_cannot_be_meant_is_told(rule: str, told: str) -> None:
    found = read(f"screen: {{input: [{rule}]}}")
    assert isinstance(found, Problems)
    assert told in str(found)


def test_an_answer_is_not_sent_elsewhere() -> None:
    assert "stands only under `input`" in str(read("screen: {output: [{category: c, terms: [a], use: care}]}"))


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_moderation_is_a_route_or_a_model_of_a_backend(side: str) -> None:
    config = good(f"screen: {{{side}: [{{moderation: care}}, {{moderation: a/omni}}], wait: 3s}}")
    screen = config.routes["chat"].screen
    assert screen is not None and screen.wait == 3.0
    assert [rule.moderation for rule in getattr(screen, side)] == ["care", "a/omni"]
    assert config.moderations == ("a/omni",)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("judge: nobody", 'unknown route "nobody"'),
        ("judge_budget: 1", "is not used: there is no `judge`"),
    ],
)
def test_an_evaluation_that_cannot_be_meant_is_told(said: str, told: str) -> None:
    assert told in str(read(f"quality: {{{said}}}"))
