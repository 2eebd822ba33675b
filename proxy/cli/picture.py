"""A configuration as a readable picture, at most 100 columns wide. Pure: `Config` in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from proxy.cli.words import of_limits, of_route, of_target
from proxy.config.address import is_loopback
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend, Config
from proxy.config.variables import why_missing
from proxy.core.money.budget import Budget, Scope
from proxy.core.money.words import much_and_then, whose
from proxy.core.price import Price
from proxy.core.route import Route, Target

WIDTH = 100
LONGEST_NAME = 48
_KINDS = 9
"""Columns for a backend's type, at least."""

Paint = Callable[[str, str], str]
"""(text, role) -> text; roles are `head`, `good`, `off`, `bad`, `dim`."""


def plain(text: str, _role: str) -> str:
    """Without colours."""
    return text


def picture(config: Config, paint: Paint, *, keyed: bool = False) -> Iterator[str]:
    """The lines. `keyed`: callers' keys stand in the database."""
    used = sum(not b.missing for b in config.backends.values())
    routes = len(config.routes)
    yield paint(_cut(f"{config.source} is fine", WIDTH), "head") + (
        f": {routes} route{'s' * (routes != 1)}, {used} of {len(config.backends)} backends in use"
    )
    yield ""
    yield from _front(config, keyed=keyed)
    yield ""
    yield paint("backends", "head")
    width = _width(config.backends)
    kinds = max(_KINDS, *(len(backend.type) for backend in config.backends.values()))
    for backend in config.backends.values():
        yield from _backend(backend, width, kinds, paint)
    yield ""
    yield paint("routes", "head") + paint("  (US dollars per million tokens)", "dim")
    for route in config.routes.values():
        yield from _route(config, route, paint)


def _front(config: Config, *, keyed: bool) -> Iterator[str]:
    listen = config.listen
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    yield f"listen   http://{host}:{listen.port}, {_callers(config, keyed=keyed)}" + (
        " (only this machine reaches it)" if is_loopback(listen.host) else ""
    )
    yield f"ledger   {_cut(config.ledger, WIDTH - 9) if config.ledger else 'none: nothing is put on record'}"
    if keyed and config.keys:
        yield "keys     and those of the database (`wayline keys list`)"
    limits = ", ".join(of_limits(config.limits.rates, concurrency=config.limits.concurrency))
    if limits:
        yield from textwrap.wrap(f"limits   {limits}", WIDTH, subsequent_indent=" " * 9)
    money = [f"{whose(*of)} {much_and_then(budget)}" for of, given in _budgets(config) for budget in given]
    if money:
        yield from textwrap.wrap(f"budgets  {'; '.join(money)}", WIDTH, subsequent_indent=" " * 9)
    if config.cors:
        yield _cut(f"cors     {', '.join(config.cors.origins)}", WIDTH)
    if config.direct:
        yield "direct   backend/model may be asked for by name"


def _callers(config: Config, *, keyed: bool) -> str:
    if not config.keys:
        return "keys of the database" if keyed else "no keys asked for"
    return f"{len(config.keys)} keys of callers" if len(config.keys) > 1 else "1 key of a caller"


def _budgets(config: Config) -> Iterator[tuple[tuple[Scope, str], tuple[Budget, ...]]]:
    yield from config.budgets.budgets.items()
    yield from (((Scope.KEY, key.name), key.budgets) for key in config.keys)


