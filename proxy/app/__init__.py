"""The composition root: the only place that knows all the parts."""

from __future__ import annotations

from pathlib import Path


def serve(config_path: Path, *, host: str | None, port: int | None, workers: int) -> int:
    """Serve until told to stop; gives the exit status."""
    from proxy.app.serve import serve as run

    return run(config_path, host=host, port=port, workers=workers)
