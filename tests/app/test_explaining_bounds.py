"""What is explained of a request under budgets is what live traffic then does: who is asked, and what is told where
nothing is left."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.app.callers import Callers
from proxy.app.desk import build
from proxy.app.explain_asked import explain
from proxy.app.limiting import Limiting
from proxy.app.spending import Spending
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.chat import ChatRequest
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Outcome
from proxy.engine.engine import Engine
from proxy.engine.exchange import Exchange
from proxy.ledger.sqlite import open_ledger
from proxy.net.flight import Net
from proxy.wire.body import chat_request
from proxy.wire.errors import from_failure
from proxy.wire.wishes import with_wish
from tests.engine.stage import Books, Client, Flight, Network
from tests.examples import many
from tests.upstream_answers import completion, dumps
from tests.upstream_steps import Tokens

PRICES = {"a": 1, "b": 2, "c": 0}
PORTS = {"a": 1001, "b": 1002, "c": 1003}
SECRET = "0123456789abcdef0123"


class Server:
    """The parts of a server that decide; the network and the clients are played."""

    def __init__(self, targets: str = "ab", near: str = "", **given_: Any) -> None:
        """`near`: backends on this machine. `given_`: what the configuration says: `keys`, `budgets`, `ledger`, of
        `backends`, of the `route`, and of `more` routes."""
        hosts = {name: f"{'127.0.0.1' if name in near else name + '.test'}:{PORTS[name]}" for name in "abc"}
        backends = {
            name: {"type": "openai", "base_url": f"http://{hosts[name]}/v1", "price": {"input": 1, "output": price}}
            for name, price in PRICES.items()
        }
        backends["c"]["price"] = {"input": 0, "output": 0}
        for name, words in given_.get("backends", {}).items():
            backends[name] |= words
        whole = {
            "ledger": {"path": str(given_.get("ledger", "/nowhere/at/all.db"))},
            "state": False,
            "backends": backends,
            "routes": {
                "chat": {"targets": [f"{one}/m" for one in targets], "on_cut": "error", **given_.get("route", {})},
                **given_.get("more", {}),
            },
            "budgets": given_.get("budgets", {}),
            **given_.get("top", {}),
        }
        if "keys" in given_:
            whole["keys"] = given_["keys"]
        self.text = yaml.safe_dump(whole)
        config = load(self.text, {}, "routes.yaml", lambda _: "")
        assert isinstance(config, Config), str(config)
        self.net = Network()
        self.desk = build(config, 0)
        self.engine = Engine(cast(Net, self.net), Books())
        self.callers = Callers(self.engine, None)
        self.callers.adopt(config.keys)
        self.spending = Spending(config, self.engine, self.callers, lambda *_, **__: None)
        self.limiting = Limiting(config, self.engine, self.callers, self.desk.gates, lambda *_, **__: None)
        self._ids = itertools.count()

    async def explain(self, **said: Any) -> dict[str, Any]:
        answer = await explain(said, self.desk, self.engine, {}, self.callers)
        assert answer.status == 200, answer.body
        return answer.body

    def made(self, body: Mapping[str, Any], key: str, headers: Mapping[str, str]) -> Exchange:
        road = self.desk.roads.find("chat")
        request = chat_request(orjson.dumps(body), 9)
        assert road is not None and isinstance(request, ChatRequest)
        fields = {name.encode(): value.encode() for name, value in headers.items()}
        wished = with_wish(request, fields, frozenset())
        assert isinstance(wished, ChatRequest)
        return self.engine.exchange(road, wished, Client(), f"r{next(self._ids)}", key)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": "Say hello."}], **more}


def whole(flight: Flight, tokens: int) -> None:
    flight.whole(dumps(completion("Hello", Tokens(10, tokens))))


async def one(server: Server, key: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Explains a request, then sends it, and fails where the two differ: whoever would be asked refuses, until nobody
    is left."""
    headers = headers or {}
    told = await server.explain(request=body(**more), key=key, headers=dict(headers))
    exchange = server.made(body(**more), key, headers)
    client = cast(Client, exchange._caller)
    sent = len(server.net.flights)
    exchange.start()
    expected = [one["target"][0] for one in told["targets"]]
    if told["waits"]:
        assert (client.ends, len(server.net.flights)) == ([], sent), "it waits"
        return told
    if not expected:
        assert client.failure is not None
        status, _, refused = from_failure(client.failure, retry_after=client.retry_after)
        error = orjson.loads(refused)["error"]
        assert (_timeless(told["error"]), told["refusal"]["status"]) == (_timeless(error["message"]), status)
        assert [told["refusal"][name] for name in ("type", "code", "param")] == [
            error[name] for name in ("type", "code", "param")
        ]
        wait = told["refusal"]["retry_after"]
        assert wait == pytest.approx(client.retry_after, abs=2.0) if wait else client.retry_after is None
    assert told["error"] is None or not expected
    went = [_at(flight) for flight in server.net.flights[sent:]]
    assert went == expected[:1]
    return told


