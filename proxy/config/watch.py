"""Has a file changed? Pure but for one `stat` and, when that differs, one read; the caller owns clock and timer.

What is compared is the content. The stat (which follows symlinks, so that Kubernetes' swap of `..data` and a file
replaced by `rename` both show as another inode) only spares the reading. A change counts when two looks in a row
saw the same content: an editor that truncates first and writes then is not caught half way.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

LARGEST = 4 << 20
"""Bytes that are looked at; the loader refuses a file of this size anyway."""


class Look(NamedTuple):
    """What a file was like at one moment. Of a file that is not there everything is empty."""

    stat: tuple[int, int, int, int] | None
    """Device, inode, size, mtime in nanoseconds."""
    digest: bytes


class Watched(NamedTuple):
    """What is known of a file."""

    loaded: bytes
    """Digest of the content that was taken last."""
    last: Look


def look(path: Path, last: Look | None = None) -> Look:
    """The file now. Reads it only when its stat is not that of `last`."""
    try:
        found = path.stat()
        stat = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if last is not None and last.stat == stat:
            return last
        with path.open("rb") as file:
            return Look(stat, hashlib.sha256(file.read(LARGEST)).digest())
    except OSError:
        return Look(None, b"")


def watch(path: Path) -> Watched:
    """To be called just before the file is loaded."""
    now = look(path)
    return Watched(now.digest, now)


def changed(watched: Watched, path: Path) -> tuple[Watched, bool]:
    """What is known after one more look, and whether the file is now to be loaded again.

    To be called about once a second. A file that is gone is no change: the configuration in use stays.
    """
    now = look(path, watched.last)
    settled = now.digest == watched.last.digest
    if now.digest and settled and now.digest != watched.loaded:
        return Watched(now.digest, now), True
    return Watched(watched.loaded, now), False
