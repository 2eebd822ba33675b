"""Messages of AWS's binary event stream, written by its specification."""

from __future__ import annotations

import struct
import zlib

import orjson


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message with text headers."""
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    return raw(block, payload)


def raw(block: bytes, payload: bytes) -> bytes:
    """One message with this block of headers."""
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, body: object) -> bytes:
    """An event as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, orjson.dumps(body))


def exception(kind: str, body: object) -> bytes:
    """An exception in mid-stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, orjson.dumps(body))


def delta(text: str, block: int = 0) -> bytes:
    """A piece of the answer."""
    return event("contentBlockDelta", {"contentBlockIndex": block, "delta": {"text": text}, "p": "abcdefgh"})


def stopped(reason: str = "end_turn") -> bytes:
    """The end of the message."""
    return event("messageStop", {"stopReason": reason})
