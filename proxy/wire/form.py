"""Reads a `multipart/form-data` body as far as it must be known where the model's name stands (RFC 7578, RFC 2046).

The body is handed on with that name replaced, so nobody behind us may find another one in it: whatever two readers
could take differently is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_PARTS = 256
MAX_HEAD = 8 * 1024
"""Bytes of one part's header lines."""
MAX_VALUES = {"model": 1024, "stream": 1024, "prompt": 256 * 1024}
"""Bytes of the fields that are read here."""

_TYPE = re.compile(
    r'multipart/form-data\s*;\s*(?:charset=[A-Za-z0-9_-]+\s*;\s*)?boundary=(?:"([^"\\\r\n]{1,70})"|([^\s";]{1,70}))\s*;?\s*',
    re.IGNORECASE,
)
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]")
"""RFC 2046 section 5.1.1."""
_TOKEN = re.compile(r"[A-Za-z0-9'+_.-]+")
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_PARAM = re.compile(r';\s*([A-Za-z0-9*_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";\\]+))\s*')
_PLAIN = frozenset({"7bit", "8bit", "binary"})


class BadForm(ValueError):
    """What is wrong with it, for the caller. `param`: the field that is."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class Form(NamedTuple):
    """What is read of a form."""

    fields: dict[str, str]
    """Those that are read, where they are there."""
    span: tuple[int, int]
    """Where the model's name stands in the body; empty where there is none."""
    content_type: str


def read_form(body: bytes, content_type: str) -> Form:
    """Raises `BadForm`."""
    boundary = _boundary(content_type)
    delimiter = b"\r\n--" + boundary
    _no_other_lines(body, delimiter[2:])
    fields: dict[str, str] = {}
    span = (0, 0)
    at = _first(body, delimiter[2:])
    for _ in range(MAX_PARTS):
        end_of_head = body.find(b"\r\n\r\n", at, at + MAX_HEAD)
        if end_of_head < 0:
            raise BadForm("The header lines of a part of the form have no end.")
        begin = end_of_head + 4
        end = body.find(delimiter, begin - 2)  # its line break may be the blank line's own: RFC 2046, an empty body
        if end < begin:
            raise BadForm("A part of the form has no end.")
        head = body[at:end_of_head]
        if delimiter[2:] in head:
            raise BadForm("A boundary stands among the header lines of a part of the form.")
        name, is_file = _named(head)
        if name in MAX_VALUES:
            if name in fields or is_file:
                raise BadForm(f"'{name}' must stand in the form once, as a plain field.", name)
            fields[name] = _text(name, body[begin:end])
            if name == "model":
                span = (begin, end)
        at = end + len(delimiter)
        if body.startswith(b"--", at):
            if body[at + 2 :].strip():
                raise BadForm("Something stands behind the end of the form.")
            return Form(fields, span, _type_with(boundary.decode()))
        at = _line_end(body, at)
    raise BadForm(f"The form has more than {MAX_PARTS} parts.")


def _boundary(content_type: str) -> bytes:
    found = _TYPE.fullmatch(content_type.strip())
    text = (found.group(1) or found.group(2)) if found else ""
    if not text or not _BOUNDARY.fullmatch(text):
        raise BadForm("The content type must be multipart/form-data with one boundary.")
    return text.encode("ascii")


def _type_with(boundary: str) -> str:
    """The content type, written anew: in quotes only where it must be, since not every reader knows them."""
    return (
        f"multipart/form-data; boundary={boundary}"
        if _TOKEN.fullmatch(boundary)
        else (f'multipart/form-data; boundary="{boundary}"')
    )


def _first(body: bytes, dashes: bytes) -> int:
    """Behind the first boundary. Nothing stands before it: some readers would skip that, and others read it."""
    if not body.startswith(dashes):
        raise BadForm("The body does not begin with the boundary that its content type names.")
    return _line_end(body, len(dashes))


def _no_other_lines(body: bytes, dashes: bytes) -> None:
    """Some readers take a boundary for one that stands behind half a line break."""
    at = body.find(dashes, 1)
    while at > 0:
        before = body[max(at - 2, 0) : at]
        if before[-1:] == b"\r" or (before[-1:] == b"\n" and before != b"\r\n"):
            raise BadForm("A boundary of the form stands behind half a line break.")
        at = body.find(dashes, at + 1)


def _line_end(body: bytes, at: int) -> int:
    if not body.startswith(b"\r\n", at):
        raise BadForm("A boundary of the form does not stand on a line of its own.")
    return at + 2


def _named(head: bytes) -> tuple[str, bool]:
    """The part's name, and whether it is a file. Raises `BadForm`."""
    disposition = ""
    for line in head.split(b"\r\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadForm("A part of the form has a header line that is none.")
        name, value = found.group(1).lower(), found.group(2).decode("utf-8", "replace")
        if name == b"content-disposition":
            if disposition:
                raise BadForm("A part of the form has two dispositions.")
            disposition = value
        elif name == b"content-transfer-encoding" and value.strip().lower() not in _PLAIN:
            raise BadForm("A part of the form is encoded (RFC 7578 section 4.7 does without that).")
    return _disposition(disposition)


def _disposition(value: str) -> tuple[str, bool]:
    kind, _, rest = value.partition(";")
    if kind.strip().lower() != "form-data":
        raise BadForm("A part of the form has no disposition 'form-data'.")
    at, params = 0, {}
    text = f";{rest}"
    while at < len(text) and (found := _PARAM.match(text, at)) is not None:
        name = found.group(1).lower()
        if name in params or name.startswith("name*"):  # RFC 2231: some readers know it
            raise BadForm("A part of the form is named twice, or in a way that forms do not have.")
        params[name] = found.group(3) if found.group(2) is None else found.group(2)
        at = found.end()
    if text[at:].strip(" \t;") or "name" not in params:
        raise BadForm("A part of the form has no name, or one that cannot be read.")
    name = params["name"]
    if "\\" in name and re.sub(r"\\(.)", r"\1", name) in MAX_VALUES:
        raise BadForm("A part of the form has a name that is written oddly.")
    return name, "filename" in params or "filename*" in params


def _text(name: str, value: bytes) -> str:
    if len(value) > MAX_VALUES[name]:
        raise BadForm(f"'{name}' is too long.", name)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadForm(f"'{name}' is not valid UTF-8.", name) from None
