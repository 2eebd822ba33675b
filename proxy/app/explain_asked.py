"""`POST /admin/explain`: a request as a client would send it (or only what is known of one), perhaps a draft of the
configuration, perhaps targets that are taken for being down."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from proxy.app.callers import Callers
from proxy.app.desk import Desk
from proxy.app.explain_limits import Entrance
from proxy.app.explain_limits import of as limits_of
from proxy.app.explain_money import Payer, Purse, as_known
from proxy.app.explain_money import as_it_is as money_as_it_is
from proxy.app.explaining import Known, NoRoute, as_it_is, barred, custom_of, explained, plain, route_of
from proxy.config.load import load
from proxy.config.prices import price_targets
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.ability import CAPABILITIES
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.counting import counted, edges_of
from proxy.core.choice.facts import Facts, facts_of, text_of
from proxy.core.choice.rules import Asked, priority_of
from proxy.core.choice.wish import NONE, Wish, with_tags
from proxy.core.key import Key
from proxy.core.money.afford import asked_about
from proxy.core.money.bound import Asked as Bought
from proxy.core.money.bound import asked_of
from proxy.core.money.budget import Owned
from proxy.core.route import Route
from proxy.engine.engine import Engine
from proxy.engine.lessons import conversation
from proxy.engine.purses import Purses
from proxy.engine.scopes import USUAL, tokens_of
from proxy.engine.shelf import asked as asked_live
from proxy.ledger.schema import LedgerError
from proxy.ledger.spent import spent_of
from proxy.wire.body import chat_request, embed_request
from proxy.wire.errors import Refusal
from proxy.wire.wishes import wish_in, with_wish

DRAFT = "draft"
"""The file's name in problems of a draft."""
MEMBERS = ("request", "asked", "headers", "key", "config", "down", "hour")


class Answer(NamedTuple):
    """An HTTP status and the JSON body."""

    status: int
    body: dict[str, Any]


class _Bad(ValueError):
    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class _Wanted(NamedTuple):
    """What is to be explained."""

    config: Config
    key: Key
    route: Route
    asked: Asked
    bought: Bought
    """What it may cost."""
    tokens: float
    """What it may take of limits."""
    known: Known
    down: tuple[str, ...]


async def explain(
    said: object, desk: Desk, engine: Engine, environ: Mapping[str, str], callers: Callers | None = None
) -> Answer:
    """What would happen now. Sends nothing, and changes nothing. `callers`: all keys, where there are others than those
    of the configuration. `said`, a JSON object with one of the first two:

    request: the body of a chat or embeddings request
    asked: {route, input, output, needs}: what matters of one, tokens and capabilities
    headers: of the request; key: the name of the caller's key
    config: the text of a configuration that is not in force
    down: names of targets or backends; hour: of the day, for rules

    200 with what was found, as `proxy.app.explaining.plain` says it; 400 where it makes no sense, with all problems
    of a draft in `error.problems` (line, column, path, message)."""
    try:
        told = _object(said)
        config = desk.config
        if "config" in told:
            drafted = await asyncio.to_thread(_draft, _text(told, "config"), desk.config, environ)
            if isinstance(drafted, Problems):
                return _problems(drafted)
            config = drafted
        wanted = _wanted(told, config, _key(told, config, callers), desk, engine)
        purse = await _purse(wanted, desk, engine)
        _, key, route, asked, _, _, known, down = wanted
        entrance = _entrance(wanted, desk, engine)
        found = plain(explained(route, asked, known, custom_of(route), down, purse, entrance))
        return Answer(200, barred(found, key, asked.facts.model))
    except _Bad as error:
        return _error(str(error), error.param)
    except (NoRoute, ValueError) as error:
        return _error(str(error), None)


def _key(told: Mapping[str, Any], config: Config, callers: Callers | None) -> Key:
    """The caller's, by its name."""
    name = _text(told, "key") if "key" in told else ""
    known = {} if callers is None or callers.table is None else dict(callers.table.by_name)
    known |= {one.name: one.key for one in config.keys}
    if name and known and name not in known:
        raise _Bad("key", f"there is no key {name}")
    return known.get(name) or Key(name)


