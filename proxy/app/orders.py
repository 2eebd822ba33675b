"""How one worker reaches all of them: by the signals that an operator would send to their parent."""

from __future__ import annotations

import os
import signal


class Signals:
    """Implements `proxy.app.admin_act.Orders`. `supervised`: the parent process is the workers' supervisor."""

    def __init__(self, *, supervised: bool) -> None:
        self._parent = os.getppid() if supervised else None

    def drain(self) -> None:
        """SIGTERM, which the supervisor hands on."""
        os.kill(os.getpid() if self._parent is None else self._parent, signal.SIGTERM)

    def reload_others(self) -> bool:
        """SIGHUP, likewise; this worker loads it once more, which changes nothing."""
        if self._parent is None or self._parent != os.getppid():
            return False
        os.kill(self._parent, signal.SIGHUP)
        return True
