"""A request to OpenAI's Responses API, in the words of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.inbound.refused import Refused, flag, known, missing, model_of
from proxy.inbound.responses_input import Messages
from proxy.inbound.responses_thoughts import is_ours
from proxy.inbound.responses_tools import tools_of

AS_THEY_ARE = (
    "temperature",
    "top_p",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
"""Parameters that mean the same in both APIs."""
TUNING = (
    "access_programs",
    "context_management",
    "image",
    "max_tool_calls",
    "moderation",
    "prompt_cache_options",
)
"""Parameters that only tune how OpenAI's own server works."""
OWN = frozenset(
    {
        *("background", "background_options", "conversation", "include", "input", "instructions", "max_output_tokens"),
        *("messages", "model", "parallel_tool_calls", "previous_response_id", "prompt", "reasoning", "store", "stream"),
        *("stream_options", "text", "tool_choice", "tools", "top_logprobs", "truncation"),
        *AS_THEY_ARE,
        *TUNING,
    }
)
"""Parameters of this API (and chat's `messages`). Any other is handed on as it is, as it would be with chat."""
LOGPROBS = "message.output_text.logprobs"


class Asked(NamedTuple):
    """What a Responses request says."""

    body: dict[str, Any]
    """In the words of chat completions."""
    native: Mapping[str, Any]
    """As it can be handed on to OpenAI."""
    lost: tuple[str, ...]
    minor: tuple[str, ...]


def asked(body: dict[str, Any]) -> Asked:
    """Takes the body of `POST /v1/responses` apart. Raises `Refused`."""
    model = model_of(body)
    stream = flag(body, "stream")
    _refuse(body)
    messages, lost = _messages(body)
    tools = tools_of(body)
    chat = {name: value for name, value in body.items() if name not in OWN}
    chat |= {"model": model, "messages": messages, **tools.body, **known(body, AS_THEY_ARE)}
    if stream:
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    _limits(body, chat)
    _text(body, chat)
    minor = tuple(name for name in TUNING if body.get(name) is not None)
    if body.get("truncation") == "auto":
        minor += ("truncation",)
    return Asked(chat, _for_openai(body), (*dict.fromkeys(lost), *tools.lost), minor)


def _refuse(body: Mapping[str, Any]) -> None:
    """What needs a server that remembers: nothing is stored here."""
    if flag(body, "background"):
        message = "'background' is not supported: an answer is given while its request is open."
        raise Refused(message, "background", "unsupported_parameter")
    if body.get("previous_response_id") is not None:
        message = (
            "'previous_response_id' is not supported: responses are not stored here. "
            "Send the conversation so far as 'input'."
        )
        raise Refused(message, "previous_response_id", "unsupported_parameter")
    if body.get("conversation") is not None:
        message = "'conversation' is not supported: conversations are not stored here. Send it so far as 'input'."
        raise Refused(message, "conversation", "unsupported_parameter")
    if body.get("prompt") is not None:
        message = "'prompt' is not supported: prompts that are stored at OpenAI cannot be read here."
        raise Refused(message, "prompt", "unsupported_parameter")


def _messages(body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    messages = Messages()
    instructions = body.get("instructions")
    if instructions is not None:
        if not isinstance(instructions, str):
            raise Refused("'instructions' must be a text.", "instructions")
        if instructions:
            messages.system(instructions)
    given = body.get("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise Refused("'input' must be a text or a list of items, and not empty.", "input")
    for i, item in enumerate(given):
        messages.add(item, f"input[{i}]")
    if not messages.end():
        raise Refused("'input' holds nothing that a model could answer.", "input")
    return messages.all, messages.lost


def _limits(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    reasoning = body.get("reasoning")
    if isinstance(reasoning, Mapping) and isinstance(reasoning.get("effort"), str):
        chat["reasoning_effort"] = reasoning["effort"]
    include = body.get("include")
    wanted = body.get("top_logprobs")
    if wanted or (isinstance(include, list) and LOGPROBS in include):
        chat["logprobs"] = True
        if wanted:
            chat["top_logprobs"] = wanted


def _text(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    """`text`: the form of the answer."""
    text = body.get("text")
    if text is None:
        return
    if not isinstance(text, Mapping):
        raise Refused("'text' must be an object.", "text")
    if isinstance(text.get("verbosity"), str):
        chat["verbosity"] = text["verbosity"]
    form = text.get("format")
    if form is None:
        return
    kind = form.get("type") if isinstance(form, Mapping) else None
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        if not isinstance(form.get("schema"), Mapping):
            raise Refused("'text.format.schema' must be a JSON schema.", "text.format.schema")
        schema = known(form, ("description", "schema", "strict"))
        name = form.get("name")
        schema["name"] = name if isinstance(name, str) and name else "answer"
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind != "text":
        raise Refused("'text.format.type' must be 'text', 'json_object' or 'json_schema'.", "text.format.type")


def _for_openai(body: dict[str, Any]) -> dict[str, Any]:
    """Without reasoning that another backend made: OpenAI refuses what it has not encrypted itself."""
    given = body.get("input")
    if not isinstance(given, list) or not any(is_ours(item) for item in given):
        return body
    return {**body, "input": [item for item in given if not is_ours(item)]}
