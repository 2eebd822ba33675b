"""What Gemini's answers hold, whole or chunk by chunk, in OpenAI's terms.

Source: the discovery document of generativelanguage v1beta, revision 20260529, `GenerateContentResponse`; the finish
reasons that only Vertex has are google-genai's 3.4 (`types.FinishReason`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from proxy.backends.gemini_contents import FORMAT
from proxy.backends.gemini_models import words
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.usage import Source, Special, Usage, special

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_REPORTED = Source.REPORTED
_MAX = 1 << 40
"""A count beyond this is nonsense, not a count."""
MAX_CHOICES = 1024

_BY_NUMBER = ("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT")
"""Enums come as numbers where somebody asked for it (`$alt=json;enum-encoding=int`)."""
_FILTERED = words(
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT "
    "IMAGE_RECITATION ESCALATION MODEL_ARMOR JAILBREAK"
)
_TOOL_USE = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})
_TIERS = {"flex": "flex", "priority": "priority", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}


class Said(NamedTuple):
    """What one part says: one of these."""

    text: str = ""
    thought: str = ""
    call: Mapping[str, Any] | None = None
    media: str = ""
    """A data URL."""
    signature: str = ""
    """Of whatever else it is, or of nothing."""


def said_in(part: Any) -> Said:
    """One part. Kinds that nobody can have asked for say nothing. Raises `Malformed`."""
    if type(part) is not dict:
        raise Malformed("a part of the upstream is not a JSON object")
    signature = part.get("thoughtSignature")
    if type(signature) is not str:
        signature = ""
    text = part.get("text")
    if text is not None:
        if type(text) is not str:
            raise Malformed("text of the upstream is not a string")
        return Said(thought=text, signature=signature) if part.get("thought") else Said(text, signature=signature)
    call = part.get("functionCall")
    if call is not None:
        if type(call) is not dict or type(call.get("name")) is not str:
            raise Malformed("a function call of the upstream has no name")
        return Said(call=call, signature=signature)
    blob = part.get("inlineData")
    if type(blob) is dict and type(blob.get("data")) is str:
        return Said(media=f"data:{blob.get('mimeType') or 'application/octet-stream'};base64,{blob['data']}")
    return Said(signature=signature)


def parts_of(candidate: Mapping[str, Any]) -> list[Any]:
    """The parts of a candidate's content; none where a filter took it. Raises `Malformed`."""
    content = candidate.get("content")
    parts = content.get("parts") if type(content) is dict else content
    if parts is None:
        return []
    if type(parts) is not list:
        raise Malformed("`parts` of the upstream is not a list")
    return parts


def tool_call(call: Mapping[str, Any], signature: str, answer: str, choice: int, at: int) -> dict[str, Any]:
    """A call as it stands in `tool_calls`. Before Gemini 3 it has no id: made from the answer's own."""
    known = call.get("id")
    key = known if type(known) is str and known else f"call_{answer[-24:]}_{choice}_{at}"
    args = call.get("args")
    function = {"name": call["name"], "arguments": orjson.dumps(args if type(args) is dict else {}).decode()}
    made: dict[str, Any] = {"id": key, "type": "function", "function": function}
    if signature:
        made["extra_content"] = {"google": {"thought_signature": signature}}
    return made


def detail(said: Said, index: int) -> dict[str, Any] | None:
    """The `reasoning_details` of a thought or text that is signed: what must come back at the next turn. `index`:
    how many came before."""
    if not said.signature or said.call is not None:
        return None
    if said.thought:
        return {
            "type": "reasoning.text",
            "text": said.thought,
            "signature": said.signature,
            "format": FORMAT,
            "index": index,
        }
    return {"type": "reasoning.encrypted", "data": said.signature, "format": FORMAT, "index": index}


def image(said: Said) -> dict[str, Any]:
    """An image in the shape in which OpenRouter gives them (`images`): OpenAI's chat has none of its own."""
    return {"type": "image_url", "image_url": {"url": said.media}}


