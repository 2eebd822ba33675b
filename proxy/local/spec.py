"""What a worker is told when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from proxy.config.values import LocalModel

CANNOT_LOAD_MODEL = 65
"""Exit status of a worker: llama.cpp refused the model (EX_DATAERR of sysexits.h). Trying again is futile."""
CANNOT_LOAD_ENGINE = 69
"""Exit status of a worker: the engine is installed but cannot be imported (EX_UNAVAILABLE)."""


class ModelRefused(Exception):
    """llama.cpp cannot load the model; it has said why on stderr."""


class EngineRefused(Exception):
    """The engine is installed but cannot be imported."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One model to be served on one socket."""

    name: str
    """The model's name in replies."""
    engine: str
    """`xllamacpp` or `llama-cpp-python`."""
    file: str
    socket: str
    n_ctx: int = 4096
    parallel: int = 1
    queue: int = 16
    threads: int | None = None
    gpu_layers: int = 0
    embedding: bool = False
    chat_template: str | None = None
    parent: int = 0
    """Process id of who started it."""

    @classmethod
    def of(cls, model: LocalModel, *, engine: str, file: str, socket: str) -> WorkerSpec:
        """What the configuration says of a model, and what was found for it."""
        return cls(
            name=model.name,
            engine=engine,
            file=file,
            socket=socket,
            n_ctx=model.n_ctx,
            parallel=model.parallel,
            queue=model.queue,
            threads=model.threads,
            gpu_layers=model.gpu_layers,
            embedding=model.embedding,
            chat_template=model.chat_template,
        )

    @property
    def inner_socket(self) -> str:
        """Where `xllamacpp`'s own server listens, which nobody asks."""
        return self.socket.removesuffix(".sock") + ".inner.sock"

    def line(self) -> bytes:
        """As one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> WorkerSpec:
        """The opposite of `line`."""
        return cls(**json.loads(line))
