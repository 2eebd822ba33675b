"""What Google's errors mean (`google.rpc.Status`: code, status, details), where OpenAI's rules do not say it.

Sources (read on 2026-11-21): ai.google.dev, "Troubleshooting" and "Rate limits"; google/rpc/error_details.proto;
issues of public clients for the words of the messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.backends.openai_errors import ErrorReader, Fault
from proxy.core.call import Headers
from proxy.core.failure import Failure

_FUTILE = re.compile(r"PerDay|PerMonth")
"""In a quota's id: seconds of waiting, which Google names all the same, are of no use."""
_NOTHING_LEFT = re.compile(r"limit: 0\b|spend(?:ing)? cap|credits? (?:are|is) (?:depleted|exhausted)", re.IGNORECASE)
"""The plan has no share of this model at all, or no money is left."""
_TOO_LONG = re.compile(r"input token count .{0,80}supports up to|text fields that are too large")
_UNABLE = re.compile(
    r"(?:is|are|was) not (?:enabled|supported|available) (?:for|on|in|by|with)|is (?:unsupported|not supported)\b"
    r"|unsupported (?:mime ?type|field|file)|only one candidate can be specified|can ?not be used (?:with|together)"
    r"|thought.?signature|payload size exceeds|unable to process input image"
    r"|thinking (?:budget|level)|only works in thinking mode"
)
"""Under INVALID_ARGUMENT: this model cannot do it; another may."""
_NOT_HERE = re.compile(r"user location is not supported|api has not been used|billing to be enabled|enable billing")
_REQUEST = frozenset({None, 400, 404, 413})


class GoogleErrors(ErrorReader):
    """Reads the errors of one backend; see `ErrorReader`."""

    __slots__ = ()

    def _failure(self, fault: Fault, status: int | None, headers: Headers) -> Failure:
        text = fault.message.lower()
        words = fault.words
        if "resource_exhausted" in words and _futile(fault):
            # without the details, whose delay would bring us back at once
            return super()._failure(Fault(words=frozenset({"insufficient_quota"}), code=fault.code), status, [])
        if _NOT_HERE.search(text):
            fault = fault._replace(words=words | {"unsupported_country_region_territory"}, message="")
        elif status in _REQUEST and _TOO_LONG.search(text):
            fault = fault._replace(words=words | {"context_length_exceeded"})
        elif status in _REQUEST and "invalid_argument" in words and _UNABLE.search(text):
            fault = fault._replace(words=words | {"unsupported_feature"})
        return super()._failure(fault, status, headers)


def _futile(fault: Fault) -> bool:
    return _NOTHING_LEFT.search(fault.message) is not None or any(
        _FUTILE.search(str(violation.get("quotaId", ""))) for violation in _violations(fault.body)
    )


def _violations(body: object) -> Iterator[Mapping[str, Any]]:
    details = body.get("details") if isinstance(body, dict) else None
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("violations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                yield violation
