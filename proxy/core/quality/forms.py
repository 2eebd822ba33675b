"""JSON and code within an answer: is it what it should be?"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Mapping
from typing import Any

_PYTHON = frozenset({"python", "py", "python3"})
_LEFT_OUT = re.compile(r"^\s*(?:\.\.\.|…|>>>|[$%!] )|//|/\*", re.MULTILINE)
"""What stands for something else, or comments where JSON has none: such code is not meant to be parsed."""
_MOST_CODE = 8_000
"""Characters of code that are parsed: bounds the time."""
_DEEPEST = 12


def blocks(text: str) -> tuple[list[tuple[str, str]], str, bool]:
    """(language, code) of each complete block of code; the text without them; and whether a block is not closed."""
    found: list[tuple[str, str]] = []
    prose: list[str] = []
    kind: str | None = None
    code: list[str] = []
    for line in text.split("\n"):
        mark = line.strip()
        if not mark.startswith("```"):
            (prose if kind is None else code).append(line)
        elif kind is None:
            kind, code = mark[3:].strip().casefold(), []
        elif mark == "```":
            found.append((kind, "\n".join(code)))
            kind = None
        else:
            code.append(line)
    return found, "\n".join([*prose, *code] if kind is not None else prose), kind is not None


def broken(text: str) -> bool:
    """A block says that it is Python or JSON, and is not."""
    return any(
        (kind in _PYTHON and not _is_python(code)) or (kind == "json" and not _is_json(code))
        for kind, code in blocks(text)[0]
    )


def _is_python(code: str) -> bool:
    if len(code) > _MOST_CODE or _LEFT_OUT.search(code):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the code escapes, not of ours
            ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_json(code: str) -> bool:
    return bool(_LEFT_OUT.search(code)) or len(code) > _MOST_CODE or read(code) is not None


def read(text: str) -> tuple[Any] | None:
    """The JSON value of a text; `None`: it is none."""
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def json_in(text: str) -> tuple[Any] | None:
    """The value of the text, or of what it wraps in words or a block."""
    inside = [code for _, code in blocks(text)[0]]
    first = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    last = max(text.rfind("}"), text.rfind("]"))
    if 0 <= first < last:
        inside.append(text[first : last + 1])
    return next((found for one in (text, *inside) if (found := read(one)) is not None), None)


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}


def fits(value: Any, schema: object, depth: int = 0) -> bool:
    """The value keeps to the schema, as far as types, required members, items, enums and constants go."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return True
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(kinds, list) and not any(_is_a(value, kind) for kind in kinds):
        return False
    if ("const" in schema and value != schema["const"]) or (
        isinstance(schema.get("enum"), list) and value not in schema["enum"]
    ):
        return False
    if isinstance(value, dict):
        required, properties = schema.get("required"), schema.get("properties")
        if isinstance(required, list) and any(name not in value for name in required):
            return False
        known = properties if isinstance(properties, Mapping) else {}
        return all(fits(one, known.get(name), depth + 1) for name, one in value.items())
    return not isinstance(value, list) or all(fits(one, schema.get("items"), depth + 1) for one in value[:100])


def _is_a(value: Any, kind: object) -> bool:
    if kind in ("number", "integer"):
        whole = type(value) is int or (type(value) is float and value.is_integer())
        return whole if kind == "integer" else type(value) in (int, float)
    return not isinstance(kind, str) or kind not in _TYPES or isinstance(value, _TYPES[kind])
