"""When a span of time begins, in words."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

_SPAN = re.compile(r"([1-9][0-9]{0,4})([dh])\Z")


def moment(words: str, now: float, zone: tzinfo | None) -> float:
    """When a span begins, as Unix time: `today`, `yesterday`, `7d` or `12h` back from now, a date, a date and time.

    `zone` says when days begin; `None`: the machine's own. Raises ValueError.
    """
    here = datetime.fromtimestamp(now, zone).astimezone(zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=zone)
    if words in ("today", "yesterday"):
        return (midnight - timedelta(days=words == "yesterday")).timestamp()
    span = _SPAN.match(words)
    if span:
        return now - int(span[1]) * (86400 if span[2] == "d" else 3600)
    given = datetime.fromisoformat(words)
    return (given if given.tzinfo else given.replace(tzinfo=zone)).timestamp()
