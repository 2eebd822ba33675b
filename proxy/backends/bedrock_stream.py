"""A stream of ConverseStream: bytes in, events in OpenAI's terms out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.anthropic_tools import is_legacy
from proxy.backends.bedrock_errors import BedrockErrors
from proxy.backends.bedrock_models import Model
from proxy.backends.bedrock_reply import SERVER_TOOL, broken, details_of, finish_of, names_of, usage_of
from proxy.backends.chunks import Translated
from proxy.backends.eventstream import EventStream
from proxy.core.chat import Event, Kind
from proxy.core.dialect import Malformed, Stamp, TooLarge

_MAX_BLOCKS = 4096
_MAX_THOUGHT = 4 * 1024 * 1024
"""Characters of one block of reasoning that are kept, to go back with their signature."""
_loads = orjson.loads
_TOOL = Kind.TOOL
_DONE = Event(Kind.DONE, b"")


class ConverseDecoder(Translated):
    """One stream; see `proxy.core.dialect.Decoder`."""

    __slots__ = (
        "_blocks",
        "_calls",
        "_details",
        "_doubled",
        "_errors",
        "_frames",
        "_legacy",
        "_model",
        "_names",
        "_over",
        "_said_all",
        "_silent",
        "_stamp",
        "_thought",
        "_thought_size",
    )

    def __init__(
        self,
        errors: BedrockErrors,
        model_id: str,
        model: Model,
        *,
        wants_usage: bool,
        reply: str | None,
        stamp: Stamp,
    ) -> None:
        super().__init__(stamp, wants_usage=wants_usage, model=reply)
        self._errors = errors
        self._model = model
        self._stamp = stamp
        self._legacy = is_legacy(stamp.body)
        self._doubled = model.family == "openai"
        self._frames = EventStream().feed
        self._chunks.name(model_id)
        self._names: Mapping[str, str] | None = None
        self._calls: dict[int, int] = {}
        """The number of the call in each block that is one."""
        self._silent: set[int] = set()
        """Blocks of calls that have no arguments yet, and those that are nobody's here."""
        self._blocks = 0
        self._thought: list[str] = []
        self._thought_size = 0
        self._details = 0
        self._said_all = False
        """The usage came, which is the last."""
        self._over = False

    @property
    def choices_seen(self) -> int:
        return 1 if self._chunks.said or self._blocks or self.finished else 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. After the usage or an error nothing comes any more."""
        events: list[Event] = []
        if self._over:
            return events
        for headers, payload in self._frames(data):
            if headers.get(":message-type") == "event":
                kind = headers.get(":event-type")
                try:
                    told = _loads(payload)
                    if kind == "contentBlockDelta":
                        text = told["delta"].get("text")
                        if text and type(text) is str:  # by far the most events
                            events.append(self._chunks.content(text))
                            continue
                        self._delta(told, events)
                    else:
                        self._event(kind, told, events)
                except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                    raise Malformed("an event of the upstream is not what Converse says") from error
            else:
                self._failed = self._over = True
                events.append(self._chunks.failed(self._errors.in_stream(headers, payload)))
            if self._over:
                break
        return events

    def _event(self, kind: str | None, told: dict[str, Any], events: list[Event]) -> None:
        match kind:
            case "messageStart":
                events.append(self._chunks.role())
            case "contentBlockStart":
                self._start(told, events)
            case "contentBlockStop":
                self._stop(told, events)
            case "messageStop":
                self._finish(told.get("stopReason"), events)
            case "metadata":
                usage = usage_of(told, doubled=self._doubled)
                if usage is not None:
                    events.append(self._chunks.counted(usage))
                self._said_all = True
                self._end(events)
            case _:
                pass  # what is new since

    def _finish(self, reason: object, events: list[Event]) -> None:
        failure = broken(reason)
        if failure is not None:
            self._failed = self._over = True
            events.append(self._chunks.failed(failure))
            return
        events.append(self._chunks.finished(finish_of(reason, calls=bool(self._calls), legacy=self._legacy)))
        self._end(events)

    def _end(self, events: list[Event]) -> None:
        """Both the reason and the usage came, in whichever order."""
        if self._said_all and self.finished:
            self._over = True
            events.append(_DONE)

    def _start(self, told: dict[str, Any], events: list[Event]) -> None:
        self._blocks += 1
        if self._blocks > _MAX_BLOCKS:
            raise TooLarge(f"the upstream sent more than {_MAX_BLOCKS} blocks")
        use = told["start"].get("toolUse")
        if type(use) is not dict or use.get("type") == SERVER_TOOL:
            return
        block = int(told["contentBlockIndex"])
        self._calls[block] = number = len(self._calls)
        self._silent.add(block)
        if self._names is None:
            self._names = names_of(self._stamp)
        name = str(use.get("name") or "")
        call_id = str(use.get("toolUseId") or "")
        name = self._names.get(name, name)
        if not self._legacy:
            events.append(self._chunks.tool(number, call_id=call_id, name=name))
        elif number == 0:
            events.append(self._chunks.delta(_TOOL, {"function_call": {"name": name, "arguments": ""}}, len(name)))

    def _arguments(self, number: int, piece: str, events: list[Event]) -> None:
        if not self._legacy:
            events.append(self._chunks.arguments(number, piece))
        elif number == 0:
            events.append(self._chunks.delta(_TOOL, {"function_call": {"arguments": piece}}, len(piece)))

    def _delta(self, told: dict[str, Any], events: list[Event]) -> None:
        delta, block = told["delta"], int(told["contentBlockIndex"])
        if type(use := delta.get("toolUse")) is dict:
            piece, number = use.get("input"), self._calls.get(block)
            if number is not None and type(piece) is str and piece:
                self._silent.discard(block)
                self._arguments(number, piece, events)
        elif type(thought := delta.get("reasoningContent")) is dict:
            self._reason(thought, events)

    def _reason(self, thought: dict[str, Any], events: list[Event]) -> None:
        """The text as it comes; with the signature, which comes last, all that has to go back."""
        text = thought.get("text")
        if type(text) is str and text:
            self._thought.append(text)
            self._thought_size += len(text)
            if self._thought_size > _MAX_THOUGHT:
                raise TooLarge("a block of the upstream's reasoning is too large")
            events.append(self._chunks.reasoning(text))
        if thought.get("signature"):
            thought = {**thought, "text": "".join(self._thought)}
            self._forget()
        detail = details_of(thought, self._model, self._details)
        if detail is not None:
            self._details += 1
            events.append(self._chunks.reasoning("", [detail]))

    def _stop(self, told: dict[str, Any], events: list[Event]) -> None:
        block = int(told["contentBlockIndex"])
        self._forget()
        if block in self._silent:  # a call without arguments is told without any
            self._silent.discard(block)
            self._arguments(self._calls[block], "{}", events)

    def _forget(self) -> None:
        self._thought.clear()
        self._thought_size = 0
