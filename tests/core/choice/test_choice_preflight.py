"""A target that must refuse is never asked, and the caller is told why; what nobody knows leaves nobody out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import CAPABILITIES, UNKNOWN, Ability
from proxy.core.choice.choose import refused
from proxy.core.choice.facts import Facts, about, facts_of, look, output_of, plain_facts
from proxy.core.choice.measured import Measured
from proxy.core.choice.ranking import Closed, Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.core.route import Route, Unsupported
from proxy.core.tokens import of_request
from tests.core.choice.choices import asked, chosen, names, route, target
from tests.examples import many

SMALL = target("a/small", Ability(context=8192))
LARGE = target("b/large", Ability(context=128_000))
BLIND = target("c/blind", Ability(lacks=frozenset({"vision", "tools", "json_schema"})))
UNKNOWN_ONE = target("d/unknown")


def reasons(choice: Any) -> dict[str, str]:
    return {one.target.name: one.reason for one in choice.left_out}


def test_a_context_that_is_too_small_leaves_a_target_out_with_both_numbers() -> None:
    choice = chosen(route(SMALL, LARGE, UNKNOWN_ONE), asked(21_300))
    assert names(choice) == ["b/large", "d/unknown"]
    assert reasons(choice) == {"a/small": "context 8,192 < 21,300"}


def test_what_a_target_lacks_leaves_it_out_and_what_is_unknown_does_not() -> None:
    choice = chosen(route(BLIND, UNKNOWN_ONE), asked(10, None, "vision", "tools"))
    assert names(choice) == ["d/unknown"]
    assert reasons(choice) == {"c/blind": "no tools, no vision"}


def test_a_target_that_could_not_give_all_that_is_asked_comes_last_and_is_still_asked() -> None:
    short = target("s/short", Ability(output=4096))
    choice = chosen(route(short, SMALL, BLIND, UNKNOWN_ONE), asked(8000, 5000, "json_schema"))
    assert names(choice) == ["d/unknown", "s/short", "a/small", "c/blind"]
    assert {one.name: why for one, why in choice.behind} == {
        "s/short": "answers up to 4,096 < 5,000",
        "a/small": "context 8,192 < 8,000 + 5,000",
        "c/blind": "no json_schema",
    }


def test_the_routes_word_on_what_is_unsupported_holds_here_too() -> None:
    refuses = Route("r", (BLIND, UNKNOWN_ONE), unsupported=Unsupported.REFUSE)
    assert names(chosen(refuses, asked(1, None, "json_schema"))) == ["d/unknown"]
    drops = Route("r", (BLIND, UNKNOWN_ONE), unsupported=Unsupported.DROP)
    assert names(chosen(drops, asked(1, None, "json_schema"))) == ["c/blind", "d/unknown"]


def test_an_estimate_alone_refuses_nobody_whose_request_may_fit() -> None:
    assert names(chosen(route(SMALL), asked(12_000))) == ["a/small"]
    assert names(chosen(route(SMALL, LARGE), asked(12_000))) == ["b/large"]
    assert names(chosen(route(SMALL), asked(20_000))) == []


def test_vectors_are_asked_of_those_that_make_them_and_answers_of_the_others() -> None:
    embeds = target("e/embed", Ability(has=frozenset({"embeddings"})))
    chats = target("f/chat", Ability(lacks=frozenset({"embeddings"})))
    assert names(chosen(route(embeds, chats))) == ["f/chat"]
    vectors = Asked(facts_of({"input": "x"}, chat=False))
    assert names(chosen(route(embeds, chats), vectors)) == ["e/embed"]


def test_nothing_left_tells_for_each_target_why() -> None:
    which = route(SMALL, BLIND)
    too_long = refused(route(SMALL), chosen(route(SMALL), asked(50_000)), 0.0)
    assert (too_long.kind, too_long.verdict.status) == (FailureKind.CONTEXT_LENGTH, 400)
    both = refused(which, chosen(which, asked(50_000, None, "vision")), 0.0)
    assert both.kind is FailureKind.UNSUPPORTED and both.verdict.status == 400
    assert both.message == (
        "No target of route 'chat' can take this request: a/small: context 8,192 < 50,000; c/blind: no vision."
    )


def test_a_model_that_would_have_to_be_loaded_is_left_out_where_the_route_says_warm_only() -> None:
    seen = Seen(cold={"b/large": "idle"})
    choice = chosen(route(SMALL, LARGE, warm=True), asked(plain=True), seen)
    assert (names(choice), reasons(choice)) == (["a/small"], {"b/large": "not loaded (idle) and `warm: only`"})
    assert names(chosen(route(SMALL, LARGE), asked(plain=True), seen)) == ["a/small", "b/large"]
    none = chosen(route(LARGE, warm=True), asked(), seen)
    failure = refused(route(LARGE, warm=True), none, 0.0)
    assert (failure.kind, failure.verdict.status) == (FailureKind.LOADING, 503)


def test_a_key_that_is_used_up_is_called_so() -> None:
    quota = {"b/large": Health(cool_until=30.0, cooled_at=1.0, cause=FailureKind.QUOTA)}
    which = route(SMALL, LARGE)
    failure = refused(which, chosen(which, asked(50_000), Seen(now=10.0), health=quota), 10.0)
    assert "b/large: cooling for 20 s (key exhausted)" in failure.message


def test_several_answers_and_logprobs_come_from_those_that_give_them_and_sound_from_none_else() -> None:
    bare = target("x/bare", Ability(lacks=frozenset({"n", "logprobs", "audio_output"})))
    body = {"messages": [], "n": 2, "logprobs": True}
    choice = chosen(route(bare, UNKNOWN_ONE), Asked(facts_of(body)))
    assert names(choice) == ["d/unknown", "x/bare"]
    assert choice.behind[0][1] == "no logprobs, no n"
    speaks = chosen(route(bare, UNKNOWN_ONE), Asked(facts_of({"messages": [], "modalities": ["text", "audio"]})))
    assert (names(speaks), reasons(speaks)) == (["d/unknown"], {"x/bare": "no audio_output"})
    assert not facts_of({"messages": [], "n": 1, "logprobs": False, "modalities": ["text"]}).needs


def test_where_one_that_could_is_only_out_of_order_the_caller_is_asked_to_come_back() -> None:
    which = route(SMALL, LARGE)
    cooling = {"b/large": Health(cool_until=30.0, cooled_at=1.0, cause=FailureKind.RATE_LIMITED)}
    failure = refused(which, chosen(which, asked(50_000), Seen(now=10.0), health=cooling), 10.0)
    assert (failure.kind, failure.retry_after, failure.ours) == (FailureKind.RATE_LIMITED, 20.0, True)
    assert "a/small: context 8,192 < 50,000; b/large: cooling for 20 s (rate_limited)" in failure.message


def test_a_target_at_a_limit_of_ours_is_left_out_with_its_reason_until_it_is_open_again() -> None:
    which = route(SMALL, LARGE)
    closed = {"b/large": Closed("60 requests a minute are used up", 40.0)}
    choice = chosen(which, asked(plain=True), Seen(now=10.0, closed=closed))
    assert (names(choice), reasons(choice)) == (["a/small"], {"b/large": "60 requests a minute are used up"})
    assert names(chosen(which, asked(plain=True), Seen(now=41.0, closed=closed))) == ["a/small", "b/large"]


def test_where_only_limits_of_ours_are_in_the_way_the_caller_is_told_when_the_first_of_them_is_over() -> None:
    which = route(SMALL, LARGE, UNKNOWN_ONE)
    closed = {"b/large": Closed("5 at once", 40.0), "d/unknown": Closed("60 a minute", 25.0)}
    failure = refused(which, chosen(which, asked(50_000), Seen(now=10.0, closed=closed)), 10.0)
    assert (failure.kind, failure.verdict.status, failure.retry_after) == (FailureKind.RATE_LIMITED, 429, 15.0)
    assert "a/small: context 8,192 < 50,000; b/large: 5 at once; d/unknown: 60 a minute" in failure.message
    cooling = {"d/unknown": Health(cool_until=12.0, cooled_at=1.0, cause=FailureKind.OVERLOADED)}
    only = {"b/large": Closed("5 at once", 40.0)}
    choice = chosen(which, asked(50_000), Seen(now=10.0, closed=only), health=cooling)
    failure = refused(which, choice, 10.0)
    assert (failure.kind, failure.retry_after) == (FailureKind.OVERLOADED, 2.0)


@pytest.mark.parametrize(
    ("wish", "left"),
    [
        (Wish(exclude=frozenset({"a"})), ["b/y", "c/z"]),
        (Wish(exclude=frozenset({"b/y", "z"})), ["a/x"]),
        (Wish(only=frozenset({"c", "x"})), ["a/x", "c/z"]),
        (Wish(free=True), ["b/y"]),
        (Wish(local_only=True), ["b/y"]),
        (Wish(max_cost=Decimal("0.001")), ["b/y"]),
        (Wish(max_cost=Decimal("0.01")), ["a/x", "b/y"]),
        (Wish(context=50_000), ["b/y", "c/z"]),
        (Wish(capabilities=frozenset({"vision"})), ["a/x", "b/y"]),
        (Wish(max_latency=1.0), ["b/y", "c/z"]),
        (Wish(min_speed=50.0), ["a/x", "c/z"]),
    ],
)
def test_conditions_leave_out_what_does_not_meet_them(wish: Wish, left: list[str]) -> None:
    dear = target("a/x", Ability(context=32_000), price="1/2")
    free = target("b/y", price="0/0", local=True)
    blind = target("c/z", Ability(lacks=frozenset({"vision"})))
    seen = Seen(measured={"a/x": Measured(first=2.0), "b/y": Measured(first=0.5, per_token=0.1)})
    assert names(chosen(route(dear, free, blind), asked(1000, 500, wish=wish), seen)) == left


def test_several_answers_cost_several_times_as_much() -> None:
    facts = facts_of({"messages": [], "max_tokens": 1000, "n": 5})
    assert (facts.answers, facts_of({"n": True}).answers, facts_of({"n": -2}).answers) == (5, 1, 1)
    which = route(target("a/m", price="1/10"))
    choice = chosen(which, Asked(facts, Wish(max_cost=Decimal("0.02"))))
    assert reasons(choice) == {"a/m": "would cost $0.050003 > $0.02"}
    dear, cheap = target("a/m", price="1/10"), target("b/m", price="1000/1")
    both = route(dear, cheap, strategy="cheapest")
    assert names(chosen(both, Asked(Facts(100, 1000)))) == ["a/m", "b/m"]
    assert names(chosen(both, Asked(Facts(100, 1000, answers=20)))) == ["b/m", "a/m"]


def test_money_is_told_in_dollars() -> None:
    dear = target("a/x", price="1/60")
    choice = chosen(route(dear), asked(1000, 500, wish=Wish(max_cost=Decimal("0.01"))))
    assert reasons(choice) == {"a/x": "would cost $0.031 > $0.01"}
    unknown = chosen(route(UNKNOWN_ONE), asked(1000, 500, wish=Wish(max_cost=Decimal("0.01"))))
    assert reasons(unknown) == {"d/unknown": "price unknown"}


def test_the_facts_of_a_request_are_read_off_its_body() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    body = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 400}, picture]}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_schema", "json_schema": {}},
        "reasoning_effort": "low",
        "max_tokens": 77,
    }
    facts = facts_of(body, model="chat")
    assert facts.needs == {"vision", "tools", "json_schema", "reasoning"}
    assert (facts.output, facts.chat, facts.model) == (77, True, "chat")
    assert facts.input > 800


bodies = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.just("user"),
                    "content": st.text(max_size=200)
                    | st.lists(st.sampled_from([{"type": "image_url"}, {"type": "file"}, {"type": "input_audio"}])),
                }
            ),
            min_size=1,
            max_size=3,
        )
    },
    optional={
        "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
        "max_tokens": st.integers(1, 200),
        "reasoning_effort": st.just("low"),
        "response_format": st.just({"type": "json_schema"}),
    },
)
some = st.sets(st.sampled_from(CAPABILITIES[:-1]))
abilities = st.builds(
    lambda context, output, lacks: Ability(context, output, frozenset(), frozenset(lacks)),
    st.none() | st.integers(10, 200),
    st.none() | st.integers(10, 200),
    some,
)


@settings(max_examples=many(200), deadline=None)
@given(st.lists(abilities, min_size=1, max_size=3), bodies)
def test_what_the_quick_look_calls_plain_is_left_out_nowhere(known: list[Ability], body: dict[str, Any]) -> None:
    import json

    quick = look(known)
    length = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if quick is None or quick.plain(body, length):
        targets = [target(f"t{place}/m", ability) for place, ability in enumerate(known)]
        choice = chosen(route(*targets), Asked(facts_of(body)))
        assert (names(choice), choice.left_out, choice.behind) == ([one.name for one in targets], (), ())


@settings(max_examples=many(300), deadline=None)
@given(bodies)
def test_a_quick_count_of_a_plain_text_is_the_same_as_the_full_one(body: dict[str, Any]) -> None:
    quick = plain_facts(body)
    if quick is None:
        assert facts_of(body).needs or any(type(message["content"]) is list for message in body["messages"])
    else:
        assert quick == (of_request(body), output_of(body))
        assert facts_of(body) == Facts(*quick)


@settings(max_examples=many(200), deadline=None)
@given(st.integers(0, 10**9))
def test_about_as_many_is_never_more_than_3_percent_away(tokens: int) -> None:
    assert abs(about(tokens) - tokens) <= tokens * 0.032
    assert about(about(tokens)) == about(tokens)


words_of_schemas = st.sampled_from(["type", "content", "role", "function", "parameters", "properties", "items", "name"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("image_url"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words_of_schemas, inner, max_size=3),
    max_leaves=12,
)
MEMBERS = ("messages", "tools", "functions", "response_format", "reasoning", "modalities", "input", "n", "max_tokens")


@settings(max_examples=many(500), deadline=None)
@given(st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=4), st.booleans())
def test_any_json_has_facts(body: dict[str, Any], chat: bool) -> None:
    facts = facts_of(body, chat=chat)
    assert facts.input >= 0 and facts.answers >= 1
    plain = look([Ability(context=10, lacks=frozenset({"vision", "tools"}))])
    if plain is not None and isinstance(body.get("messages"), list):
        plain.plain(body, 5)


def test_a_schema_whose_type_is_a_list_is_no_trouble() -> None:
    """So OpenAI's structured outputs say that a member may be null."""
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert facts_of({"messages": [], "response_format": wanted}).needs == {"json_schema"}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"p": schema}}}}
    assert facts_of({"messages": [], "tools": [tool]}).input > 10


def test_where_nothing_is_known_there_is_nothing_to_look_at() -> None:
    assert look([UNKNOWN, UNKNOWN]) is None


@settings(max_examples=many(200), deadline=None)
@given(st.integers(1, 10**6), st.none() | st.integers(1, 10**6), some)
def test_unknown_abilities_leave_no_target_out(size: int, output: int | None, needs: set[str]) -> None:
    request = Asked(Facts(size, output, frozenset(needs)))
    assert names(chosen(route(UNKNOWN_ONE, target("e/f")), request)) == ["d/unknown", "e/f"]