def _entrance(wanted: _Wanted, desk: Desk, engine: Engine) -> Entrance:
    """Nothing is counted yet of a configuration that is not in force."""
    route, asked, seen = wanted.route, wanted.asked, wanted.known.seen
    road = desk.roads.find(route.name) if wanted.config is desk.config else None
    limiter = None if engine.admission is None or road is None else engine.admission.limiter
    rules = () if route.policy is None else route.policy.rules
    priority = priority_of(rules, asked, seen.hour)
    limits = limits_of(wanted.config, wanted.key, route)
    return Entrance(limiter, limits, route, {} if road is None else road.lanes, wanted.tokens, priority, seen.now)


async def _purse(wanted: _Wanted, desk: Desk, engine: Engine) -> Purse | None:
    """What is left of the budgets that hold for it; `None`: there are none."""
    config, key, route, asked, bought, _, _, _ = wanted
    payer = Payer(config.budgets, key, route.name, tuple(sorted(asked.wish.tags)), bought)
    purses = None if engine.admission is None else engine.admission.purses
    now = time.time()
    if config is desk.config and isinstance(purses, Purses):
        return money_as_it_is(payer, purses, now)
    lasting = payer.lasting(route)
    known = (
        {}
        if purses is None or not isinstance(purses, Purses)
        else {one.owned: (one.spent, one.reserved) for one in purses.standings()}
    )
    if config.ledger is not None and desk.config.ledger is not None and not lasting <= known.keys():
        unread = lasting - known.keys()
        known |= await asyncio.to_thread(_on_record, desk.config.ledger, unread, now)
    return as_known(payer, known, now)


def _on_record(ledger: str, owned: set[Owned], now: float) -> dict[Owned, tuple[int, int]]:
    if not Path(ledger).is_file():
        return {}
    try:
        return {one: (spent_of(ledger, one, now), 0) for one in owned}
    except (sqlite3.Error, OSError, LedgerError) as error:
        raise _Bad("", f"the ledger cannot be read: {error}") from error


def _draft(text: str, before: Config, environ: Mapping[str, str]) -> Config | Problems:
    """Files that it names are not read: keys are not needed here."""
    found = load(text, environ, DRAFT, lambda _path: "unread")
    if isinstance(found, Problems):
        return found
    for route in found.routes.values():
        said = "" if route.policy is None else route.policy.custom
        if said and not any(said == one.policy.custom for one in before.routes.values() if one.policy is not None):
            raise _Bad("config", f"route {route.name}: only a function that is in force can be asked here, not {said}")
    return price_targets(found)[0]


def _wanted(told: Mapping[str, Any], config: Config, key: Key, desk: Desk, engine: Engine) -> _Wanted:
    hour, down = _hour(told), _names(told, "down")
    headers = _headers(told)
    if ("request" in told) == ("asked" in told):
        raise _Bad("request", "one of 'request' and 'asked' is needed")
    if "asked" in told:
        facts = _facts(told["asked"])
        route = _route(facts.model, config, desk)
        wish = with_tags(_wish(headers), key.tags)
        asked, bought = Asked(facts, wish, key.name, headers), asked_about(facts)
        tokens = facts.input + ((_usual(engine) if facts.output is None else facts.output) if facts.chat else 0.0)
        known = as_it_is(engine, desk, route, hour)
    else:
        route, asked, bought, tokens, known = _whole(told["request"], headers, key, hour, config, desk, engine)
    strangers = [name for name in down if all(name not in (one.name, one.backend) for one in route.targets)]
    if strangers:
        raise _Bad("down", f"route {route.name} has no target or backend {', '.join(strangers)}")
    return _Wanted(config, key, route, asked, bought, tokens, known, down)


def _route(name: str, config: Config, desk: Desk) -> Route:
    if config is desk.config:
        road = desk.roads.find(name)
        if road is not None:
            return road.route
    return route_of(config, name)


