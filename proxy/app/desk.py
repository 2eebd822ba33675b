"""What is in force: one configuration made ready, swapped as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.app.build import Builder
from proxy.app.free import FreeLists
from proxy.app.pull import Pulls
from proxy.app.tokenizers import Tokenizers
from proxy.config.values import Backend, Config
from proxy.core.place import Place
from proxy.engine.gate import Gates
from proxy.engine.keys import Rings
from proxy.engine.roads import Roads
from proxy.local.models import LocalModels
from proxy.net.flight import Net
from proxy.wire.auth import Authenticator, Table


@dataclass(frozen=True, slots=True)
class Desk:
    """One configuration with everything that was built from it. Exchanges keep the one they began with."""

    config: Config
    roads: Roads
    auth: Authenticator
    local: Mapping[str, LocalModels]
    """The local models by their backend's name."""
    loaded_at: int
    """Unix time in seconds."""
    gates: Gates
    """Handed on from one desk to the next."""
    tokenizers: Tokenizers
    """Likewise."""
    rings: Rings
    """Likewise: what is known of the keys of backends that have several."""
    pulls: Pulls
    """Likewise: models that are pulled where they are missing."""
    free: FreeLists
    """Likewise: what costs nothing at OpenRouter."""

    @property
    def max_depth(self) -> int:
        """Nesting of a JSON body that is taken."""
        return self.config.listen.max_depth


def build(
    config: Config, loaded_at: int, before: Desk | None = None, net: Net | None = None, keys: Table | None = None
) -> Desk:
    """Builds beside what is in force; local models whose backend did not change are taken over from `before`. `net`:
    what pulls models; without it none are. `keys`: callers' keys besides those of the configuration; taken over too."""
    local: dict[str, LocalModels] = {}
    for name, backend in config.backends.items():
        if backend.models and not backend.missing:
            kept = before.local.get(name) if before is not None and unchanged(before.config, backend) else None
            local[name] = kept or LocalModels(backend)
    places: dict[tuple[str, str], Place] = {
        (name, model): place for name, models in local.items() for model, place in models.places.items()
    }
    gates = Gates() if before is None else before.gates
    tokenizers = Tokenizers() if before is None else before.tokenizers
    tokenizers.wanted = config.tokenizers
    rings = Rings() if before is None else before.rings
    pulls = Pulls(net) if before is None else before.pulls
    free = FreeLists(net) if before is None else before.free
    roads = Builder(config, places, gates, tokenizers.of, rings, pulls, free).roads()
    auth = Authenticator(config.keys, keys if before is None else before.auth.table)
    return Desk(config, roads, auth, local, loaded_at, gates, tokenizers, rings, pulls, free)


def unchanged(config: Config, backend: Backend) -> bool:
    """The configuration has the very same backend."""
    return config.backends.get(backend.name) == backend
