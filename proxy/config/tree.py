"""YAML text -> a tree of marked nodes, bounded in every direction.

Scalars are read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), as editors with a JSON
schema do: `on`, `no`, `1:30` and dates are texts. PyYAML only splits the text into events; its composer would
take the last of duplicate keys, recurse as deeply as the text says, and resolve by YAML 1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from proxy.config.problem import Mark, Problem, shown

MAX_CHARS = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 20_000
"""Counted as an alias expands: a bomb of aliases is refused before it goes off."""


class Kind(Enum):
    """What a scalar is; the value is the word for messages."""

    TEXT = "a text"
    INT = "a whole number"
    FLOAT = "a number"
    BOOL = "true or false"
    NULL = "no value"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One word, text or number, as written."""

    text: str
    kind: Kind
    mark: Mark
    plain: bool = True
    """Written without quotes."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in order; no key twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark


Node = Scalar | Sequence | Mapping

_KINDS = (
    (Kind.NULL, re.compile(r"(?:null|Null|NULL|~|)\Z")),
    (Kind.BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
    (Kind.INT, re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
    (Kind.FLOAT, re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")),
    (Kind.FLOAT, re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")),
)
_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "!")


def kind_of(text: str) -> Kind:
    """What an unquoted text means."""
    return next((kind for kind, pattern in _KINDS if pattern.match(text)), Kind.TEXT)


class _Stop(Exception):
    """The rest of the text is not worth reading."""


class _Frame:
    __slots__ = ("anchor", "is_map", "items", "mark", "size")

    def __init__(self, mark: Mark, anchor: str | None, *, is_map: bool) -> None:
        self.mark = mark
        self.anchor = anchor
        self.is_map = is_map
        self.items: list[Node] = []
        self.size = 1


class _Builder:
    """Puts events together. `problems` grows; `_Stop` ends it early."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.roots: list[Node] = []
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents = 0
        self._nodes = 0

    def problem(self, mark: Mark, message: str) -> None:
        self.problems.append(Problem(mark, "", message))

    def stop(self, mark: Mark, message: str) -> _Stop:
        self.problem(mark, message)
        return _Stop()

    def take(self, event: yaml.Event) -> None:
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, mark)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, mark)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._tag(event.tag, mark)
            if len(self._open) >= MAX_DEPTH:
                raise self.stop(mark, f"nested too deeply: at most {MAX_DEPTH} levels")
            self._open.append(_Frame(mark, event.anchor, is_map=isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self.stop(mark, "a second document: expected a single one, without another `---`")

    def _tag(self, tag: str | None, mark: Mark) -> None:
        if tag is not None and tag not in _TAGS:
            self.problem(mark, "a YAML tag has no meaning here: expected a plain value")

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        self._tag(event.tag, mark)
        plain = event.style is None and event.tag is None
        kind = kind_of(event.value) if plain else Kind.TEXT
        if any("\ud800" <= c <= "\udfff" for c in event.value):
            self.problem(mark, "half a surrogate pair is no character: expected valid Unicode")
        node = Scalar(event.value, kind, mark, plain)
        self._add(node, 1, event.anchor)

    def _alias(self, event: yaml.AliasEvent, mark: Mark) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise self.stop(mark, "an alias without an anchor that ended before it")
        self._add(*known, None)

    def _close(self) -> None:
        frame = self._open.pop()
        node: Node = self._mapping(frame) if frame.is_map else Sequence(tuple(frame.items), frame.mark)
        self._add(node, frame.size, frame.anchor)

    def _add(self, node: Node, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self.roots.append(node)
            return
        self._open[-1].items.append(node)
        self._open[-1].size += size
        if self._open[-1].size > MAX_NODES:
            raise self.stop(node.mark, f"more than {MAX_NODES} values once its aliases are expanded")

    def _mapping(self, frame: _Frame) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(frame.items[::2], frame.items[1::2], strict=True):
            if not isinstance(key, Scalar) or key.kind is not Kind.TEXT:
                found = key.kind.value if isinstance(key, Scalar) else "a list or mapping"
                self.problem(key.mark, f"a key that is {found}: expected a text (put it in quotes if you mean one)")
            elif key.text in entries:
                first = entries[key.text][0].mark
                self.problem(key.mark, f"duplicate key {shown(key.text)}: it stands in line {first.line} already")
            else:
                entries[key.text] = (key, value)
        return Mapping(tuple(entries.values()), frame.mark)


def _mark(mark: Any) -> Mark:
    """Of any of PyYAML's marks (it has two classes, without a common base), which may be absent."""
    return Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark(1, 1)


def _spelled(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words without what it quotes from the file (which may be a key)."""
    words = re.sub(r"\s*(['\"])(?!<)(?!.\1)(?:\\.|(?!\1).)*\1", "", error.problem or "not valid YAML")
    hint = ""
    if "flow" in (error.context or ""):
        hint = ' (inside of { } and [ ], write "${VAR}" in quotes)'
    return f"not valid YAML: {words}{hint}"


def parse(text: str) -> tuple[Node | None, list[Problem]]:
    """The one document's root, and what is wrong with the text as YAML. Raises nothing.

    The root is `None` where the text cannot be read to its end; duplicate or odd keys are left out of it.
    """
    if len(text) > MAX_CHARS:
        return None, [Problem(Mark(1, 1), "", f"longer than {MAX_CHARS} characters")]
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except _Stop:
        return None, builder.problems
    except yaml.MarkedYAMLError as error:
        return None, [*builder.problems, Problem(_mark(error.problem_mark or error.context_mark), "", _spelled(error))]
    except yaml.reader.ReaderError as error:
        return None, [_unreadable(text, error.position)]
    except (ValueError, OverflowError):  # PyYAML's scanner on escapes beyond Unicode and giant version numbers
        return None, [Problem(Mark(1, 1), "", "not valid YAML: an escape or number out of range")]
    if not builder.roots:
        builder.problem(Mark(1, 1), "the file is empty: expected `backends` and `routes`")
        return None, builder.problems
    return builder.roots[0], builder.problems


def _unreadable(text: str, position: int) -> Problem:
    before = text[:position]
    mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return Problem(mark, "", f"the character U+{ord(text[position]):04X} is not allowed in YAML")
