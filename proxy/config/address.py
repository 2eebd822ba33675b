"""Who can reach an address, and what that asks for."""

from __future__ import annotations

import dataclasses
import ipaddress

from proxy.config.databases import keys_in
from proxy.config.values import Config


def is_loopback(host: str) -> bool:
    """Only this machine reaches it. A name other than `localhost` may mean anything, so it is not."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def exposed(host: str) -> str:
    """Why this address needs keys, with the way out."""
    return (
        f"{host} can be reached from other machines, so callers need keys: `wayline keys add me`, or "
        '`keys: [{name: me, key: "${WAYLINE_KEY}"}]`, or listen on 127.0.0.1'
    )


def with_address(config: Config, host: str | None, port: int | None) -> Config | str:
    """The configuration on another address (`None`: as it is), or why that is refused."""
    listen = dataclasses.replace(
        config.listen,
        host=config.listen.host if host is None else host,
        port=config.listen.port if port is None else port,
    )
    if not is_loopback(listen.host) and not config.keys and not keys_in(config.state):
        return exposed(listen.host)
    return dataclasses.replace(config, listen=listen)
