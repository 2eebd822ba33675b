"""A row of the table of backend types."""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.route import Timeouts


class BackendType(NamedTuple):
    """What the configuration needs to know of a type; its dialect is in proxy/backends."""

    name: str
    doc: str
    base_url: str | None
    """Used when none is given; `None`: one must be given. Empty: its dialect makes one of the backend's options."""
    key_variable: str = ""
    """The environment variable that holds the key by the provider's own custom: it counts where the file names neither
    a key nor another address, and while it is unset the backend is not configured. Empty: there is none."""
    address: str = "Address up to and with /v1."
    ours: bool = False
    """Wayline runs it itself: no address, no key."""
    free: bool = False
    """Costs 0 by declaration."""
    timeouts: Timeouts = Timeouts()
    priced_at: str = ""
    """The address by which genai-prices knows the provider, whatever the backend's own is. Empty: by its own."""


LOCAL = Timeouts(first=300.0)
"""A model on one's own machine may have to be loaded first."""
