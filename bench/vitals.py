"""What the windows of targets cost: `python -m bench.vitals`

Microseconds for an outcome that is counted (the least of several rounds), milliseconds for a look at 100 targets, which
happens every 5 s, and the bytes that one target takes after 45 days with an answer every five minutes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator

from proxy.core.outcome import Ended, Outcome
from proxy.core.usage import Source, Usage
from proxy.core.vitals.windows import DAY, FIVE_MINUTES, Windows
from proxy.engine.events import Events
from proxy.engine.vitals import Vitals

MONDAY = 1_795_392_000.0
TARGETS = 100
ROUNDS, A_ROUND = 10, 20_000


def outcome(at: float, target: str, draw: random.Random) -> Outcome:
    """A stream that was served."""
    first = draw.lognormvariate(-0.7, 0.6)
    last = first + draw.lognormvariate(1.5, 0.7)
    usage = Usage(500, draw.randrange(20, 800), source=Source.REPORTED)
    who = ("r", 1, "chat", target, target.partition("/")[0])
    times = (at - last, 0.0, first, first, last)
    return Outcome(*who, Ended.SERVED, None, 200, True, *times, usage, None, None, False, "", "")


def counted() -> float:
    """Seconds for an outcome."""
    draw, vitals = random.Random(1), Vitals(Events())
    outcomes = [outcome(MONDAY + n / 100, f"a/{n % TARGETS}", draw) for n in range(A_ROUND)]
    best = 1.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for one in outcomes:
            vitals.observe_outcome(one)
        best = min(best, (time.perf_counter() - began) / A_ROUND)
    return best


def looked() -> float:
    """Seconds for a look at all targets, of which 30 days are known."""
    draw, vitals = random.Random(2), Vitals(Events())
    for target in range(TARGETS):
        for after in range(0, 30 * DAY, 3 * 3600):
            vitals.observe_outcome(outcome(MONDAY + after, f"a/{target}", draw))
    began = time.perf_counter()
    for target in range(TARGETS):
        vitals.look(f"a/{target}", MONDAY + 30 * DAY)
    return time.perf_counter() - began


def taken() -> int:
    """Bytes of one target."""
    draw, windows = random.Random(3), Windows()
    for after in range(0, 45 * DAY, FIVE_MINUTES):
        windows.count(outcome(MONDAY + after, "a/m", draw))
    return sum(map(sys.getsizeof, {id(thing): thing for thing in _all(windows)}.values()))


def _all(thing: object) -> Iterator[object]:
    yield thing
    if isinstance(thing, Windows):
        for name in Windows.__slots__:
            yield from _all(getattr(thing, name))
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield key
            yield from _all(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from _all(value)


def main() -> None:
    """Tell all three."""
    print(f"an outcome {counted() * 1e6:.2f} us, a look at {TARGETS} targets {looked() * 1e3:.1f} ms, ", end="")
    print(f"a target {taken() / 1000:.1f} KB")


if __name__ == "__main__":
    main()
