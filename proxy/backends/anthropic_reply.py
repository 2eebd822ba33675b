"""Whole answers of Anthropic's."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.backends.anthropic_blocks import annotation, encrypted, finish_of, signed, word
from proxy.backends.anthropic_tools import is_legacy
from proxy.backends.anthropic_usage import usage_in
from proxy.backends.chunks import completion
from proxy.backends.openai_errors import ErrorReader
from proxy.backends.reading import json_object
from proxy.core.chat import Completion
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure
from proxy.core.usage import Usage


class _Said:
    """What the blocks of an answer say."""

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.details: list[dict[str, Any]] = []
        self.tools: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.other = False
        """There are blocks that OpenAI's terms have no place for."""

    def add(self, block: dict[str, Any]) -> None:
        match block.get("type"):
            case "text":
                start = len(self.text)
                self.text += word(block, "text")
                citations = block.get("citations")
                found = [
                    annotation(one, start, len(self.text)) for one in (citations if isinstance(citations, list) else ())
                ]
                self.annotations += [one for one in found if one is not None]
            case "thinking":
                self.reasoning += word(block, "thinking")
                if word(block, "signature"):
                    index = len(self.details)
                    self.details.append(signed(word(block, "thinking"), word(block, "signature"), index))
            case "redacted_thinking":
                self.details.append(encrypted(word(block, "data"), len(self.details)))
            case "tool_use":
                given = block.get("input")
                arguments = orjson.dumps(given if isinstance(given, dict) else {}).decode()
                function = {"name": word(block, "name"), "arguments": arguments}
                self.tools.append({"id": word(block, "id"), "type": "function", "function": function})
            case _:
                self.other = True


def read_message(body: bytes, errors: ErrorReader, stamp: Stamp, model: str | None = None) -> Completion | Failure:
    """A whole answer in OpenAI's terms, or as it came where `stamp.native` says so; a `Failure` where an error came
    under 200. Raises `Malformed`."""
    message = json_object(body)
    content = message.get("content")
    if message.get("type") == "error" or (message.get("error") and not isinstance(content, list)):
        return errors.in_stream(message)
    if not isinstance(content, list):
        raise Malformed("the upstream's answer is not a message")
    said = _Said()
    for block in content:
        if type(block) is not dict:
            raise Malformed("a block of the upstream is not a JSON object")
        said.add(block)
    found = _completion(message, said, stamp, model)
    if stamp.native != "messages":
        return found
    raw = body if model is None else orjson.dumps({**message, "model": model})
    return found._replace(raw=raw, empty=found.empty and not said.other)


def read_count(body: bytes, errors: ErrorReader) -> Completion | Failure:
    """A count of tokens, as it came. Counting is free (docs.claude.com, "Token counting"). Raises `Malformed`."""
    found = json_object(body)
    if found.get("type") == "error":
        return errors.in_stream(found)
    if type(found.get("input_tokens")) is not int:
        raise Malformed("the upstream's answer is not a count of tokens")
    return Completion(body, "", Usage(0, 0), empty=False, filtered=False, chars=0)


def _completion(message: dict[str, Any], said: _Said, stamp: Stamp, model: str | None) -> Completion:
    more: dict[str, Any] = {}
    tools = said.tools
    legacy = is_legacy(stamp.body)
    if legacy and tools:
        more["function_call"] = tools[0]["function"]
        tools = []
    if said.details:
        more["reasoning_details"] = said.details
    if said.annotations:
        more["annotations"] = said.annotations
    reason = word(message, "stop_reason")
    found = completion(
        stamp,
        model=word(message, "model"),
        reply=model,
        text=said.text,
        finish=finish_of(reason, legacy=legacy),
        usage=usage_in(message),
        answer_id=word(message, "id"),
        tools=tools,
        reasoning=said.reasoning,
        more=more,
        filtered=reason == "refusal",
    )
    if "function_call" in more:
        function = more["function_call"]
        return found._replace(chars=found.chars + len(function["name"]) + len(function["arguments"]))
    return found
