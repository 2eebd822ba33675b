"""The environment for a draft of a configuration that comes from outside: what stands in it must not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_PLAIN = re.compile(r"[0-9]{1,6}(\.[0-9]{1,4})?[A-Za-z]{0,3}|true|false|").fullmatch
"""Numbers, durations, sizes, truth values: what no secret is."""
VEIL = "http://hidden.invalid"
"""In the place of everything else: it can be a key as well as an address, and leads nowhere (RFC 2606 section 2)."""


class Veiled(Mapping[str, str]):
    """The same variables are set, and nearly nothing is told of their values."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value = self._environ[name]
        return value if _PLAIN(value) else VEIL

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)
