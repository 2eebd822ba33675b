"""What tells one OpenAI-speaking provider from another: data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from proxy.core.dialect import Prefill

NOTHING: Mapping[str, Any] = {}

HINTS = frozenset(
    {
        *("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store"),
        *("stream_options", "user"),
    }
)
"""Parameters that say nothing about what is answered: a target that does not take them can do the request in full."""


NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "store": (False,),
    "temperature": (1,),
    "tool_choice": ("auto",),
    "tools": ([],),
    "top_logprobs": (0,),
    "top_p": (1,),
}
"""Values that ask for nothing but what comes without the parameter: leaving them out loses nothing."""


class Family(NamedTuple):
    """What holds of some of a provider's models besides."""

    models: str
    """A regular expression for the beginning of the name, in any case."""
    called: str
    """The same for people."""
    source: str
    """The provider's page on it."""
    dated: str
    """The ISO date as of which it is said here."""
    refuses: frozenset[str] = frozenset()
    renames: Mapping[str, str] = NOTHING
    only: Mapping[str, tuple[Any, ...]] = NOTHING
    free: tuple[str | None, ...] = ()
    """With one of these as `reasoning_effort` (`None`: without any) `only` does not hold."""
    prefill: bool = True


class Charge(NamedTuple):
    """Where a usage says what the answer costs."""

    path: tuple[str, ...]
    unit: Decimal = Decimal(1)
    """US dollars."""
    more: tuple[str, ...] = ()
    """Where a further sum stands, charged by somebody else where `is_byok` says that the key is one's own there."""


@dataclass(frozen=True, slots=True)
class OpenAICompatible:
    """One provider. All else is the same code. What is said of parameters is what its API says, not each model's;
    what one model differs in is a `Family`, and what nobody knew beforehand its answer tells (UNSUPPORTED)."""

    base_url: str = ""
    """Used where the configuration names none."""
    default_path: str = ""
    """Added to a base URL without a path."""
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    refuses: frozenset[str] = frozenset()
    """Request parameters that it answers with an error, or leaves out without a word: left out, and said so."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Request parameters that it knows by another name."""
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Request parameters that it takes with these values only (`n`: 1). With another they count as refused."""
    formats: tuple[str, ...] = ()
    """The types of `response_format` that it takes, where it does not take all."""
    asks_usage: bool = True
    """It takes `stream_options: {include_usage: true}`. (Those that don't report usage all the same.)"""
    own_queue: bool = False
    """When it says that its queue is full, that is a queue of Wayline's own."""
    prefill: Prefill | None = None
    """How it continues an assistant message that comes last; `None`: it does not, or it is not known to."""
    prefill_path: str = ""
    """Where a request goes whose last message has `prefix`, from the host's root, if that is another place than for
    others."""
    text_path: str = ""
    """Where text completions are asked for, from the host's root, if that is another place than `/completions` below
    the base URL."""
    repeatable: bool = False
    """The same request with the same seed gives the same bytes again."""
    families: tuple[Family, ...] = ()
    """The first one that a model's name begins as holds."""
    home: str = ""
    """The end of the host's name at which `families`, `speaks` and `relays` hold, since others speak this API too;
    empty: any."""
    takes: frozenset[str] | None = None
    """Members of messages beyond OpenAI's that it takes (of `openai_messages.BEYOND`), all others are taken out, at
    `home`; `None`: nothing is."""
    leaves_out: frozenset[str] = frozenset()
    """Members of messages that are OpenAI's own and that it refuses (`name`)."""
    developer: bool = False
    """It knows the role `developer`. For others such messages are the system's."""
    speaks: frozenset[str] = frozenset()
    """See `proxy.core.dialect.Dialect`."""
    relays: Mapping[str, str] | None = None
    """Of the endpoints that are handed on as they are (`proxy.core.relay`) those that it has, by their words; the value
    is the path from the host's root, if that is another place than the usual one below the base URL. `None`: nobody
    knows, and all are tried."""
    charge: Charge | None = None
    """Where it says what an answer costs."""
    limits: str = ""
    """The headers in which it tells what is left of its limits."""
    health: str = ""
    """The path, from the host's root, that says whether it is up."""
    loading: str = ""
    """How it says that a model is not loaded yet."""
    source: str = ""
    """The provider's page on it."""
    dated: str = ""
    """The ISO date as of which it is said here."""

    def at_home(self, host: str) -> bool:
        """Is this host the provider's own?"""
        return host == self.home or host.endswith(f".{self.home}") if self.home else True


class Terms(NamedTuple):
    """What one model takes: its provider's terms and its family's together."""

    refuses: frozenset[str]
    renames: Mapping[str, str]
    only: Mapping[str, tuple[Any, ...]]
    free: tuple[str | None, ...] = ()
    prefill: bool = True


def terms(spec: OpenAICompatible, model: str, host: str) -> Terms:
    """The terms of a model at a provider's host."""
    for family in spec.families if spec.at_home(host) else ():
        if re.match(family.models, model, re.IGNORECASE):
            return Terms(
                spec.refuses | family.refuses,
                {**spec.renames, **family.renames},
                {**spec.only, **family.only},
                family.free,
                family.prefill,
            )
    return Terms(spec.refuses, spec.renames, spec.only)