def _timeless(message: str) -> str:
    return re.sub(r"again in [0-9a-z. ]+", "again", message)


def _at(flight: Flight) -> str:
    return next(name for name, port in PORTS.items() if flight.origin.port == port)


amounts = st.sampled_from([0.0001, 0.001, 0.002, 0.004, 0.02])
budgets = st.lists(
    st.tuples(
        amounts, st.sampled_from(["request", "hour", "day", "total"]), st.sampled_from(["refuse", "cheaper", "local"])
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda one: one[1],
).map(lambda given_: [dict(zip(("amount", "per", "on_exceeded"), one, strict=True)) for one in given_])
asked = st.tuples(
    st.sampled_from(["team", "lone"]),
    st.sampled_from([{}, {"x-wayline-prefer": "tags=night"}]),
    st.fixed_dictionaries({}, optional={"max_tokens": st.sampled_from([10, 300, 1000, 5000]), "n": st.just(2)}),
    st.sampled_from(["whole", "long", "refuse", "wait", "leave"]),
)


@settings(max_examples=many(150), deadline=None)
@given(
    st.permutations("abc"),
    st.sampled_from(["", "b"]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("all", "route", "backend", "tag", "key"), budgets)),
    st.booleans(),
    st.booleans(),
    st.lists(asked, min_size=5, max_size=12),
)
def test_what_is_explained_is_what_a_request_under_budgets_meets(
    order: list[str], near: str, given_: dict[str, Any], allow: bool, rule: bool, then: list[Any]
) -> None:
    async def story() -> None:
        of = {name: {"budgets": one} for name, one in given_.items()}
        named: dict[str, Any] = {"all": given_["all"]} if "all" in given_ else {}
        if "tag" in given_:
            named["tags"] = {"search": given_["tag"], "night": given_["tag"]}
        if allow:
            named["unbounded"] = "allow"
        server = Server(
            "".join(order),
            near,
            budgets=named,
            backends={"a": of.get("backend", {})},
            route={
                **of.get("route", {}),
                **({"rules": [{"when": {"tag": "search"}, "use": "cheapest"}]} if rule else {}),
            },
            keys=[
                {"name": "team", "key": SECRET, "tags": ["search"], **of.get("key", {})},
                {"name": "lone", "key": SECRET[::-1]},
            ],
        )
        for key, headers, more, ending in then:
            sent = len(server.net.flights)
            await one(server, key, headers, **more)
            if len(server.net.flights) == sent or ending == "wait":
                continue
            flight = server.net.flights[-1]
            if ending == "refuse":
                flight.fail(FailureKind.REFUSED)
                if server.net.flights[-1] is not flight:
                    whole(server.net.flights[-1], 20)
            elif ending == "leave":
                next(iter(server.engine.live)).gone()
            else:
                whole(flight, 2000 if ending == "long" else 20)

    asyncio.run(story())


KEYS = [
    {"name": "team-a", "key": SECRET, "budgets": [{"amount": 0.001, "per": "day"}], "routes": ["chat"]},
    {"name": "team-b", "key": SECRET[::-1]},
]


def names(told: Mapping[str, Any]) -> list[str]:
    return [one["target"] for one in told["targets"]]


