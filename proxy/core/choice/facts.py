"""What a request needs of a target, read off its body: roughly for most requests, in full for those that matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from proxy.core.ability import Ability
from proxy.core.chat import ChatRequest
from proxy.core.relay import Request
from proxy.core.tokens import of_plain, of_request

USUAL_OUTPUT = 500
"""Tokens of an answer where nobody said how long it may be, and nothing was learnt of the target yet."""
_PARTS = {"image_url": "vision", "input_audio": "audio", "file": "files"}
_DENSE = 40
"""Tokens a byte, at most: a part that is no text counts as many as a usual picture, and may be 20 bytes short."""
LENGTHS = frozenset({"max_completion_tokens", "max_tokens"})
"""Members that say how long an answer may be."""
_MEMBERS = {
    "tools": ("tools", "functions"),
    "json_schema": ("response_format",),
    "reasoning": ("reasoning_effort", "reasoning"),
    "n": ("n",),
    "logprobs": ("logprobs",),
    "audio_output": ("modalities",),
}
"""Members of a body that may need a capability."""
MATTERS = frozenset({"input", *(name for names in _MEMBERS.values() for name in names)})
"""Members without which a body is a text, and maybe pictures and the like within its messages."""
APART = frozenset({"modalities", "audio", "service_tier", "cache_control"})
"""Members with which some tokens are charged at prices of their own."""
_MORE = MATTERS | APART
"""Members of a request that may be more than texts."""
_TOLD = _MORE | LENGTHS
_NONE: frozenset[str] = frozenset()
_EXACT = 32
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


class Facts(NamedTuple):
    """Of one request."""

    input: int
    """Tokens, about: characters are counted (proxy/core/tokens.py)."""
    output: int | None = None
    """Tokens that the answer may have; `None`: the request does not say."""
    needs: frozenset[str] = frozenset()
    """Capabilities without which it cannot be answered as asked."""
    chat: bool = True
    """False: it asks for vectors."""
    model: str = ""
    """As the caller named it."""
    counted: tuple[tuple[str, int], ...] = ()
    """Tokens of input by target, for those whose own tokenizer counted them: see counting.py."""
    answers: int = 1
    """So many of them are asked for (`n`), each as long as the others."""

    @property
    def tokens(self) -> int:
        """Of input, as well as they are known whatever the target."""
        return self.counted[0][1] if self.counted else self.input


Text = tuple[int, int | None]
"""Of a chat request that is nothing but texts, what all who estimate something of it have in common: tokens of input
and of the answer, as in `Facts`. (A tuple without names is taken apart in a third of the time.)"""
UNSEEN: Text = (-1, None)
"""Nobody has looked yet."""


def text_of(request: Request) -> Text | None:
    """`None`: it is more than that, or came in another API."""
    if type(request) is not ChatRequest or request.native is not None:
        return None
    body, output = request.body, None
    if not _TOLD.isdisjoint(body):  # asked once of most requests
        if not _MORE.isdisjoint(body):
            return None
        output = output_of(body)
    tokens = of_plain(body.get("messages"))
    return None if tokens is None else (tokens, output)


def rounded(facts: Facts) -> Facts:
    """With numbers of tokens that many requests have in common, at most 3 % away: an estimate is no better."""
    tokens, output, needs, chat, model, counted, answers = facts
    if tokens < _EXACT and (output is None or output < _EXACT) and not counted:
        return facts
    return _new(Facts, (about(tokens), None if output is None else about(output), needs, chat, model, (), answers))


def facts_of(body: Mapping[str, Any], *, chat: bool = True, model: str = "") -> Facts:
    """All of them, from a chat or embeddings request."""
    plain = plain_facts(body) if chat else None
    if plain is not None:
        return _new(Facts, (*plain, _NONE, True, model, (), 1))
    needs = frozenset(_needs(body)) if chat else frozenset({"embeddings"})
    several = body.get("n") if chat else None
    answers = several if type(several) is int and several > 1 else 1
    return Facts(of_request(body), output_of(body) if chat else None, needs, chat, model, answers=answers)


def plain_facts(body: Mapping[str, Any]) -> Text | None:
    """Of a chat request that needs no capability; quickly. `None`: it may need one."""
    if not MATTERS.isdisjoint(body):
        return None
    tokens = of_plain(body.get("messages"))
    return None if tokens is None else (tokens, None if LENGTHS.isdisjoint(body) else output_of(body))


def about(tokens: int) -> int:
    """At most 3 % away: the five highest of its binary digits."""
    cut = tokens.bit_length() - 5
    return tokens if cut <= 0 else (tokens + (1 << cut >> 1)) >> cut << cut


def _needs(body: Mapping[str, Any]) -> Iterable[str]:
    if (body.get("tools") or body.get("functions")) and body.get("tool_choice") != "none":
        yield "tools"
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        yield "json_schema"
    if body.get("reasoning_effort") not in (None, "none") or isinstance(body.get("reasoning"), dict):
        yield "reasoning"
    several = body.get("n")
    if type(several) is int and several > 1:
        yield "n"
    if body.get("logprobs"):
        yield "logprobs"
    wanted = body.get("modalities")
    if isinstance(wanted, list) and "audio" in wanted:
        yield "audio_output"
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            need = _PARTS.get(str(part.get("type"))) if isinstance(part, dict) else None
            if need is not None:
                yield need


def output_of(body: Mapping[str, Any]) -> int | None:
    """Tokens that the answer may have, where the request says it."""
    value = body.get("max_completion_tokens")
    if value is None or type(value) is not int or value <= 0:
        value = body.get("max_tokens")
    return value if type(value) is int and value > 0 else None


class Look(NamedTuple):
    """What of a request could matter to some target of a route at all, so that most requests cost one look."""

    short: int
    """A body of no more bytes than this fits every target, if it is all text: no token is shorter than a byte."""
    members: frozenset[str]
    """Members of a body that may need what some target lacks."""
    parts: bool
    """Some target takes no pictures, sound or documents, which stand in the messages."""

    def plain(self, body: Mapping[str, Any], length: int) -> bool:
        """Every target can answer this, as far as their abilities say. `length`: of the body, in bytes."""
        short, members, parts = self
        if length > short or not members.isdisjoint(body):
            return False
        if parts or length * _DENSE > short:
            for message in body["messages"]:
                if type(message) is not dict or type(message.get("content")) is list:
                    return False
        return True


def look(abilities: Iterable[Ability]) -> Look | None:
    """For chat at targets with these abilities. `None`: nothing is known that could leave one out."""
    abilities = tuple(abilities)
    contexts = [one.context for one in abilities if one.context is not None]
    lacks = frozenset[str]().union(*(one.lacks for one in abilities))
    members = {name for lack, names in _MEMBERS.items() if lack in lacks for name in names}
    if contexts or any(one.output is not None for one in abilities):
        members.update(LENGTHS)
    parts = not lacks.isdisjoint(_PARTS.values())
    if not (contexts or members or parts):
        return None
    return Look(min(contexts, default=1 << 62), frozenset(members), parts)
