"""The engine `xllamacpp`: llama.cpp's own server (llama-server), asked in process."""

from __future__ import annotations

import importlib
import re
from functools import partial
from typing import Any

import orjson

from proxy.local.spec import EngineRefused, ModelRefused, WorkerSpec
from proxy.local.worker import shapes
from proxy.local.worker.cores import cores
from proxy.local.worker.engine import Cancelled, Emit, Gone, Turn
from proxy.local.worker.goingon import TELL, Told, behind, templated
from proxy.local.worker.request import (
    EmbedAsk,
    Refused,
    invalid,
    read_embed,
    read_json,
    said_before,
    unsupported,
)
from proxy.local.worker.texts import WholeText, read_text
from proxy.local.worker.whole import Whole

_ERRORS_ONLY = 1
"""llama.cpp's `verbosity`: 0 output, 1 errors, 2 warnings, 3 info (common/log.h)."""
_BATCH = 16
"""Tokens of a prompt that are evaluated at once on a CPU: it can be stopped only between two batches. With one thread
SmolLM2-135M takes 0.12 s for 16 (134 tokens/s), 0.26 s for 32, and 3.3 s for llama.cpp's usual 512 (155 tokens/s)."""
_GPU_BATCH = 512
_EMBED_AT_ONCE = 8
"""Texts of one request that are embedded together: it can be stopped only in between."""


class Prebuilt:
    """See `Engine`."""

    def __init__(self, spec: WorkerSpec) -> None:
        """Raises `ModelRefused`, `EngineRefused`."""
        self._spec = spec
        try:
            library: Any = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise EngineRefused(str(error)) from error
        try:
            self._server: Any = library.Server(parameters(library, spec))
        except RuntimeError as error:
            raise ModelRefused(str(error)) from error

    @property
    def slots(self) -> int:
        """See `Engine`."""
        return self._spec.parallel

    def close(self) -> None:
        """See `Engine`."""
        self._server = None  # its destructor stops its threads and frees the model

    def chat(self, raw: bytes) -> Turn:
        """See `Engine`. llama-server itself finds out what is wrong with the request, when its turn comes."""
        body = read_json(raw)
        if body.get("n") not in (None, 1):
            raise unsupported("n", "several choices are counted as one by this engine, so that their usage is wrong")
        said = said_before(body)
        if said:
            return Turn(True, partial(self._go_on, body, said))
        stream = body.get("stream") is True
        progress = body.get("return_progress") is True
        options = body.get("stream_options")
        if not stream or not isinstance(options, dict):
            options = {"include_usage": not stream}
        # Always a stream, and with progress: the only calls that can be stopped, and that while they evaluate.
        whole_body = {**body, "stream": True, "stream_options": options, "return_progress": True}
        told = Told() if stream and body.get("return_tokens") is True and not body.get("logprobs") else None
        asked = orjson.dumps(whole_body if told is None else {**whole_body, **TELL})

        def run(gone: Gone, emit: Emit) -> None:
            if stream:
                shape = shapes.event if told is None else told.event
                self._ask(asked, gone, lambda chunk: emit(shape(chunk)), progress=progress)
                emit(shapes.DONE)
            else:
                whole = Whole()
                self._ask(asked, gone, lambda chunk: whole.add(orjson.loads(chunk)))
                emit(whole.body())

        return Turn(stream, run)

    def _go_on(self, body: dict[str, Any], said: tuple[int, ...], gone: Gone, emit: Emit) -> None:
        """An answer behind tokens that were made before."""
        prompt = templated(self._spec.inner_socket, body)
        told = Told(as_chat=True)
        asked = orjson.dumps(behind(body, prompt, said))
        ask = self._server.handle_completions
        self._ask(asked, gone, lambda chunk: emit(told.event(chunk)), progress=True, ask=ask)
        emit(shapes.DONE)

    def complete(self, raw: bytes) -> Turn:
        """See `Engine`."""
        prompt, body = read_text(raw)
        stream = body.get("stream") is True
        options = body.get("stream_options")
        if not stream or not isinstance(options, dict):
            options = {"include_usage": not stream}
        asked = orjson.dumps(
            {**body, "prompt": prompt, "stream": True, "stream_options": options, "return_progress": True}
        )
        ask = self._server.handle_completions

        def run(gone: Gone, emit: Emit) -> None:
            if stream:
                self._ask(asked, gone, lambda chunk: emit(shapes.event(chunk)), ask=ask)
                emit(shapes.DONE)
            else:
                whole = WholeText()
                self._ask(asked, gone, lambda chunk: whole.add(orjson.loads(chunk)), ask=ask)
                emit(whole.body())

        return Turn(stream, run)

    def embed(self, raw: bytes) -> Turn:
        """See `Engine`."""
        ask = read_embed(raw)

        def run(gone: Gone, emit: Emit) -> None:
            vectors: list[list[float]] = []
            tokens = 0
            for at in range(0, len(ask.inputs), _EMBED_AT_ONCE):
                if gone():
                    raise Cancelled
                some, count = self._vectors(ask, at)
                vectors += some
                tokens += count
            emit(shapes.embeddings(self._spec.name, vectors, tokens, as_base64=ask.base64))

        return Turn(False, run)

    def _ask(self, asked: bytes, gone: Gone, take: Emit, *, progress: bool = False, ask: Any = None) -> None:
        """One chat call: every chunk but those of progress; with `progress` the last of them, which holds the number
        of the prompt's tokens. Raises `Cancelled`, `Refused`."""
        refused: list[Refused] = []
        evaluated: list[bytes] = []

        def on_chunk(chunk: bytes) -> bool:
            """Called for each; true stops the call. What it raises would be lost."""
            if chunk.startswith(b'{"error"'):
                refused.append(_refused(chunk))
            elif b'"prompt_progress":' in chunk:  # in a text its quotes would be escaped
                if progress:
                    evaluated[:] = [chunk]
            else:
                if evaluated:
                    take(evaluated.pop())
                take(chunk)
            return bool(refused) or gone()

        try:
            (ask or self._server.handle_chat_completions)(asked, on_chunk)
        except ValueError as error:  # what it finds before it queues the request
            raise invalid(str(error)) from None
        if refused:
            raise refused[0]
        if gone():
            raise Cancelled

    def _vectors(self, ask: EmbedAsk, at: int) -> tuple[list[list[float]], int]:
        asked = orjson.dumps({"input": ask.inputs[at : at + _EMBED_AT_ONCE]})
        try:
            answer = self._server.handle_embeddings(asked)
        except ValueError as error:
            raise invalid(str(error)) from None
        if answer.startswith(b'{"error"'):
            raise _refused(answer, n_ctx=self._spec.n_ctx)
        body = orjson.loads(answer)
        return [item["embedding"] for item in body["data"]], body["usage"]["prompt_tokens"]


