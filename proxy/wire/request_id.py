"""A name for each request, taken over from the client where it is harmless."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping

_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_PREFIX = "req_" + os.urandom(8).hex()
"""Random per process, so that no two workers, and no two runs, give the same id."""
_COUNT = itertools.count(1).__next__


def request_id(fields: Mapping[bytes, bytes]) -> str:
    """The client's `x-request-id` when it is at most 128 characters of `A-Za-z0-9._:-`; else a new one."""
    given = fields.get(b"x-request-id")
    if given is not None and _SANE(given):
        return given.decode()
    return "%s%08x" % (_PREFIX, _COUNT())  # noqa: UP031  # 0.12 us less than an f-string


def id_lines(id_: str) -> bytes:
    """The response's header lines, each ended by CRLF: ours, and the one that OpenAI's SDKs read theirs from."""
    told = id_.encode()
    return b"x-request-id: %b\r\nx-wayline-request-id: %b\r\n" % (told, told)


def _after_fork() -> None:
    global _PREFIX
    _PREFIX = "req_" + os.urandom(8).hex()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
