"""The words of the machine in attempt.py: where a request stands, what happens to it, what is to be done."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import Ended, How
from proxy.core.route import Route, Target
from proxy.core.ways import Way


class Phase(IntEnum):
    """Where a request stands."""

    BEGIN = 0
    LIVE = 1
    """Attempts are under way and nothing of them was sent to the client."""
    COMMITTED = 2
    """Content was sent to the client: no other target may answer any more."""
    WAITING = 3
    """Before another try at the same target."""
    MENDING = 4
    """The stream was cut after content; another attempt is to go on where it broke off."""
    OVER = 5


class Live(NamedTuple):
    """An attempt under way. `at`: its target's place in the plan; `again`: further tries there before it; `keys`: other
    keys of its backend that were tried before its own; `way`: how it goes on with an answer that was cut."""

    number: int
    at: int
    again: int
    keys: int = 0
    way: Way | None = None


class State(NamedTuple):
    """One request."""

    route: Route
    targets: tuple[Target, ...]
    phase: Phase = Phase.BEGIN
    live: tuple[Live, ...] = ()
    sends: int = 0
    """Attempts so far: the number of the last one."""
    at: int = -1
    """The place in the plan of the target that was last sent to."""
    different: int = 0
    """Targets that were sent to."""
    failures: tuple[Failure, ...] = ()
    hedges: int = 0
    waiting: Live | None = None
    ways: tuple[Way, ...] = ()
    """What is left to try after the last cut."""
    cut: Failure | None = None
    continued: int = 0
    """Continuations that gave content."""


# Events ---------------------------------------------------------------------------------------------------------


class Begin(NamedTuple):
    """The request is read and its plan made."""


class Committed(NamedTuple):
    """The first content of this attempt goes to the client now."""

    number: int


class Served(NamedTuple):
    """This attempt's answer is complete."""

    number: int


class Failed(NamedTuple):
    """This attempt failed. `left`: seconds until the request's deadline; `jitter`: in [0, 1); `may_retry`: the retry
    budget allows one more try at the same target; `ways`: how the answer could be gone on with, the best first; `keys`:
    only the key failed, and another one is good: how many others its backend has. (0: else.)"""

    number: int
    failure: Failure
    left: float
    jitter: float = 0.5
    may_retry: bool = True
    ways: tuple[Way, ...] = ()
    keys: int = 0


class Full(NamedTuple):
    """The target that was to be sent to has no place free on our side, or has fallen ill since the plan was made:
    nothing was sent."""

    number: int
    failure: Failure


class WaitOver(NamedTuple):
    """The wait before the next try at the same target is over."""


class HedgeDue(NamedTuple):
    """No content came for so long that a second target may try as well."""


class Deadline(NamedTuple):
    """The request's total time is over."""

    failure: Failure


class Gone(NamedTuple):
    """The client left."""


Event = Begin | Committed | Served | Failed | Full | WaitOver | HedgeDue | Deadline | Gone

# Commands -------------------------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Send attempt `number` to this target."""

    number: int
    target: Target
    how: How = How.FRESH


class Record(NamedTuple):
    """This attempt has ended so: exactly one for each `Send` that was not answered by `Full`."""

    number: int
    ended: Ended
    failure: Failure | None


class Abort(NamedTuple):
    """Close this attempt's connection."""

    number: int


class Wait(NamedTuple):
    """Come back with `WaitOver` after so many seconds."""

    seconds: float


class Deliver(NamedTuple):
    """The client has its answer: end the response."""

    number: int


class Refuse(NamedTuple):
    """No content was sent: answer with this failure. `retry_after` in seconds."""

    failure: Failure
    retry_after: float | None


class Break(NamedTuple):
    """Content was sent and no more will come: say so in the stream."""

    failure: Failure


class Vanish(NamedTuple):
    """The client is gone: nobody is left to be answered."""


Command = Send | Record | Abort | Wait | Deliver | Refuse | Break | Vanish
Step = tuple[State, tuple[Command, ...]]

GONE = Failure(FailureKind.CLIENT_GONE, "the client closed the connection")
LOST = Failure(FailureKind.CLIENT_GONE, "another attempt gave the answer first")
