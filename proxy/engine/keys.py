"""The keys of a backend that has several: used in turn, each with a health of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from weakref import WeakValueDictionary

from proxy.core.failure import Failure, FailureKind
from proxy.core.health import WELL, Health
from proxy.core.plan import ASKED_FOR_TIME
from proxy.core.secret import Secret

OF_THE_KEY = frozenset({FailureKind.KEY_REFUSED, FailureKind.QUOTA, FailureKind.RATE_LIMITED})
"""Failures that say nothing of the target as long as another key is good."""


class BackendKey:
    """What is known of one key. It outlives a configuration that still has the key."""

    __slots__ = ("__weakref__", "fingerprint", "health")

    def __init__(self, digest: str) -> None:
        self.fingerprint = digest[:4]
        """The beginning of its SHA-256: all that is ever told of it."""
        self.health = WELL

    def rests(self, now: float) -> bool:
        """It is left alone, since it failed or is about to."""
        return self.health.cool_until > now


class Ring:
    """The keys of one backend, in the order of the configuration. `targets`: those that routes name there."""

    __slots__ = ("_next", "backend", "keys", "targets")

    def __init__(self, backend: str, keys: Sequence[BackendKey], targets: Iterable[str]) -> None:
        self.backend = backend
        self.keys = tuple(keys)
        self.targets = frozenset(targets)
        self._next = 0

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, now: float, spoiled: Collection[BackendKey] = ()) -> int | None:
        """The place of the key whose turn it is: the next one that neither rests nor is `spoiled`."""
        count = len(self.keys)
        for step in range(count):
            place = (self._next + step) % count
            key = self.keys[place]
            if not key.rests(now) and key not in spoiled:
                self._next = place + 1
                return place
        return None

    def good(self, now: float, spoiled: Collection[BackendKey]) -> bool:
        """Another one can be taken."""
        return any(not key.rests(now) and key not in spoiled for key in self.keys)

    def soonest(self, *, asked: bool) -> int | None:
        """The place of the key whose rest ends first. Without `asked`, of those whose rest the backend did not ask
        for."""
        places = [place for place, key in enumerate(self.keys) if asked or not _asked_for_time(key.health)]
        return min(places, key=lambda place: self.keys[place].health.cool_until, default=None)

    def rest(self, now: float) -> Health | None:
        """Of the key that is due first, where all of them rest; foretold, if one of them is only about to fail."""
        if not all(key.rests(now) for key in self.keys):
            return None
        first = min((key.health for key in self.keys), key=lambda health: health.cool_until)
        return first._replace(foretold=any(key.health.foretold for key in self.keys))

    def wait(self, now: float, without: BackendKey) -> float:
        """Seconds until the first of the others is due."""
        return max(min(key.health.cool_until for key in self.keys if key is not without) - now, 0.0)

    def none_left(self, now: float) -> Failure:
        """Why nothing is sent."""
        health = self.rest(now)
        if health is None or health.cause is None:  # one that is spoiled for this request, and not at rest
            return Failure(FailureKind.RATE_LIMITED, "no key of the backend is left for this request")
        wait = health.cool_until - now
        return Failure(health.cause, "every key of the backend rests", retry_after=wait)


def _asked_for_time(health: Health) -> bool:
    return health.cause in ASKED_FOR_TIME and not health.foretold


class Rings:
    """All keys that are known, each as long as a ring has it. They outlive a configuration."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, str], BackendKey] = WeakValueDictionary()

    def of(self, backend: str, keys: Iterable[Secret], targets: Iterable[str]) -> Ring:
        """The ring of a backend's keys: what is known of those that it had before still holds."""
        return Ring(backend, [self._key(backend, key) for key in keys], targets)

    def _key(self, backend: str, secret: Secret) -> BackendKey:
        digest = hashlib.sha256(secret.reveal().encode()).hexdigest()
        key = self._known.get((backend, digest))
        if key is None:
            key = self._known[backend, digest] = BackendKey(digest)
        return key
