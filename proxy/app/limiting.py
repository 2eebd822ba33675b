"""Config -> the limits that the engine keeps."""

from __future__ import annotations

from proxy.config.values import Config
from proxy.engine.limiter import Terms


def terms_of(config: Config) -> Terms:
    """Those of all, of backends and of targets: routes carry their own."""
    targets = {target.name: target.rates for route in config.routes.values() for target in reversed(route.targets)}
    return Terms(
        all=config.limits,
        backends={name: backend.rates for name, backend in config.backends.items() if backend.rates},
        targets={name: rates for name, rates in targets.items() if rates},
    )


def limits_anything(config: Config) -> bool:
    """Something in it needs a limiter: else requests do without one."""
    routes = config.routes.values()
    backends = config.backends.values()
    return (
        bool(config.limits)
        or any(key.limits for key in config.keys)
        or any(backend.rates or backend.adaptive for backend in backends)
        or any(route.limits or route.queue is not None for route in routes)
        or any(target.rates or target.adaptive for route in routes for target in route.targets)
    )