def _refused(raw: bytes, n_ctx: int = 0) -> Refused:
    """llama-server's error, as it gave it, but for a text too long to be embedded: that is a 500 there."""
    error = orjson.loads(raw)["error"]
    status, kind, message = error.pop("code"), error.pop("type"), error.pop("message")
    too_long = re.match(r"input \((\d+) tokens\) is too large to process", message)
    if too_long:
        message = f"request ({too_long[1]} tokens) exceeds the available context size ({n_ctx} tokens)"
        return Refused(400, "exceed_context_size_error", message, n_prompt_tokens=int(too_long[1]), n_ctx=n_ctx)
    return Refused(status, kind, message, **error)


def parameters(library: Any, spec: WorkerSpec) -> Any:
    """llama-server's parameters for one model."""
    p = library.CommonParams()
    p.model.path = spec.file
    p.model_alias = {spec.name}  # what replies say in `model`, instead of the path
    # It listens in any case: beside our own socket, in the same private directory. Only a name in .sock is a socket's.
    p.hostnames = [spec.inner_socket]
    p.n_threads_http = 1
    p.n_parallel = spec.parallel
    p.n_ctx = spec.n_ctx * spec.parallel  # each slot gets n_ctx / n_parallel
    p.n_gpu_layers = spec.gpu_layers
    p.n_batch = p.n_ubatch = _GPU_BATCH if spec.gpu_layers else _BATCH
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = spec.threads or cores()
    if spec.chat_template is not None:
        p.chat_template = spec.chat_template
    if spec.embedding:
        p.embedding = True
        p.pooling_type = library.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        # A text is pooled within one batch: so the batch holds the longest that a slot can take.
        p.n_batch = p.n_ubatch = spec.n_ctx
    # A prompt evaluated behind a cached prefix rounds otherwise than one evaluated whole, so that the same question
    # with the same seed could be answered otherwise the second time. A request may ask for it: `cache_prompt: true`.
    p.cache_prompt = False
    p.cache_ram_mib = 0  # else up to 8 GiB of old prompts are kept
    p.ui = False
    p.cors_origins = ""
    p.verbosity = _ERRORS_ONLY
    return p
