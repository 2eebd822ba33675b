"""The request that asks for the rest of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.core.chat import ChatRequest
from proxy.core.dialect import Prefill
from proxy.core.outcome import How
from proxy.core.seam import Prefilled, Replayed, Seam, Sent
from proxy.core.tokens import of_text

GO_ON = (
    "Your answer above was cut off. Go on exactly where it stops, with the very next character. "
    "Do not repeat anything of it, do not begin anew, and say nothing about the interruption."
)
LIMITS = ("max_tokens", "max_completion_tokens")


def resume(
    request: ChatRequest, how: How, sent: Sent, prefill: Prefill | None, tokens: Sequence[int] = ()
) -> tuple[ChatRequest, Seam]:
    """The request for an attempt that goes on, and the seam for what it answers. `tokens`: those of what was sent,
    where the target is of the model that made them and takes them."""
    if how in (How.EXACT, How.REPLAY):
        return (request if request.native is None else request._replace(native=None)), Replayed(sent)
    if how is How.PREFILL and tokens:
        behind = {**request.body, **_less(request.body, len(tokens)), "continue_tokens": list(tokens)}
        return request._replace(body=behind, raw=b"", native=None), Prefilled(sent, settled=True)
    style = prefill or Prefill()
    text = sent.text
    if style.strips:
        text = text.rstrip()
    said: dict[str, Any] = {"role": "assistant", "content": text}
    messages = [*request.body["messages"], said]
    body: dict[str, Any] = {**request.body, **_less(request.body, of_text(sent.text))}
    if how is How.PREFILL:
        said.update(style.message)
        body.update(style.body)
    else:
        messages.append({"role": "user", "content": GO_ON})
    body["messages"] = messages
    return request._replace(body=body, raw=b"", native=None), Prefilled(sent, sent.text[len(text) :])


def _less(body: Mapping[str, Any], used: int) -> dict[str, int]:
    """What was sent, so many tokens, counts against the caller's own limit."""
    return {name: max(body[name] - used, 1) for name in LIMITS if isinstance(body.get(name), int)}
