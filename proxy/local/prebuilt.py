"""The engine `xllamacpp`: llama.cpp's own server (llama-server), which listens on the socket by itself."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from proxy.local.spec import EngineRefused, ModelRefused, WorkerSpec

_ERRORS_ONLY = 1
"""llama.cpp's `verbosity`: 0 output, 1 errors, 2 warnings, 3 info (common/log.h)."""
_BATCH = 512


def serve(spec: WorkerSpec, stop: threading.Event) -> None:
    """Load and serve until `stop` is set. Raises `ModelRefused`, `EngineRefused`."""
    try:
        engine: Any = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise EngineRefused(str(error)) from error
    try:
        server = engine.Server(parameters(engine, spec))
    except RuntimeError as error:
        raise ModelRefused(str(error)) from error
    stop.wait()
    del server  # its destructor closes the socket and frees the model


def parameters(engine: Any, spec: WorkerSpec) -> Any:
    """llama-server's parameters for one model."""
    p = engine.CommonParams()
    p.model.path = spec.file
    p.model_alias = {spec.name}  # what replies say in `model`, instead of the path
    p.hostnames = [spec.socket]
    p.n_parallel = spec.parallel
    p.n_ctx = spec.n_ctx * spec.parallel  # each slot gets n_ctx / n_parallel
    p.n_gpu_layers = spec.gpu_layers
    if spec.threads is not None:
        p.cpuparams.n_threads = spec.threads
        p.cpuparams_batch.n_threads = spec.threads
    if spec.chat_template is not None:
        p.chat_template = spec.chat_template
    if spec.embedding:
        p.embedding = True
        p.pooling_type = engine.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        # One input is pooled within one batch: so the batch holds the longest input that a slot can take.
        p.n_batch = p.n_ubatch = max(_BATCH, spec.n_ctx)
    # A prompt evaluated behind a cached prefix rounds otherwise than one evaluated whole, so that the same question
    # with the same seed could be answered otherwise the second time. A request may ask for it: `cache_prompt: true`.
    p.cache_prompt = False
    p.cache_ram_mib = 0  # else up to 8 GiB of old prompts are kept
    # A connection holds a thread, also while it idles; with fewer threads than connections, /health would wait.
    p.n_threads_http = spec.parallel + spec.queue + 4
    p.ui = False
    p.cors_origins = ""
    p.verbosity = _ERRORS_ONLY
    return p
