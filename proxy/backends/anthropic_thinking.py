"""How much a model is to think, in Anthropic's words: a budget, or an effort, as its generation takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.backends.anthropic_models import Traits

_LEAST = 1024
"""Tokens: a smaller budget is refused."""
_MOST = 32_000
"""Tokens of a budget that only an effort was named for. (Anthropic advises against streaming more than that.)"""
_BUDGETS = {"minimal": _LEAST, "low": 2048, "medium": 8192, "high": 24_576, "xhigh": _MOST, "max": _MOST}
_SHARE = 0.8
"""Of `max_tokens`, which a budget counts against: the answer needs the rest."""
_ROOM = 4096
"""Tokens for the answer where a budget was named, and no limit."""
_ON = ("enabled", "adaptive")


class Wish(NamedTuple):
    """What a request wants."""

    names: tuple[str, ...]
    """The parameters that say so."""
    effort: str = ""
    budget: int | None = None
    off: bool = False
    hidden: bool = False
    """The thoughts are not to be shown."""
    raw: Mapping[str, Any] | None = None
    """In Anthropic's own words (`thinking`)."""


class Thinking(NamedTuple):
    """What is sent."""

    config: dict[str, Any] | None = None
    effort: str = ""
    max_tokens: int = 0
    lost: tuple[str, ...] = ()
    """The parameters that could not be expressed."""

    @property
    def on(self) -> bool:
        return self.config is not None and self.config.get("type") in _ON


def wish_of(body: Mapping[str, Any]) -> Wish | None:
    """From `thinking`, OpenRouter's `reasoning`, or `reasoning_effort`; `None` where nothing is said of it."""
    raw = body.get("thinking")
    if isinstance(raw, Mapping) and isinstance(raw.get("type"), str):
        budget = raw.get("budget_tokens")
        hidden = raw.get("display") == "omitted"
        off = raw["type"] not in _ON
        return Wish(("thinking",), "", budget if type(budget) is int else None, off, hidden, raw)
    given = body.get("reasoning")
    if isinstance(given, Mapping):
        effort, budget, hidden = given.get("effort"), given.get("max_tokens"), bool(given.get("exclude"))
        if not isinstance(effort, str):
            effort = ""
        if type(budget) is int:
            return Wish(("reasoning",), effort, budget, budget <= 0, hidden)
        if effort or isinstance(given.get("enabled"), bool):
            off = effort == "none" or (not effort and given.get("enabled") is False)
            return Wish(("reasoning",), effort, None, off, hidden)
    effort = body.get("reasoning_effort")
    if isinstance(effort, str) and effort:
        return Wish(("reasoning_effort",), effort, off=effort == "none")
    return None


def thinking(wish: Wish | None, traits: Traits, limit: int, *, limited: bool, forced: bool, stuck: bool) -> Thinking:
    """`limit`: `max_tokens`, which the request named itself if `limited`. `forced`: the model must call a tool, so that
    it cannot think. `stuck`: it cannot think with a budget here, since its last turn began without."""
    if wish is None:
        return Thinking(max_tokens=limit)
    if wish.off:
        return _off(wish, traits, limit)
    budgeted = traits.budget and (not traits.adaptive or wish.budget is not None)
    if budgeted and (not traits.adaptive or not (forced or stuck)):
        return _with_budget(wish, limit, limited=limited, barred=forced or stuck)
    if not traits.adaptive:
        return Thinking(max_tokens=limit, lost=wish.names)
    effort = _effort(wish, traits)
    if forced:
        return Thinking(None, effort, limit)
    return Thinking(_adaptive(wish, traits), effort, limit)


def _off(wish: Wish, traits: Traits, limit: int) -> Thinking:
    said = None if wish.raw is None else wish.raw["type"]
    if said == traits.off or (said == "disabled" and traits.off == "absent" and traits.budget):
        return Thinking({"type": said}, max_tokens=limit)
    if traits.off == "absent":
        return Thinking(max_tokens=limit)
    if traits.off == "never":
        return Thinking(None, traits.efforts[0], limit, wish.names)
    return Thinking({"type": traits.off}, max_tokens=limit)


def _with_budget(wish: Wish, limit: int, *, limited: bool, barred: bool) -> Thinking:
    if wish.budget is None:
        budget = min(_BUDGETS.get(wish.effort, _BUDGETS["medium"]), int(limit * _SHARE))
    else:
        budget = max(wish.budget, _LEAST)
        if not limited:
            limit = max(limit, budget + _ROOM)
        budget = min(budget, limit - 1)
    if barred or budget < _LEAST:
        return Thinking(max_tokens=limit, lost=wish.names)
    config: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
    if wish.hidden:
        config["display"] = "omitted"
    if wish.raw is not None and wish.raw["type"] == "enabled":
        config = {**wish.raw, **config}
    return Thinking(config, max_tokens=limit)


def _adaptive(wish: Wish, traits: Traits) -> dict[str, Any]:
    if wish.raw is not None and wish.raw["type"] == "adaptive":
        return dict(wish.raw)
    config: dict[str, Any] = {"type": "adaptive"}
    if wish.hidden:
        config["display"] = "omitted"
    elif traits.hides:
        config["display"] = "summarized"
    return config


def _effort(wish: Wish, traits: Traits) -> str:
    """The wished one, or the nearest there is."""
    effort = wish.effort
    if not effort and wish.budget is not None:
        effort = next((name for name in ("low", "medium") if wish.budget <= _BUDGETS[name]), "high")
    if effort in traits.efforts:
        return effort
    return {"minimal": "low", "xhigh": "max"}.get(effort, "")