def test_who_has_too_little_left_is_told_so_by_the_name_of_its_key() -> None:
    async def story() -> None:
        server = Server("ac", keys=KEYS)
        told = await server.explain(request=body(max_tokens=5000), key="team-a")
        assert (names(told), told["refusal"]["status"], told["refusal"]["code"]) == ([], 429, "budget_exceeded")
        assert told["error"].startswith("The budget of key 'team-a' is $0.001 a day; $0 of it is spent until ")
        assert told["left_out"] == [
            {"target": "a/m", "reason": told["error"]},
            {"target": "c/m", "reason": "not asked, since that budget refuses (on_exceeded)"},
        ]
        assert SECRET not in str(told)
        assert names(await server.explain(request=body(max_tokens=5000), key="team-b")) == ["a/m", "c/m"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("then", "goes", "reason"),
    [
        ("refuse", [], "not asked, since that budget refuses (on_exceeded)"),
        ("cheaper", ["b/m", "c/m"], None),
        ("local", ["c/m"], "not on this machine, where that budget sends it (on_exceeded: local)"),
    ],
)
def test_what_follows_where_too_little_is_left_for_the_first_target(
    then: str, goes: list[str], reason: str | None
) -> None:
    async def story() -> None:
        """At a it may cost $0.01, at b, which only answers at length for little money, $0.0005."""
        budgets = {"all": [{"amount": 0.004, "per": "day", "on_exceeded": then}]}
        server = Server("abc", "c", budgets=budgets, backends={"b": {"price": {"input": 0.1, "output": 0.1}}})
        told = await server.explain(request=body(max_tokens=5000))
        assert names(told) == goes
        assert [one["reason"] for one in told["left_out"][1:2]] == ([] if reason is None else [reason])

    asyncio.run(story())


def test_who_names_no_length_of_the_answer_is_told_which_one_would_be_taken() -> None:
    async def story() -> None:
        server = Server("a", keys=KEYS)
        said = {"route": "chat", "input": 30}
        told = (await server.explain(asked=said, key="team-a"))["refusal"]
        assert (told["status"], told["code"], told["param"]) == (400, "max_tokens_required", "max_tokens")
        assert names(await server.explain(asked={**said, "output": 400}, key="team-a")) == ["a/m"]

    asyncio.run(story())


def test_a_key_that_nobody_has_is_no_key_without_budgets() -> None:
    async def story() -> None:
        server = Server("a", keys=KEYS)
        answer = await explain({"request": body(), "key": "team"}, server.desk, server.engine, {}, server.callers)
        assert (answer.status, answer.body["error"]["message"]) == (400, "there is no key team")

    asyncio.run(story())


def test_a_route_that_is_not_its_key_s_is_refused_as_it_will_be() -> None:
    async def story() -> None:
        server = Server("a", keys=KEYS, more={"small": {"targets": ["c/m"]}})
        told = await server.explain(asked={"route": "small"}, key="team-a")
        assert (names(told), told["refusal"]["status"], told["refusal"]["code"]) == ([], 403, "model_not_allowed")
        assert told["error"] == "This API key may not use the model 'small'. It may use: chat."

    asyncio.run(story())


