"""Reading a request: from bytes to what the model is asked, or a refusal in llama-server's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

MAX_TOP_LOGPROBS = 20
"""OpenAI's own bound."""


class Refused(Exception):
    """The request gets this status and error instead of an answer."""

    def __init__(self, status: int, type_: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"code": status, "message": message, "type": type_, **more}


def invalid(message: str) -> Refused:
    """A 400 for what makes no sense."""
    return Refused(400, "invalid_request_error", message)


def unsupported(name: str, why: str) -> Refused:
    """A 400 for what makes sense but cannot be done here, so that another target may be tried."""
    refused = Refused(400, "invalid_request_error", f"{name} is not supported here: {why}", param=name)
    refused.error["code"] = "unsupported_parameter"
    return refused


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. The defaults are llama-server's."""

    temperature: float = 0.8
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_k: int = 40
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ChatAsk:
    """One chat request."""

    messages: list[dict[str, Any]]
    stream: bool
    wants_usage: bool
    max_tokens: int | None
    stop: tuple[str, ...]
    sampling: Sampling
    logprobs: int | None
    """How many alternatives to name for each token; `None`: no logprobs at all."""
    schema: dict[str, Any] | None
    """The answer must fit this JSON schema; `{}`: it must be JSON."""
    cache_prompt: bool
    template_options: dict[str, Any]
    progress: bool = False
    """The stream begins with the number of the prompt's tokens."""
    tells_tokens: bool = False
    """Each event of the stream tells the ids of its tokens."""
    said: tuple[int, ...] = ()
    """Tokens of the answer that were made before: it goes on behind them."""


@dataclass(frozen=True, slots=True)
class EmbedAsk:
    """One embeddings request: texts, or lists of token ids."""

    inputs: list[str | list[int]]
    base64: bool


def read_json(raw: bytes) -> dict[str, Any]:
    """The body as a JSON object."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise invalid("the body is not a JSON object")
    return body


def read_chat(raw: bytes) -> ChatAsk:
    """A body of /v1/chat/completions. Raises `Refused`."""
    body = read_json(raw)
    _refuse_unsupported(body)
    options = body.get("stream_options")
    max_tokens = _integer(body, "max_completion_tokens", None, -1)
    if max_tokens is None:
        max_tokens = _integer(body, "max_tokens", None, -1)
    template_options = body.get("chat_template_kwargs") or {}
    if not isinstance(template_options, dict):
        raise invalid("chat_template_kwargs is not an object")
    return ChatAsk(
        messages=_messages(body),
        stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        max_tokens=None if max_tokens == -1 else max_tokens,
        stop=_stop(body.get("stop")),
        sampling=_sampling(body),
        logprobs=_logprobs(body),
        schema=_schema(body.get("response_format")),
        cache_prompt=body.get("cache_prompt") is True,
        template_options=template_options,
        progress=body.get("return_progress") is True,
        tells_tokens=body.get("return_tokens") is True,
        said=said_before(body),
    )


def said_before(body: dict[str, Any]) -> tuple[int, ...]:
    """The tokens that the answer goes on behind (`continue_tokens`, a word of ours). Raises `Refused`."""
    given = body.get("continue_tokens")
    if given is None:
        return ()
    if not isinstance(given, list) or not all(is_id(token) for token in given):
        raise invalid('"continue_tokens" must be a list of token ids')
    if body.get("stream") is not True or body.get("response_format") or body.get("grammar"):
        raise invalid('"continue_tokens" needs a stream of plain text')
    return tuple(given)


def read_embed(raw: bytes) -> EmbedAsk:
    """A body of /v1/embeddings. Raises `Refused`."""
    body = read_json(raw)
    given = body.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and all(is_id(x) for x in given)):
        given = [given]
    if not isinstance(given, list) or not given:
        raise invalid('"input" must be a text, a list of texts, a list of token ids or a list of such lists')
    if len(given) > 2048:
        raise invalid('"input" holds more than 2048 texts')
    inputs: list[str | list[int]] = []
    for item in given:
        if not item or not (isinstance(item, str) or (isinstance(item, list) and all(is_id(x) for x in item))):
            raise invalid('an item of "input" is empty, or neither a text nor a list of token ids')
        inputs.append(item)
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise invalid('encoding_format must be "float" or "base64"')
    if body.get("dimensions") is not None:
        raise unsupported("dimensions", "a GGUF model has the dimensions that it has")
    return EmbedAsk(inputs, encoding == "base64")


def _refuse_unsupported(body: dict[str, Any]) -> None:
    why = "the engine llama-cpp-python has no parser for tool calls; xllamacpp has"
    if body.get("tools") and body.get("tool_choice") != "none":
        raise unsupported("tools", why)
    if body.get("functions") and body.get("function_call") != "none":
        raise unsupported("functions", why)
    if body.get("n") not in (None, 1):
        raise unsupported("n", "this engine gives one choice a request")
    for name in ("logit_bias", "grammar", "audio"):
        if body.get(name):
            raise unsupported(name, "the engine llama-cpp-python cannot do it")


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("'messages' must be a list that is not empty")
    return [_message(message) for message in messages]


def _message(message: Any) -> dict[str, Any]:
    """One message, with its parts of text joined: templates expect a text."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise invalid("a message must be an object with a role")
    content = message.get("content")
    if isinstance(content, list):
        texts = []
        for part in content:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise unsupported("messages", "this model takes parts of type text only")
            texts.append(part["text"])
        return {**message, "content": "".join(texts)}
    if content is not None and not isinstance(content, str):
        raise invalid("a message's content must be a text, a list of parts or null")
    return {**message, "content": content or ""}


