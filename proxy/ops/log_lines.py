"""How a log line reads: JSON for programs, or one for people on a terminal. No prompt, no answer, no key."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import orjson

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Finish
from proxy.ops.log_scrub import Scrubber

_CUT = Ended.CUT


class Happening(NamedTuple):
    """Something that is no request: the start, a reload, a circuit that opened, trouble with the ledger."""

    at: float
    """Unix time in seconds."""
    level: str
    name: str
    fields: Mapping[str, object]


class Lines(Protocol):
    """Makes lines, each ended by a newline."""

    def request(self, finish: Finish, scrub: Scrubber) -> bytes: ...

    def happening(self, happening: Happening, scrub: Scrubber) -> bytes: ...


class JsonLines:
    """`{"time": …, "level": …, "event": …, …}`; times of day in UTC, durations in seconds."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def request(self, finish: Finish, scrub: Scrubber) -> bytes:
        # Taken apart in one step, which costs half of reading field by field.
        (
            request_id,
            route,
            target,
            attempts,
            status,
            stream,
            endpoint,
            began,
            duration,
            first,
            ended,
            failure,
            cost,
            key,
            agent,
            _,
            queued,
            strategy,
            rule,
        ) = finish
        quoted = scrub.quoted
        # Put together by hand, which takes half as long as a dict and its dump: every text in it is quoted already,
        # or one of our own words.
        line = (
            f'{{"time":"{self._time(began + duration)}","level":"{level_of(status, ended, failure)}","event":"request",'
            f'"request_id":{scrub.quoted_id(request_id)},"endpoint":"{endpoint}","route":{quoted[route]},'
            f'"target":{quoted[target]},"status":{status},"ended":"{ended._value_}","attempts":{attempts},'
            f'"stream":{"true" if stream else "false"},"duration_s":{duration:.6f}'
        )
        if first is not None:
            line += f',"first_content_s":{first:.6f}'
        if failure is not None:
            line += f',"failure":"{failure._value_}"'
        line += ',"cost_usd":null' if cost is None else f',"cost_usd":{cost!s}'
        if key:
            line += f',"key":{quoted[key]}'
        if agent:
            line += f',"agent":{quoted[agent]}'
        if queued:
            line += f',"queued_s":{queued:.6f}'
        if strategy:
            line += f',"strategy":"{strategy}"'
        if rule is not None:
            line += f',"rule":{rule}'
        return (line + "}\n").encode()

    def happening(self, happening: Happening, scrub: Scrubber) -> bytes:
        line: dict[str, object] = {
            "time": _time(happening.at),
            "level": happening.level,
            "event": happening.name,
        }
        for name, value in happening.fields.items():
            line.setdefault(name, scrub.value(name, value))
        return _dumped(line)

    def _time(self, at: float) -> str:
        second = int(at)
        if second != self._second:  # formatted once a second, not once a line
            self._second = second
            self._text = _second(second)
        return f"{self._text}.{int((at - second) * 1000):03d}Z"


def _time(at: float) -> str:
    """Happenings come from any thread, so that nothing is kept for them from one to the next."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}Z"


def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class PrettyLines:
    """For a terminal, in local time; with `colour`, in ANSI colours."""

    _COLOURS = {"info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}  # noqa: RUF012
    _DIM, _RESET = "\x1b[2m", "\x1b[0m"

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def request(self, finish: Finish, scrub: Scrubber) -> bytes:
        parts = [f"{finish.route or '-'} → {finish.target or '-'}", f"{finish.duration:.2f} s"]
        if finish.stream and finish.first_content is not None:
            parts.append(f"first {finish.first_content:.2f} s")
        if finish.attempts > 1:
            parts.append(f"{finish.attempts} attempts")
        if finish.queued:
            parts.append(f"queued {finish.queued:.2f} s")
        if finish.strategy:
            parts.append(finish.strategy)
        if finish.ended is not Ended.SERVED:
            parts.append(finish.ended.value)
        if finish.failure is not None:
            parts.append(finish.failure.value)
        parts.append("cost unknown" if finish.cost is None else f"${finish.cost:f}")
        if finish.key:
            parts.append(finish.key)
        text = scrub.text("  ".join(parts))
        return self._line(
            finish.started_at + finish.duration,
            level_of(finish.status, finish.ended, finish.failure),
            str(finish.status),
            text,
            scrub.text(finish.request_id),
        )

    def happening(self, happening: Happening, scrub: Scrubber) -> bytes:
        fields = (f"{name}={scrub.value(name, value)}" for name, value in happening.fields.items())
        return self._line(happening.at, happening.level, happening.name, "  ".join(fields), "")

    def _line(self, at: float, level: str, head: str, text: str, tail: str) -> bytes:
        clock = time.strftime("%H:%M:%S", time.localtime(at))
        if self._colour:
            clock, tail = f"{self._DIM}{clock}{self._RESET}", f"{self._DIM}{tail}{self._RESET}" if tail else ""
            head = f"{self._COLOURS.get(level, '')}{head}{self._RESET}"
        line = "  ".join(part for part in (clock, head, _printable(text), tail) if part)
        return line.encode("utf-8", "replace") + b"\n"


def level_of(status: int, ended: Ended, failure: FailureKind | None) -> str:
    """`error` where we or an upstream failed the client, `warning` where the client did or a screen cut its answer,
    `info` else."""
    if status >= 500 or ended is _CUT:
        return "warning" if failure is FailureKind.FILTERED else "error"
    return "warning" if 400 <= status != 499 else "info"


def _printable(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def _dumped(line: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a lone surrogate, an integer over 64 bits
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
