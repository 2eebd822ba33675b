"""Checked values -> `Config`: references resolved, the nearest setting chosen, what cannot be used left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from proxy.config.abilities import ability_of, declared
from proxy.config.address import is_loopback
from proxy.config.admin import admin_of
from proxy.config.attending import attending_of, feedback_of, screen_of, unsafe
from proxy.config.check import Found
from proxy.config.databases import ledger_of, state_of
from proxy.config.health import alerting_of, probe_of
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.limiting import limits_of, places_of, queue_of, rates_of
from proxy.config.money import budgets_of, terms_of
from proxy.config.policy import items_of, policy_of
from proxy.config.refs import digest
from proxy.config.spec.options import options_of
from proxy.config.values import Backend, CallerKey, Config, Cors, LeftOut, Listen, LocalModel, Store, Why
from proxy.config.variables import why_missing
from proxy.core.ability import UNKNOWN, Ability
from proxy.core.outcome import How
from proxy.core.price import FREE, Price
from proxy.core.route import Hedge, OnCut, Retry, Route, Target, Unsupported
from proxy.core.secret import Secret

Plain = Mapping[str, Any]

NOT_SECRET = frozenset(
    {"user-agent", "accept", "accept-language", "openai-organization", "openai-project", "http-referer", "x-title"}
)
"""Headers whose value may be printed; of any other the value is kept as a secret."""


def build(top: Found, source: str) -> Config:
    """The configuration of a file without problems."""
    plain: Plain = top.plain()
    given: dict[str, Found] = top.value["backends"].value
    settings: dict[str, Plain] = plain["backends"]
    backends = {name: _backend(name, settings[name], found.missing) for name, found in given.items()}
    left_out: list[LeftOut] = []
    queue = queue_of(plain)
    routes = {
        name: replace(
            _route(name, route, backends, settings, left_out),
            queue=queue_of(route, queue),
            **attending_of(route, plain),
        )
        for name, route in plain["routes"].items()
    }
    direct = {b.name: _target(b, "", [settings[b.name]]) for b in backends.values() if not b.missing}
    return Config(
        listen=Listen(**plain.get("listen", {})),
        ledger=ledger_of(plain.get("ledger", {})),
        why=_why(plain.get("ledger", {})),
        state=state_of(plain.get("state", {}), plain.get("ledger", {})),
        backends=MappingProxyType(backends),
        routes=MappingProxyType(routes),
        left_out=tuple(left_out),
        keys=tuple(_key(key) for key in plain.get("keys", ())),
        limits=limits_of(plain),
        queue=queue,
        budgets=terms_of(plain),
        cors=_cors(plain["cors"]) if "cors" in plain else None,
        admin=admin_of(plain["admin"]) if "admin" in plain else None,
        alerts=alerting_of(plain.get("alerts", {})),
        direct=plain.get("direct", False),
        direct_targets=MappingProxyType(direct),
        tokenizers=plain.get("tokenizers", False),
        store=Store(**plain["store"]) if "store" in plain else None,
        screen=screen_of({}, plain["screen"]) if "screen" in plain else None,
        feedback=feedback_of(plain),
        log=plain.get("log", "auto"),
        source=source,
    )


def _why(plain: Plain | bool) -> Why:
    usual = Why()
    if isinstance(plain, bool):
        return usual
    return Why(plain.get("why_days", usual.days), plain.get("why_rows", usual.rows))


def _key(plain: Plain) -> CallerKey:
    field = "key" if "key" in plain else "key_sha256"
    sha256 = bytes.fromhex(digest(field, plain[field]))
    return CallerKey(
        plain["name"],
        sha256,
        limits_of(plain),
        float(plain.get("weight", 1)),
        frozenset(plain["routes"]) if "routes" in plain else None,
        tuple(sorted(plain.get("tags", ()))),
        plain.get("owner", ""),
        plain.get("expires"),
        budgets_of(plain),
    )


def _cors(plain: Plain) -> Cors:
    return Cors(tuple(plain["origins"]), int(plain["max_age"])) if "max_age" in plain else Cors(tuple(plain["origins"]))


def _backend(name: str, plain: Plain, missing: tuple[str, ...]) -> Backend:
    row = BACKEND_TYPES[plain["type"]]
    models = {model: LocalModel(name=model, **given) for model, given in plain.get("models", {}).items()}
    keys = tuple(Secret(key) for key in plain.get("api_keys", (plain.get("api_key"),)) if key)
    places, adaptive = places_of(plain.get("concurrency"))
    return Backend(
        name=name,
        type=row.name,
        base_url=plain.get("base_url", row.base_url or ""),
        api_key=keys[0] if keys else None,
        api_keys=keys if len(keys) > 1 else (),
        headers=_headers([plain]),
        concurrency=places,
        adaptive=adaptive,
        rates=rates_of(plain.get("limits", {})),
        missing=missing,
        options=MappingProxyType({key.name: plain[key.name] for key in options_of(row.name) if key.name in plain}),
        engine=plain.get("engine", "auto"),
        isolation=plain.get("isolation", "process"),
        models=MappingProxyType(models),
    )


def _route(
    name: str, plain: Plain, backends: Mapping[str, Backend], settings: Mapping[str, Plain], left_out: list[LeftOut]
) -> Route:
    targets: list[Target] = []
    missing: list[tuple[str, str]] = []
    for own in items_of(plain):
        backend_name, _, model = own["target"].partition("/")
        backend = backends[backend_name]
        if backend.missing:
            left_out.append(LeftOut(name, own["target"], why_missing(backend.missing)))
            missing.append((own["target"], f"not configured: {left_out[-1].reason}"))
        elif (why := unsafe(plain, own)) is not None:
            left_out.append(LeftOut(name, own["target"], why))
            missing.append((own["target"], why))
        else:
            targets.append(_target(backend, model, [settings[backend_name], plain, own]))
    return Route(
        name=name,
        targets=tuple(targets),
        max_attempts=plain.get("max_attempts", Route("", ()).max_attempts),
        reply_model_is_route=plain.get("reply_model") == "route",
        reply_cost=plain.get("reply_cost", False),
        same_vectors=plain.get("same_vectors", False),
        filtered_goes_elsewhere=plain.get("on_filter") == "next",
        unsupported=Unsupported(plain.get("unsupported", Unsupported.NEXT.value)),
        policy=policy_of(plain),
        missing=tuple(missing),
        limits=limits_of(plain),
        **_streams(plain),
    )


def _streams(plain: Plain) -> dict[str, Any]:
    """What a route says about its streams; for what it does not say, `Route` has the default."""
    going_on = plain.get("continue", {})
    said = {name: plain[name] for name in ("max_continuations", "keep_alive", "min_rate") if name in plain}
    if "on_cut" in plain:
        said["on_cut"] = OnCut(plain["on_cut"])
    if "hold" in plain:
        said["hold_tools"] = True
    if "by" in going_on:
        said["continue_by"] = tuple(How(word) for word in going_on["by"])
    if "exact_within" in going_on:
        said["exact_within"] = going_on["exact_within"]
    if "hedge" in plain:
        said["hedge"] = Hedge(**plain["hedge"])
    return said


def _target(backend: Backend, model: str, levels: list[Plain]) -> Target:
    """The levels go from the farthest (the backend) to the nearest (the target itself)."""
    row = BACKEND_TYPES[backend.type]
    prices = [level["price"] for level in levels if "price" in level]
    params = [level["params"] for level in levels if "params" in level]
    said = [level["concurrency"] for level in levels[1:] if "concurrency" in level]
    places, adaptive = places_of(said[-1] if said else None)
    prefill = [level["prefill"] for level in levels if "prefill" in level]
    return Target(
        name=f"{backend.name}/{model}",
        backend=backend.name,
        model=model,
        timeouts=row.timeouts._replace(**_merged(levels, "timeouts")),
        retry=Retry()._replace(**_merged(levels, "retry")),
        price=_price(prices[-1]) if prices else FREE if row.free or backend.options.get("free_only") else None,
        headers=_headers(levels),
        defaults=MappingProxyType(_merged(params, "defaults")),
        overrides=MappingProxyType(_merged(params, "overrides")),
        drop=frozenset(name for level in levels for name in level.get("drop", ())),
        concurrency=places,
        adaptive=adaptive,
        rates=rates_of(levels[-1].get("limits", {})) if len(levels) > 2 else (),
        ability=_ability(backend, model, levels),
        prefill=prefill[-1] if prefill else None,
        probe=None if row.ours else probe_of(levels, row.free),
        local=row.ours or is_loopback(urlsplit(backend.base_url).hostname or ""),
    )


def _ability(backend: Backend, model: str, levels: list[Plain]) -> Ability:
    """What the file says; what a model that we run is loaded with; what is known by its name."""
    ours = backend.models.get(model)
    loaded = UNKNOWN if ours is None else Ability(context=ours.n_ctx)
    return declared(_merged(levels, "capabilities")).over(loaded).over(ability_of(model) if model else UNKNOWN)


def _merged(levels: Iterable[Plain], key: str) -> dict[str, Any]:
    return {name: value for level in levels for name, value in level.get(key, {}).items()}


def _price(plain: Plain) -> Price:
    return Price(**plain)


def _headers(levels: Iterable[Plain]) -> Mapping[str, str | Secret]:
    """Names in lower case, since HTTP compares them so (RFC 9110 section 5.1)."""
    merged = {name.lower(): value for level in levels for name, value in level.get("headers", {}).items()}
    return MappingProxyType({n: v if n in NOT_SECRET else Secret(v) for n, v in merged.items()})