def _stop(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    if not isinstance(stops, list) or not all(isinstance(s, str) for s in stops):
        raise invalid("'stop' must be a text or a list of texts")
    return tuple(s for s in stops if s)


def _sampling(body: dict[str, Any]) -> Sampling:
    d = Sampling()
    seed = _integer(body, "seed", None, -1)
    top_k = _integer(body, "top_k", None, -1)
    return Sampling(
        temperature=_number(body, "temperature", d.temperature, 0.0),
        top_p=_number(body, "top_p", d.top_p, 0.0),
        min_p=_number(body, "min_p", d.min_p, 0.0),
        typical_p=_number(body, "typical_p", d.typical_p, 0.0),
        top_k=d.top_k if top_k is None else top_k,
        repeat_penalty=_number(body, "repeat_penalty", d.repeat_penalty, 0.0),
        frequency_penalty=_number(body, "frequency_penalty", d.frequency_penalty, -2.0),
        presence_penalty=_number(body, "presence_penalty", d.presence_penalty, -2.0),
        seed=None if seed in (None, -1) else seed,
    )


def _logprobs(body: dict[str, Any]) -> int | None:
    if body.get("logprobs") is not True:
        return None
    top = _integer(body, "top_logprobs", 0, 0) or 0
    if top > MAX_TOP_LOGPROBS:
        raise invalid(f"'top_logprobs' must be at most {MAX_TOP_LOGPROBS}")
    return top


def _schema(given: Any) -> dict[str, Any] | None:
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "text":
        return None
    if kind not in ("json_object", "json_schema"):
        raise invalid("response_format must be of type text, json_object or json_schema")
    # llama-server takes a schema beside json_object too.
    holder = given.get("json_schema") if kind == "json_schema" else given
    schema = holder.get("schema") if isinstance(holder, dict) else None
    if schema is None and kind == "json_object":
        return {}
    if not isinstance(schema, dict):
        raise invalid("response_format.json_schema.schema is not an object")
    return schema


def is_id(value: Any) -> bool:
    """A token's number."""
    return type(value) is int


def _number(body: dict[str, Any], name: str, default: float, least: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
        raise invalid(f"{name!r} must be a number of at least {least:g}")
    return float(value)


def _integer(body: dict[str, Any], name: str, default: int | None, least: int) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if not is_id(value) or value < least:
        raise invalid(f"{name!r} must be a whole number of at least {least}")
    return int(value)
