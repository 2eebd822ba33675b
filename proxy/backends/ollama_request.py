"""A chat request in OpenAI's terms as Ollama's `/api/chat` takes it, and what of it cannot be said there.

Source: Ollama's docs/api.md, its OpenAPI (`ChatRequest`, `ModelOptions`) and, for `truncate` and `shift`,
`api/types.go` of 0.33 (both default to true, and both make Ollama answer to a part of the prompt without a word).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.backends.ollama_messages import messages_of
from proxy.backends.tools import Tool, choice_of, tools_of
from proxy.core.failure import Failure


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAMPLING = _words(
    "seed temperature top_p top_k min_p typical_p tfs_z presence_penalty frequency_penalty repeat_penalty "
    "repeat_last_n penalize_newline mirostat mirostat_tau mirostat_eta num_predict num_keep num_ctx num_batch num_gpu "
    "main_gpu num_thread draft_num_predict use_mmap numa low_vram"
)
"""Parameters that go into `options` under their own name."""
RENAMED = {
    "max_completion_tokens": "num_predict",
    "max_tokens": "num_predict",
    "repetition_penalty": "repeat_penalty",
}
"""Others that go there, under Ollama's name."""
TOP = frozenset({"logprobs", "top_logprobs", "keep_alive"})
"""Parameters that stand beside the messages under the same name."""
MAPPED = _words(
    "messages model stream stream_options tools functions tool_choice function_call response_format format "
    "reasoning_effort think stop options truncate shift n parallel_tool_calls modalities logit_bias"
)
"""Parameters with a meaning that is worked out here."""
IDLE = _words(
    "user safety_identifier metadata store service_tier prompt_cache_key prompt_cache_retention prompt_cache_options "
    "prediction"
)
"""Parameters without a meaning for a model on one's own machine: left out, though nothing of the answer depends on
them."""
EFFORTS: Mapping[str, bool | str] = {"none": False, "minimal": "low", "xhigh": "max"}
"""OpenAI's efforts that Ollama has by another name; low, medium, high and max it has itself."""


class Asked(NamedTuple):
    """What a backend's own options say of every request to it."""

    num_ctx: int | None = None
    keep_alive: str | None = None
    think: bool | str | None = None
    truncate: bool = False


class Written(NamedTuple):
    """The body, and the names of parameters that are not in it: all, and those that Ollama has no word for."""

    body: dict[str, Any]
    dropped: tuple[str, ...]
    unsupported: tuple[str, ...]


def written(asked: Mapping[str, Any], model: str, stream: bool, own: Asked) -> Written | Failure:
    """The request for `/api/chat`."""
    messages = messages_of(asked.get("messages"))
    if isinstance(messages, Failure):
        return messages
    lost = {name for name, value in asked.items() if value is not None and not _known(name)}
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": stream}
    tools = _tools(asked, lost)
    if tools:
        body["tools"] = tools
    form = _format(asked)
    if form is not None:
        body["format"] = form
    think = thinking(asked, own)
    if think is not None:
        body["think"] = think
    options = options_of(asked, own)
    if options:
        body["options"] = options
    for name in TOP:
        if asked.get(name) is not None:
            body[name] = asked[name]
    if own.keep_alive is not None:
        body.setdefault("keep_alive", own.keep_alive)
    refuse_cuts(body, asked, own)
    _beyond(asked, lost)
    left = lost | {name for name in IDLE if asked.get(name) is not None}
    return Written(body, tuple(sorted(left)), tuple(sorted(lost)))


def options_of(asked: Mapping[str, Any], own: Asked) -> dict[str, Any]:
    """`options`: what is native in the request wins over its translation, and that over the configuration."""
    options: dict[str, Any] = {}
    if own.num_ctx is not None:
        options["num_ctx"] = own.num_ctx
    for name, other in RENAMED.items():
        if asked.get(name) is not None:
            options.setdefault(other, asked[name])
    for name in SAMPLING:
        if asked.get(name) is not None:
            options[name] = asked[name]
    stop = asked.get("stop")
    if stop:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    given = asked.get("options")
    if isinstance(given, Mapping):
        options.update(given)
    return options


def thinking(asked: Mapping[str, Any], own: Asked) -> bool | str | None:
    """`think`; `None`: the model's own way, which is to think where it can."""
    if asked.get("think") is not None:
        think: bool | str = asked["think"]
        return think
    effort = asked.get("reasoning_effort")
    if isinstance(effort, str):
        return EFFORTS.get(effort, effort)
    return own.think


def refuse_cuts(body: dict[str, Any], asked: Mapping[str, Any], own: Asked) -> None:
    """Makes Ollama (from 0.12.6) refuse a prompt that is longer than its context instead of answering to half of it,
    and end an answer that fills it with `length` instead of forgetting the prompt."""
    for name in ("truncate", "shift"):
        given = asked.get(name)
        if given is not None:
            body[name] = given
        elif not own.truncate:
            body[name] = False


def cuts(asked: Mapping[str, Any], own: Asked) -> bool:
    """The operator or the request wants a long prompt to be cut."""
    given = asked.get("truncate")
    return own.truncate if given is None else bool(given)


def _known(name: str) -> bool:
    return name in MAPPED or name in SAMPLING or name in RENAMED or name in TOP or name in IDLE


def _tools(asked: Mapping[str, Any], lost: set[str]) -> list[dict[str, Any]]:
    """The tools. Ollama lets the model choose: it has no `tool_choice`, but tools that are not to be called are not
    shown."""
    tools = tools_of(asked)
    given = asked.get("tools")
    if isinstance(given, list) and len(given) > len(tools):
        lost.add("tools")
    choice = choice_of(asked)
    if choice is not None and choice.mode not in ("auto", "none"):
        lost.add("tool_choice" if "tool_choice" in asked else "function_call")
    if choice is not None and choice.mode == "none":
        return []
    if asked.get("parallel_tool_calls") is False and tools:
        lost.add("parallel_tool_calls")
    return [_tool(tool) for tool in tools]


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": {**function, "parameters": tool.schema}}


def _format(asked: Mapping[str, Any]) -> object:
    """`format`: "json", or the schema itself."""
    if asked.get("format"):
        return asked["format"]
    wanted = asked.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") in (None, "text"):
        return None
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    return schema if isinstance(schema, Mapping) and schema else "json"


def _beyond(asked: Mapping[str, Any], lost: set[str]) -> None:
    """What Ollama has no word for, where it asks for more than what comes anyway."""
    if (asked.get("n") or 1) != 1:
        lost.add("n")
    if asked.get("logit_bias"):
        lost.add("logit_bias")
    if asked.get("modalities") not in (None, [], ["text"]):
        lost.add("modalities")
