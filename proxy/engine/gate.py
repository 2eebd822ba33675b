"""Places at backends and targets: how many there are, and how many are taken."""

from __future__ import annotations

from weakref import WeakValueDictionary

from proxy.core.limiting.adaptive import Found, Sample, begin, learn
from proxy.core.limiting.values import Adaptive


class Gate:
    """Counts what is in flight against a limit (`concurrency`). `limit` None: no limit, only the count."""

    __slots__ = ("__weakref__", "_found", "adaptive", "busy", "limit", "waiting")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.busy = 0
        self.waiting = 0
        """Requests in the queue that would go here: nobody who comes later goes before them."""
        self.adaptive: Adaptive | None = None
        """Bounds within which the limit is found; `None`: it is given."""
        self._found: Found | None = None

    @property
    def full(self) -> bool:
        """No place is free."""
        return self.limit is not None and self.busy >= self.limit

    def adapt(self, spec: Adaptive | None) -> None:
        """The limit is found within these bounds from now on; what was found within the same ones stays."""
        if spec is not None and (spec != self.adaptive or self._found is None):
            self._found = begin(spec)
        self.adaptive = spec
        if spec is not None and self._found is not None:
            self.limit = self._found.places

    def learn(self, sample: Sample, now: float) -> None:
        """One more attempt has ended here."""
        if self.adaptive is not None and self._found is not None:
            self._found = learn(self._found, self.adaptive, sample, now)
            self.limit = self._found.places


class Gates:
    """The gates by the backend or target that they guard, each kept as long as a lane has it. They outlive a
    configuration: what is in flight under the old one counts under the new one too."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Gate] = WeakValueDictionary()

    def of(self, name: str) -> Gate:
        """The gate of that name, made where there is none: without a limit."""
        gate = self._known.get(name)
        if gate is None:
            gate = self._known[name] = Gate()
        return gate

    def found(self) -> list[tuple[str, int]]:
        """The limits that are found, not given, by name."""
        return [(name, gate.limit or 0) for name, gate in sorted(self._known.items()) if gate.adaptive is not None]

    def __len__(self) -> int:
        return len(self._known)
