"""What a backend says that it has: the call that asks for its models, and the reading of its answer.

Sources, read 2026-11-21: platform.openai.com/docs/api-reference/models, docs.anthropic.com/en/api/models-list,
ai.google.dev/api/models, openrouter.ai/docs/api-reference/list-available-models, and docs/api.md of Ollama.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import orjson

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.ability import UNKNOWN, Ability
from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure
from proxy.core.price import MILLION, Price
from proxy.core.route import Target

MAX_MODELS = 20_000
"""More in one list are no list of models."""
_PROBE = ChatRequest(
    b"", {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 1}, "m", False, False
)
_PLACES = (
    (re.compile(r"/v1/messages$"), "/v1/models?limit=1000"),
    (re.compile(r"/models/[^/]+:generateContent$"), "/models?pageSize=1000"),
    (re.compile(r"/api/chat$"), "/api/tags"),
    (re.compile(r"/deployments/[^/]+/chat/completions\?.*$"), ""),
    (re.compile(r"/chat/completions$"), "/models"),
)
"""Where the models are, told by where chat is; empty: there is no such list (Azure's is of models, not deployments)."""
_ELSEWHERE = frozenset({"bedrock", "vertex", "llamacpp"})
"""Types whose models are not listed by the API that answers."""


class Offer(NamedTuple):
    """One model of a backend. What is not told is unknown."""

    name: str
    ability: Ability = UNKNOWN
    price: Price | None = None
    size: int = 0
    """Bytes; 0: not told."""


def listing(backend: Backend) -> HttpCall | None:
    """The call that asks for the models; `None` where there is no list. Raises `ValueError` as `bind` does."""
    if backend.type in _ELSEWHERE:
        return None
    asked = bind(backend, Target(f"{backend.name}/m", backend.name, "m")).chat(_PROBE)
    if isinstance(asked, Failure):
        return None
    line, _, fields = asked.call.head.partition(b"\r\n")
    path = line.decode().split(" ")[1]
    for place, there in _PLACES:
        if place.search(path):
            if not there:
                return None
            kept = [field for field in fields.split(b"\r\n") if field and not field.lower().startswith(b"content-type")]
            head = [b"GET %b HTTP/1.1" % place.sub(there, path).encode(), *kept, b""]
            return HttpCall(b"\r\n".join(head), repeatable=True)
    return None


def offers(body: bytes) -> tuple[Offer, ...]:
    """The models in a list, whoever gave it. Raises `Malformed`."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the list of models is not JSON") from error
    rows = reply if isinstance(reply, list) else None
    if isinstance(reply, dict):
        rows = reply.get("data", reply.get("models"))
    if not isinstance(rows, list) or len(rows) > MAX_MODELS:
        raise Malformed("the answer is not a list of models")
    found = (_offer(row) for row in rows if isinstance(row, dict))
    return tuple(offer for offer in found if offer.name)


def _offer(row: Mapping[str, Any]) -> Offer:
    name = row.get("id") or row.get("name") or row.get("model")
    if not isinstance(name, str):
        return Offer("")
    context = _number(row, "context_length", "context_window", "max_context_length", "inputTokenLimit", "max_model_len")
    top = row.get("top_provider")
    output = _number(row, "outputTokenLimit", "max_output_tokens") or _number(
        top if isinstance(top, dict) else {}, "max_completion_tokens"
    )
    has, lacks = _told(row)
    ability = Ability(context or _number(row, "max_input_tokens"), output, has, lacks)
    return Offer(name.removeprefix("models/"), ability, _price(row.get("pricing")), _number(row, "size") or 0)


def _told(row: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """OpenRouter's words for what a model takes; of others nothing is told."""
    architecture, takes = row.get("architecture"), row.get("supported_parameters")
    has, lacks = set[str](), set[str]()
    modalities = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    if isinstance(modalities, list):
        for theirs, ours in (("image", "vision"), ("audio", "audio"), ("file", "files")):
            (has if theirs in modalities else lacks).add(ours)
    if isinstance(takes, list):
        for theirs, ours in (("tools", "tools"), ("structured_outputs", "json_schema"), ("reasoning", "reasoning")):
            (has if theirs in takes else lacks).add(ours)
    return frozenset(has), frozenset(lacks)


def _price(pricing: object) -> Price | None:
    """OpenRouter's: texts, US dollars a token; a negative one says that it depends."""
    if not isinstance(pricing, dict):
        return None
    try:
        given, made = (Decimal(str(pricing[name])) * MILLION for name in ("prompt", "completion"))
    except (KeyError, InvalidOperation):
        return None
    return Price(given.normalize(), made.normalize(), origin="backend") if given >= 0 and made >= 0 else None


def _number(row: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = row.get(name)
        if type(value) is int and value > 0:
            return value
    return None