def _backend(backend: Backend, width: int, kinds: int, paint: Paint) -> Iterator[str]:
    start = f"  {_cut(backend.name, width):<{width}}  {backend.type:<{kinds}}  "
    if backend.missing:
        yield from _lines(start, f"not configured: {why_missing(backend.missing)}", paint, "off")
        return
    told = of_limits(backend.rates, adaptive=backend.adaptive is not None, concurrency=backend.concurrency)
    limit = "".join(f", {words}" for words in told)
    if BACKEND_TYPES[backend.type].ours:
        where = f"runs here (engine {backend.engine})"
        if backend.isolation == "none":
            where += ", inside this process"
    else:
        options = backend.options
        place = backend.base_url or options.get("region") or options.get("location") or "where its kind is"
        where = f"{place}, {_key(backend)}"
    yield from _lines(start, where + limit, paint, "good")
    for model in backend.models.values():
        what = f"{model.name}: {model.package or model.path}, {model.n_ctx} tokens of context"
        more = [
            *([f"{model.parallel} at once"] if model.parallel > 1 else []),
            *(["embeddings"] if model.embedding else []),
            *(["loaded at start"] if model.preload else []),
        ]
        yield from _lines(" " * len(start), ", ".join([what, *more]), paint, "dim")


def _key(backend: Backend) -> str:
    if backend.api_key:
        return f"with {len(backend.api_keys)} keys" if backend.api_keys else "with a key"
    for name in ("token_command", "token_file"):
        if backend.options.get(name):
            return f"with a token ({name})"
    return {"bedrock": "with AWS's credentials", "vertex": "with Google's credentials"}.get(backend.type, "no key")


def _route(config: Config, route: Route, paint: Paint) -> Iterator[str]:
    out = [o for o in config.left_out if o.route == route.name]
    tried = len(route.targets)
    note = ""
    if not tried:
        note = paint("  no target is left: answers 503", "bad")
    elif tried > route.max_attempts:
        note = paint(f"  one request tries at most {route.max_attempts} of these", "dim")
    yield f"  {paint(_cut(route.name, LONGEST_NAME), 'head')}{note}"
    for words in of_route(route):
        yield from _lines(" " * 7, words, paint, "dim")
    width = _width([*(t.name for t in route.targets), *(o.target for o in out)])
    for number, target in enumerate(route.targets, 1):
        yield from _target(config, target, number, width, paint)
    for left in out:
        yield from _entry("-", left.target, width, f"left out: {left.reason}", paint, "off")


def _target(config: Config, target: Target, number: int, width: int, paint: Paint) -> Iterator[str]:
    role = "good" if target.price else "off"
    yield from _entry(str(number), target.name, width, _price(target.price), paint, role)
    words = of_target(config, target)
    if words:
        yield from _lines(" " * 7, words, paint, "dim")


def _price(price: Price | None) -> str:
    if price is None:
        return "price unknown (say it with `price`)"
    if price.origin == "local":
        return "free"
    parts = [f"{_dollars(price.input)} in", f"{_dollars(price.output)} out"]
    for value, name in (
        (price.cached_input, "cached"),
        (price.cache_write, "cache write"),
        (price.reasoning, "reasoning"),
    ):
        if value is not None:
            parts.append(f"{_dollars(value)} {name}")
    source = "" if price.origin == "config" else f"  {price.origin}"
    return ", ".join(parts) + source + (f" since {price.dated}" if price.dated else "")


def _dollars(value: Decimal) -> str:
    """With two places at least, and all that there are."""
    digits = f"{value.normalize():f}"
    whole, _, part = digits.partition(".")
    return f"${whole}.{part:0<2}"


def _width(names: Iterable[str]) -> int:
    return min(max((len(name) for name in names), default=0), LONGEST_NAME)


def _entry(mark: str, name: str, width: int, text: str, paint: Paint, role: str) -> Iterator[str]:
    """A target and what is said of it; below it where the name is too long for the column."""
    start = f"    {mark}  {name:<{width}}  "
    if len(name) > width:
        yield start.rstrip()
        start = " " * (width + 9)
    yield from _lines(start, text, paint, role)


def _lines(start: str, text: str, paint: Paint, role: str) -> Iterator[str]:
    """The text after its start, going on below itself where it does not fit."""
    for number, part in enumerate(textwrap.wrap(text, WIDTH - len(start), break_on_hyphens=False)):
        yield (" " * len(start) if number else start) + paint(part, role)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"
