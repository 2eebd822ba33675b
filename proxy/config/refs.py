"""What must hold between parts of a configuration: each check tells its own problems, and goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from proxy.config import attending, choosing, limiting, money
from proxy.config.address import exposed, is_loopback
from proxy.config.admin import admin_problems
from proxy.config.check import OUTSIDE, Found
from proxy.config.databases import state_of
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.problem import Problem, nearest, one_of, shown
from proxy.config.spec.top import LISTEN


def problems(top: Found, has_keys: Callable[[str], bool] = lambda _: False) -> Iterator[Problem]:
    """Every problem between parts. Parts that are wrong in themselves are passed over. `has_keys`: callers' keys stand
    in the database of that path."""
    yield from _listen(top, has_keys)
    yield from _keys(top.get("keys"))
    yield from _cors(top.get("cors"))
    yield from admin_problems(top)
    yield from limiting.problems(top)
    yield from money.problems(top)
    yield from attending.problems(top)
    backends = top.get("backends")
    if backends is not None:
        yield from _one_or_several_keys(backends)
        yield from _local_models(backends)
    routes = top.get("routes")
    if routes is not None:
        yield from _routes(routes, backends)


def _listen(top: Found, has_keys: Callable[[str], bool]) -> Iterator[Problem]:
    listen = top.get("listen")
    host = listen and listen.get("host")
    keys = top.value.get("keys", ...)
    if listen and "host" in listen.value and host is None:
        return
    text: str = host.value if host else LISTEN.keys[0].default
    if is_loopback(text) or (keys is not ... and (keys is None or keys.value)):
        return
    state = state_of(*(found.plain() if (found := top.get(name)) else {} for name in ("state", "ledger")))
    if state is None or not has_keys(state):
        yield Problem((host or top).mark, "listen.host", exposed(OUTSIDE if host and host.outside else text))


def _keys(keys: Found | None) -> Iterator[Problem]:
    names: dict[str, int] = {}
    digests: dict[str, int] = {}
    for i, key in enumerate(keys.value if keys else ()):
        if key is None:
            continue
        given = [name for name in ("key", "key_sha256") if name in key.value]
        if len(given) != 1:
            yield Problem(key.mark, f"keys[{i}]", "expected exactly one of `key` and `key_sha256`")
            continue
        name, secret = key.get("name"), key.get(given[0])
        if name and names.setdefault(name.value, i) != i:
            yield Problem(name.mark, f"keys[{i}].name", f"keys[{names[name.value]}] has this name already")
        if secret and digests.setdefault(digest(given[0], secret.value), i) != i:
            other = digests[digest(given[0], secret.value)]
            yield Problem(secret.mark, f"keys[{i}].{given[0]}", f"the same key as keys[{other}]")


def digest(field: str, value: str) -> str:
    """SHA-256 of a caller's key, in lower-case hexadecimal."""
    return value.lower() if field == "key_sha256" else hashlib.sha256(value.encode()).hexdigest()


def _cors(cors: Found | None) -> Iterator[Problem]:
    origins = cors and cors.get("origins")
    if origins and len(origins.value) > 1 and any(o and o.value == "*" for o in origins.value):
        yield Problem(origins.mark, "cors.origins", "`*` stands for any origin: expected it alone")


def _one_or_several_keys(backends: Found) -> Iterator[Problem]:
    for name, backend in backends.value.items():
        if backend is not None and "api_key" in backend.value and "api_keys" in backend.value:
            yield Problem(backend.mark, f"backends.{name}", "expected either `api_key` or `api_keys`")


def _local_models(backends: Found) -> Iterator[Problem]:
    for name, backend in backends.value.items():
        models = backend and backend.get("models")
        for model, given in (models.value if models else {}).items():
            if given is not None and ("package" in given.value) == ("path" in given.value):
                message = "expected exactly one of `package` and `path`"
                yield Problem(given.mark, f"backends.{name}.models.{model}", message)


def _routes(routes: Found, backends: Found | None) -> Iterator[Problem]:
    for name, route in routes.value.items():
        first, slash, _ = name.partition("/")
        if slash and backends and first in backends.value:
            message = f"reads as a model of the backend {shown(first)}: expected another name"
            yield Problem(route.mark if route else routes.mark, f"routes.{name}", message)
        if route is None:
            continue
        yield from choosing.problems(route, f"routes.{name}")
        targets = route.get("targets")
        if targets:
            yield from _targets(targets, backends, f"routes.{name}.targets")
        groups = route.get("groups")
        for group, found in (groups.value if groups else {}).items():
            inside = found and found.get("targets")
            if inside:
                yield from _targets(inside, backends, f"routes.{name}.groups.{group}.targets")


def _targets(targets: Found, backends: Found | None, path: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for i, found in enumerate(targets.value):
        at = found.get("target") if found and isinstance(found.value, dict) else found
        if at is None:
            continue
        if seen.setdefault(at.value, i) != i:
            message = f"the same target as number {seen[at.value] + 1} (`retry.same_target` tries one again)"
            yield Problem(at.mark, f"{path}[{i}]", message)
        if backends is not None:
            yield from _target(at, backends.value, f"{path}[{i}]")


def _target(at: Found, backends: dict[str, Any], path: str) -> Iterator[Problem]:
    name, _, model = at.value.partition("/")
    if name not in backends:
        yield Problem(at.mark, path, f"unknown backend {_words(name, at, backends)}")
        return
    backend: Found | None = backends[name]
    models = backend and backend.get("models")
    if backend and models and BACKEND_TYPES[backend.value["type"].value].ours and model not in models.value:
        yield Problem(
            at.mark, path, f"{'its backend' if at.outside else name} has no model {_words(model, at, models.value)}"
        )


def _words(name: str, at: Found, known: Iterable[str]) -> str:
    """What was found and what was expected; nothing of what came from outside."""
    if at.outside:
        return f"in {OUTSIDE}, expected {one_of(known)}"
    return f"{shown(name)}, expected {one_of(known)}{nearest(name, known)}"