def finish_of(candidate: Mapping[str, Any], *, calls: bool) -> str | Failure | None:
    """OpenAI's finish reason; a `Failure` where it is none; `None` while it goes on."""
    reason = named(candidate.get("finishReason"))
    if reason is None:
        return None
    if reason == "STOP":
        return "tool_calls" if calls else "stop"
    if reason == "MAX_TOKENS":
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    if reason in _TOOL_USE:
        return Failure(FailureKind.TOOL_USE, "the model wrote a function call that is none", 200, code=reason.lower())
    if reason == "MISSING_THOUGHT_SIGNATURE":
        return Failure(FailureKind.UNSUPPORTED, "the model wants signatures that the conversation lacks", 200)
    return Failure(FailureKind.SERVER_ERROR, "the model stopped for a reason of its own", 200, code=_word(reason))


def blocked(reply: Mapping[str, Any]) -> Failure | None:
    """The failure of a prompt that was not answered at all."""
    feedback = reply.get("promptFeedback")
    reason = named(feedback.get("blockReason")) if type(feedback) is dict else None
    if reason is None:
        return None
    return Failure(FailureKind.FILTERED, "the prompt was blocked by the content filter", 200, code=_word(reason))


def named(reason: object) -> str | None:
    """A reason by its name; `None` where none is given."""
    if type(reason) is int:
        return (_BY_NUMBER[reason] if 0 <= reason < len(_BY_NUMBER) else "OTHER") if reason else None
    return reason if type(reason) is str and reason and not reason.endswith("_UNSPECIFIED") else None


def usage_of(metadata: Any) -> Usage | None:
    """`usageMetadata`, which is cumulative. Thoughts are charged as output and stand beside the candidates' tokens;
    what tools brought in stands beside the prompt's; cached tokens are among the prompt's."""
    if type(metadata) is not dict:
        return None
    given, made, thoughts = (
        _count(metadata.get(name)) for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    )
    if given is None and made is None and thoughts is None:
        return None
    tools = _count(metadata.get("toolUsePromptTokenCount")) or 0
    cached = _count(metadata.get("cachedContentTokenCount")) or 0
    spent = thoughts or 0
    tier = _TIERS.get(metadata.get("serviceTier") or "") or _TIERS.get(metadata.get("trafficType") or "", "")
    usage = Usage((given or 0) + tools, (made or 0) + spent, cached, 0, spent, special=_special(metadata))
    return usage._replace(tier=tier) if tier else usage


def _special(metadata: Mapping[str, Any]) -> Special | None:
    """Sound and pictures among the prompt's and the candidates' tokens."""
    given, made = (_modalities(metadata.get(name)) for name in ("promptTokensDetails", "candidatesTokensDetails"))
    return special(given.get("AUDIO", 0), made.get("AUDIO", 0), given.get("IMAGE", 0), made.get("IMAGE", 0))


def _modalities(details: object) -> dict[str, int]:
    rows = [row for row in details if type(row) is dict] if type(details) is list else []
    return {str(row.get("modality")): _count(row.get("tokenCount")) or 0 for row in rows}


def logprobs_of(candidate: Mapping[str, Any]) -> dict[str, Any] | None:
    """`logprobs` of a choice, where they were asked for."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if type(result) is dict else None
    if type(chosen) is not list:
        return None
    assert type(result) is dict
    steps = result.get("topCandidates")
    tops = steps if type(steps) is list else []
    content = []
    for at, one in enumerate(chosen):
        step = tops[at] if at < len(tops) and type(tops[at]) is dict else {}
        others = step.get("candidates")
        top = [_token(other) for other in others] if type(others) is list else []
        content.append({**_token(one), "top_logprobs": top})
    return {"content": content, "refusal": None}


def answer_id(reply: Mapping[str, Any], stamp: Stamp) -> str:
    """The answer's id: Gemini's own, else ours."""
    found = reply.get("responseId")
    return found if type(found) is str and found else stamp.id


def model_of(reply: Mapping[str, Any]) -> str:
    """The model as the upstream names it."""
    found = reply.get("modelVersion")
    return found if type(found) is str else ""


def _token(one: Any) -> dict[str, Any]:
    one = one if type(one) is dict else {}
    token, value = one.get("token"), one.get("logProbability")
    text = token if type(token) is str else ""
    return {
        "token": text,
        "logprob": value if type(value) in (int, float) else 0.0,
        "bytes": list(text.encode("utf-8", "surrogatepass")),
    }


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < _MAX else None


def _word(reason: str) -> str | None:
    return reason.lower() if len(reason) <= 64 and reason.replace("_", "").isalnum() and reason.isascii() else None
