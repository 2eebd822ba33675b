"""Serving one model on its socket by the engine that was chosen."""

from __future__ import annotations

import threading

from proxy.local.spec import WorkerSpec


def serve(spec: WorkerSpec, stop: threading.Event) -> None:
    """Load and serve until `stop` is set. Raises `ModelRefused`, `EngineRefused`."""
    # Each engine is imported only where it is used: the other may not be installed.
    if spec.engine == "xllamacpp":
        from proxy.local import prebuilt

        prebuilt.serve(spec, stop)
    else:
        from proxy.local.llama import server

        server.serve(spec, stop)