def _whole(
    body: object,
    headers: Mapping[bytes, bytes],
    key: Key,
    hour: int | None,
    config: Config,
    desk: Desk,
    engine: Engine,
) -> tuple[Route, Asked, Bought, float, Known]:
    """A request as a client would send it."""
    raw = orjson.dumps(body)
    vectors = isinstance(body, dict) and "input" in body and "messages" not in body
    request = embed_request(raw, desk.max_depth) if vectors else chat_request(raw, desk.max_depth)
    if isinstance(request, Refusal):
        raise _Bad("request", _message(request))
    route = _route(request.model, config, desk)
    rules = () if route.policy is None else route.policy.rules
    looked_at = frozenset(name.encode() for rule in rules for name, _ in rule.when.header)
    wished = with_wish(request, headers, looked_at)
    if isinstance(wished, Refusal):
        raise _Bad("request", _message(wished))
    if key.tags:
        wished = wished._replace(wish=with_tags(wished.wish or NONE, key.tags))
    chat = isinstance(wished, ChatRequest)
    last = ""
    if chat and route.policy is not None and route.policy.sticky:
        last = engine.choices.last.get((route.name, conversation(wished.body)), "")
    road = desk.roads.find(request.model) if config is desk.config else None
    if road is not None:
        asked = asked_live(road, wished, key.name)
        if not asked.facts.input:  # nothing depends on it, but whoever asks wants to see it
            asked = asked._replace(facts=_facts_of(wished))
    else:
        wish = NONE if wished.wish is None else wished.wish
        facts = _facts_of(wished)
        own = {one.name: desk.tokenizers.own(one.model) for one in route.targets} if config.tokenizers else {}
        known = {name: tokenizer for name, tokenizer in own.items() if tokenizer is not None}
        facts = counted(edges_of(route, known), known, facts, wish, wished.body)
        asked = Asked(facts, wish, key.name, dict(wish.headers))
    seen = as_it_is(engine, desk, route, hour, last)
    if road is not None and road.goes_as_written(wished):  # it meets the limits of its targets one by one
        seen = seen._replace(seen=replace(seen.seen, closed={}))
    text = text_of(wished)
    return route, asked, asked_of(wished, text), tokens_of(wished, _usual(engine), text), seen


def _usual(engine: Engine) -> float:
    """Tokens of an answer for which nobody names a bound."""
    limiter = None if engine.admission is None else engine.admission.limiter
    return USUAL if limiter is None else limiter.usual


def _facts_of(request: ChatRequest | EmbedRequest) -> Facts:
    return facts_of(request.body, chat=isinstance(request, ChatRequest), model=request.model)


# Reading what was said --------------------------------------------------------------------------------------------


def _object(said: object) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise _Bad("", "a JSON object is needed")
    strange = [name for name in said if name not in MEMBERS]
    if strange:
        raise _Bad(strange[0], f"unknown member '{strange[0]}', expected {', '.join(MEMBERS)}")
    return {name: value for name, value in said.items() if value is not None}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said[name]
    if not isinstance(value, str):
        raise _Bad(name, f"'{name}' must be a text")
    return value


def _names(said: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = said.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _Bad(name, f"'{name}' must be a list of names")
    return tuple(value)


def _hour(said: Mapping[str, Any]) -> int | None:
    value = said.get("hour")
    if value is not None and (type(value) is not int or not 0 <= value <= 23):
        raise _Bad("hour", "'hour' must be an hour of the day, 0 to 23")
    return value


def _headers(said: Mapping[str, Any]) -> dict[bytes, bytes]:
    value = said.get("headers", {})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _Bad("headers", "'headers' must be an object of texts")
    return {
        name.lower().encode("latin-1", "replace"): text.encode("latin-1", "replace") for name, text in value.items()
    }


def _wish(headers: Mapping[bytes, bytes]) -> Wish:
    found = wish_in(headers, None)
    if isinstance(found, Refusal):
        raise _Bad("headers", _message(found))
    return NONE if found is None else found


def _facts(said: object) -> Facts:
    if not isinstance(said, dict) or not isinstance(said.get("route"), str):
        raise _Bad("asked", "'asked' must be an object that names a route")
    numbers = [said.get("input", 1000), said.get("output")]
    if type(numbers[0]) is not int or numbers[0] < 0 or not (numbers[1] is None or type(numbers[1]) is int):
        raise _Bad("asked", "'input' and 'output' must be numbers of tokens")
    needs = frozenset(_names(said, "needs"))
    if not needs <= set(CAPABILITIES):
        raise _Bad("asked", f"'needs' must be some of {', '.join(CAPABILITIES)}")
    return Facts(numbers[0], numbers[1], needs, "embeddings" not in needs, said["route"])


def _message(refusal: Refusal) -> str:
    return str(orjson.loads(refusal.body)["error"]["message"])


def _error(message: str, param: str | None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "code": "invalid_request", "param": param or None}
    return Answer(400, {"error": error})


def _problems(found: Problems) -> Answer:
    answer = _error(str(found), "config")
    answer.body["error"]["code"] = "invalid_configuration"
    answer.body["error"]["problems"] = [
        {"line": one.mark.line, "column": one.mark.column, "path": one.path, "message": one.message}
        for one in found.items
    ]
    return answer