def test_a_draft_s_budgets_count_what_is_on_record_as_spent_of_them(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "w.db"
        await spent_already(path, Decimal("0.004"))
        server = Server("a", ledger=path)
        for amount, told in ((0.005, 429), (0.0065, None)):
            draft = Server("a", budgets={"all": [{"amount": amount, "per": "total"}]}).text
            found = (await server.explain(request=body(max_tokens=2000), config=draft))["refusal"]
            assert (None if found is None else found["status"]) == told

    asyncio.run(story())


async def spent_already(path: Path, cost: Decimal) -> None:
    """One attempt is on record, of this moment."""
    usual: dict[str, Any] = {"failure": None, "status": 200, "stream": False, "first_byte": None, "first_content": None}
    usual |= {"usage": None, "price": None, "maybe_billed": False, "key": "", "model": "", "last": 0.0}
    ledger = open_ledger(path)
    ledger.record(
        Outcome("r", 1, "chat", "a/m", "a", Ended.SERVED, started_at=time.time(), sent=0.0, cost=cost, **usual)
    )
    await ledger.close()


def test_rules_see_the_tags_of_the_key_that_is_named_and_say_the_priority() -> None:
    async def story() -> None:
        tagged = [{"name": "team-a", "key": SECRET, "tags": ["search"]}, {"name": "team-b", "key": SECRET[::-1]}]
        rules = [{"when": {"tag": "search"}, "use": "b/m", "set": {"priority": "low"}}]
        server = Server("ab", keys=tagged, route={"rules": rules})
        for said in ({"request": body()}, {"asked": {"route": "chat"}}, {"request": body(), "config": server.text}):
            told = await server.explain(key="team-a", **said)
            assert (names(told), told["rule"], told["priority"]) == (["b/m"], 1, "low")
            assert told["request"]["wish"] == {"tags": ["search"]}
            told = await server.explain(key="team-b", **said)
            assert (names(told), told["rule"], told["priority"]) == (["a/m", "b/m"], None, None)

    asyncio.run(story())


limits = st.fixed_dictionaries(
    {},
    optional={"rpm": st.integers(1, 6), "tpm": st.sampled_from([500, 2000, 8000]), "concurrency": st.integers(1, 3)},
).filter(bool)
outward = st.fixed_dictionaries(
    {}, optional={"limits": st.fixed_dictionaries({"rpm": st.integers(1, 4)}), "concurrency": st.integers(1, 3)}
)
come = st.tuples(
    st.sampled_from(["team", "lone"]),
    st.sampled_from([10, 400, 1000, None]),
    st.sampled_from(["whole", "whole", "wait", "wait", "leave", "refuse"]),
)


@settings(max_examples=many(150), deadline=None)
@given(
    st.fixed_dictionaries({}, optional={"key": limits, "route": limits, "all": limits}),
    st.fixed_dictionaries({"a": outward, "b": outward}),
    st.booleans(),
    st.lists(come, min_size=8, max_size=16),
)
def test_what_is_explained_is_what_a_request_at_its_limits_meets(
    given_: dict[str, Any], backends: dict[str, Any], queue: bool, then: list[Any]
) -> None:
    async def story() -> None:
        server = Server(
            "ab",
            keys=[
                {"name": "team", "key": SECRET, **({"limits": given_["key"]} if "key" in given_ else {})},
                {"name": "lone", "key": SECRET[::-1], "budgets": [{"amount": 0.01, "per": "day"}]},
            ],
            backends=backends,
            route={"limits": given_["route"]} if "route" in given_ else {},
            top={
                **({"limits": given_["all"]} if "all" in given_ else {}),
                **({"queue": {"size": 100, "wait": 30}} if queue else {}),
            },
        )
        for key, length, ending in then:
            sent = len(server.net.flights)
            await one(server, key, **({} if length is None else {"max_tokens": length}))
            if len(server.net.flights) == sent or ending == "wait":
                continue
            flight = server.net.flights[-1]
            if ending == "refuse":
                flight.fail(FailureKind.REFUSED)
            elif ending == "leave":
                next(exchange for exchange in server.engine.live if exchange._live).gone()
            else:
                whole(flight, 20)
            for _ in range(5):
                await asyncio.sleep(0)  # those who wait have their turn
        for exchange in list(server.engine.live):
            exchange.gone()

    asyncio.run(story())


def test_who_is_not_let_in_now_is_told_so_or_that_it_waits() -> None:
    async def story() -> None:
        for top, waits in (({}, False), ({"queue": {"wait": "90s"}}, True), ({"queue": {"wait": "30s"}}, False)):
            limited = [{"name": "team-a", "key": SECRET, "limits": {"rpm": 1}}, {"name": "team-b", "key": SECRET[::-1]}]
            server = Server("a", keys=limited, top=top)
            await one(server, "team-a")
            told = await server.explain(request=body(), key="team-a")
            message = told["waits"] if waits else told["error"]
            assert message.startswith("Limit reached for key 'team-a': 1 request a minute.")
            assert (names(told), told["refusal"] is None) == ((["a/m"], True) if waits else ([], False))
            assert waits or (told["refusal"]["status"], told["refusal"]["code"]) == (429, "rate_limit_exceeded")
            assert names(await server.explain(request=body(), key="team-b")) == ["a/m"]

    asyncio.run(story())
