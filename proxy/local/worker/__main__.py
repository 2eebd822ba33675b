"""The worker process: `python -m proxy.local.worker NAME`, which reads its `WorkerSpec` from the first line of stdin.

It never outlives who started it. On Linux the kernel kills it with its parent (PR_SET_PDEATHSIG, prctl(2)), even when
it hangs inside llama.cpp; everywhere the end of its stdin ends it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback

from proxy.local.spec import CANNOT_LOAD_ENGINE, CANNOT_LOAD_MODEL, EngineRefused, ModelRefused, WorkerSpec
from proxy.local.worker.server import serve

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until the parent goes away or somebody ends us; SIGTERM does so at once, by its default action."""
    _die_with_parent()
    line = sys.stdin.buffer.readline()
    if not line:
        return
    spec = WorkerSpec.read(line)
    if spec.parent and os.getppid() != spec.parent:
        return  # it died before the kernel was asked to watch it
    threading.Thread(target=_serve, args=(spec,), daemon=True).start()
    sys.stdin.buffer.read()
    # Not a return: that would run destructors of a server that is in the middle of something.
    os._exit(0)


def _serve(spec: WorkerSpec) -> None:
    status = 1
    try:
        serve(spec, threading.Event())
    except ModelRefused:
        status = CANNOT_LOAD_MODEL
    except EngineRefused as error:
        status = CANNOT_LOAD_ENGINE
        print(error, file=sys.stderr)  # noqa: T201 - stderr is this process's way to tell
    except BaseException:  # noqa: BLE001
        # Whatever it was, the parent learns it from stderr: a thread's uncaught exception would leave us idle.
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
