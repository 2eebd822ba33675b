"""A model in a thread of this process (`isolation: none`), for those who want no second one.

It serves on a Unix socket like a worker does, so that nothing else differs. What is given up: a crash inside
llama.cpp ends this process, and while `xllamacpp` loads a model (it holds Python's lock meanwhile) this process
answers nobody.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from proxy.local.running import Exit, clear, refuses
from proxy.local.spec import CANNOT_LOAD_ENGINE, CANNOT_LOAD_MODEL, EngineRefused, ModelRefused, WorkerSpec
from proxy.local.worker.server import serve


class InsideThread:
    """See `Running`."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Exit] = self._loop.create_future()
        self._spec = spec
        self._stop = threading.Event()
        clear(spec)
        self._thread = threading.Thread(target=self._run, name=f"model {spec.name}", daemon=True)
        self._thread.start()

    def gone(self) -> bool:
        """See `Running`."""
        return self.ended.done() or not self._thread.is_alive() or refuses(self._spec.socket)

    def kill(self) -> None:
        """A thread can only be asked."""
        self._stop.set()

    async def stop(self) -> None:
        """Wait until it has freed the model."""
        self._stop.set()
        await asyncio.wait({self.ended})

    def _run(self) -> None:
        status = 1
        try:
            serve(self._spec, self._stop)
            status = 0
        except ModelRefused:
            status = CANNOT_LOAD_MODEL
        except EngineRefused:
            status = CANNOT_LOAD_ENGINE
        finally:
            with suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
                self._loop.call_soon_threadsafe(self._tell, Exit(status))

    def _tell(self, exit_: Exit) -> None:
        if not self.ended.done():
            self.ended.set_result(exit_)
