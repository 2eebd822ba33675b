"""The engine `llama-cpp-python`: a text loop of our own around its `Llama`, one request at a time.

Its own `create_chat_completion` counts no usage in streams, evaluates before it knows that a prompt is too long, and
cannot be stopped within a token.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import math
import random
import secrets
import time
from collections.abc import Iterator
from typing import Any

import orjson

from proxy.local.spec import EngineRefused, ModelRefused, WorkerSpec
from proxy.local.worker import shapes
from proxy.local.worker.cores import cores
from proxy.local.worker.engine import Cancelled, Emit, Gone, Turn
from proxy.local.worker.request import ChatAsk, Refused, Sampling, invalid, read_chat, read_embed
from proxy.local.worker.shapes import Done, Piece, Shapes
from proxy.local.worker.text import ShownText
from proxy.local.worker.texts import as_text, read_text

_BATCH = 512
_PIECE_BYTES = 1024
"""No vocabulary has a token of more bytes."""
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For a model that brings no template; llama-server does the same."""


class Built:
    """See `Engine`."""

    def __init__(self, spec: WorkerSpec) -> None:
        """Raises `ModelRefused`, `EngineRefused`."""
        try:
            self._lib: Any = importlib.import_module("llama_cpp")
            formats: Any = importlib.import_module("llama_cpp.llama_chat_format")
        except (ImportError, RuntimeError, OSError) as error:  # RuntimeError: its shared library cannot be loaded
            raise EngineRefused(str(error)) from error
        self._spec = spec
        self._llm = self._load(spec)
        self._vocab = self._llm._model.vocab
        self.n_ctx: int = self._llm.n_ctx()
        self._format = formats.Jinja2ChatFormatter(
            template=spec.chat_template or self._llm.metadata.get("tokenizer.chat_template") or _CHATML,
            eos_token=self._special(self._llm.token_eos()),
            bos_token=self._special(self._llm.token_bos()),
        )
        self._gone: Gone = lambda: False
        # llama.cpp asks it before each node of a computation. Kept in an attribute: it holds only the bare pointer.
        self._abort = self._lib.ggml_abort_callback(lambda _: self._gone())
        self._lib.llama_set_abort_callback(self._llm.ctx, self._abort, None)

    @property
    def slots(self) -> int:
        """See `Engine`. `Llama` is one sequence at a time."""
        return 1

    def close(self) -> None:
        """See `Engine`."""
        self._llm.close()

    def chat(self, raw: bytes) -> Turn:
        """See `Engine`."""
        ask = read_chat(raw)
        prompt, grammar = self._prompt(ask), self._grammar(ask)

        def run(gone: Gone, emit: Emit) -> None:
            self._gone = gone
            out = Shapes(f"chatcmpl-{secrets.token_urlsafe(24)}", int(time.time()), self._spec.name)
            items = self._answer(ask, prompt, grammar)
            if ask.stream:
                _stream(ask, out, items, emit, out.evaluated(len(prompt)) if ask.progress else b"")
            else:
                _whole(ask, out, items, emit)

        return Turn(ask.stream, run)

    def complete(self, raw: bytes) -> Turn:
        """See `Engine`."""
        given, body = read_text(raw)
        ask = read_chat(orjson.dumps({**body, "messages": [{"role": "user", "content": ""}]}))
        prompt, grammar = self._embed_tokens(given), self._grammar(ask)

        def run(gone: Gone, emit: Emit) -> None:
            self._gone = gone
            out = Shapes(f"cmpl-{secrets.token_urlsafe(24)}", int(time.time()), self._spec.name)
            items = self._answer(ask, prompt, grammar)

            def said(piece: bytes) -> None:
                if text := as_text(piece):
                    emit(text)

            if ask.stream:
                _stream(ask, out, items, said, b"")
            else:
                _whole(ask, out, items, said)

        return Turn(ask.stream, run)

    def embed(self, raw: bytes) -> Turn:
        """See `Engine`."""
        ask = read_embed(raw)
        inputs = [self._embed_tokens(given) for given in ask.inputs]

        def run(gone: Gone, emit: Emit) -> None:
            self._gone = gone
            vectors = [self._vector(tokens) for tokens in inputs]
            emit(shapes.embeddings(self._spec.name, vectors, sum(map(len, inputs)), as_base64=ask.base64))

        return Turn(False, run)

    def _prompt(self, ask: ChatAsk) -> list[int]:
        """The request by the model's template, as tokens. Raises `Refused` when it does not fit: nothing is
        evaluated before that is known."""
        try:
            text = self._format(messages=ask.messages, **ask.template_options).prompt
        except Exception as error:  # noqa: BLE001
            # A template is a program that came with the model: it raises what it likes, mostly to say that it
            # does not take such messages.
            raise invalid(f"the model's chat template refuses the messages: {error}") from None
        tokens: list[int] = self._llm.tokenize(text.encode("utf-8", "replace"), add_bos=False, special=True)
        if not all(0 <= token < self._llm.n_vocab() for token in ask.said):
            raise invalid('a token id of "continue_tokens" is not in the vocabulary')
        return self._fitting([*tokens, *ask.said])

    def _fitting(self, tokens: list[int]) -> list[int]:
        # The context must hold one token of the answer too, as llama-server has it.
        if len(tokens) >= self.n_ctx:
            message = f"request ({len(tokens)} tokens) exceeds the available context size ({self.n_ctx} tokens)"
            counts = {"n_prompt_tokens": len(tokens), "n_ctx": self.n_ctx}
            raise Refused(400, "exceed_context_size_error", message, **counts)
        return tokens

    def _grammar(self, ask: ChatAsk) -> Any:
        """The grammar that the answer must keep to, or `None`. Raises `Refused`."""
        if ask.schema is None:
            return None
        try:
            if ask.schema == {}:
                grammar = self._lib.LlamaGrammar.from_string(self._lib.llama_grammar.JSON_GBNF, verbose=False)
            else:
                grammar = self._lib.LlamaGrammar.from_json_schema(json.dumps(ask.schema), verbose=False)
        except Exception as error:  # noqa: BLE001
            # A converter of somebody else's, fed with anything: RecursionError, KeyError, AssertionError…
            raise invalid(f"the JSON schema cannot be turned into a grammar: {error!r}") from None
        # Used unchecked, a grammar that llama.cpp refuses is a null pointer in its sampler chain: a crash.
        sampler = self._lib.llama_sampler_init_grammar(self._vocab, grammar._grammar.encode(), b"root")
        if not sampler:
            raise invalid("the JSON schema's grammar is refused by llama.cpp")
        self._lib.llama_sampler_free(sampler)
        return grammar

    def _answer(self, ask: ChatAsk, prompt: list[int], grammar: Any) -> Iterator[Piece | Done]:
        """The answer, piece by piece. Raises `Cancelled`."""
        cached = self._begin(ask, prompt)
        shown = ShownText(ask.stop)
        room = self.n_ctx - len(prompt)
        budget = room if ask.max_tokens is None else min(ask.max_tokens, room)
        entries: list[dict[str, Any]] = []
        tokens: list[int] = []
        count, finish = 0, "length"
        if budget == 0:
            yield Done(finish, len(prompt), 0, cached)
            return
        for token in self._tokens(prompt, ask.sampling, grammar):
            count += 1
            if self._lib.llama_vocab_is_eog(self._vocab, token):
                finish = "stop"
                break
            data = self._piece(token)
            if ask.logprobs is not None:
                entries.append(self._logprob(token, data, ask.logprobs))
            text = shown.feed(data)
            if ask.tells_tokens:
                tokens.append(token)
            if text:
                told = () if shown.holds else tuple(tokens)
                yield Piece(text, tuple(entries), told)
                entries.clear()
                if told:
                    tokens.clear()
            if shown.stopped:
                finish = "stop"
                break
            if count >= budget:
                break
        rest = shown.close()
        if rest or (entries and not shown.stopped):
            yield Piece(rest, tuple(entries))
        yield Done(finish, len(prompt), count, cached)

    def _vector(self, tokens: list[int]) -> list[float]:
        """The mean of the tokens' vectors, of length 1. Raises `Cancelled`."""
        llm = self._llm
        llm._ctx.kv_cache_clear()
        llm._batch.reset()
        llm._batch.add_sequence(tokens, 0, True)
        try:
            llm._ctx.decode(llm._batch)
        except RuntimeError:
            if self._gone():
                raise Cancelled from None
            raise
        vector: list[float] = self._lib.llama_get_embeddings_seq(llm.ctx, 0)[: llm.n_embd()]
        norm = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / norm for x in vector]

    def _embed_tokens(self, given: str | list[int]) -> list[int]:
        """A text as it stands, or an input of an embeddings request, as tokens. Raises `Refused`."""
        if isinstance(given, str):
            tokens: list[int] = self._llm.tokenize(given.encode("utf-8", "replace"), add_bos=True, special=True)
        else:
            tokens = given
            if not all(0 <= token < self._llm.n_vocab() for token in tokens):
                raise invalid('a token id of "input" is not in the vocabulary')
        return self._fitting(tokens)

    def _load(self, spec: WorkerSpec) -> Any:
        threads = spec.threads or cores()
        # A text is pooled within one batch: so the batch holds the longest that fits into the context.
        batch = spec.n_ctx if spec.embedding else _BATCH
        pooling = self._lib.LLAMA_POOLING_TYPE_MEAN if spec.embedding else self._lib.LLAMA_POOLING_TYPE_UNSPECIFIED
        try:
            return self._lib.Llama(
                spec.file,
                n_ctx=spec.n_ctx,
                n_batch=batch,
                n_ubatch=batch,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=spec.gpu_layers,
                embedding=spec.embedding,
                pooling_type=pooling,
                verbose=False,
            )
        except (ValueError, RuntimeError) as error:
            raise ModelRefused(str(error)) from error

    def _begin(self, ask: ChatAsk, prompt: list[int]) -> int:
        """Set the seed and decide what of the last prompt is used again: how many tokens."""
        seed = ask.sampling.seed
        self._llm.set_seed(random.getrandbits(32) if seed is None else seed & 0xFFFFFFFF)
        if not ask.cache_prompt:
            # Evaluated behind a cached prefix a prompt rounds otherwise: the same seed could answer otherwise.
            self._llm.reset()
            return 0
        same = 0
        for old, new in zip(self._llm._input_ids.tolist(), prompt, strict=False):
            if old != new:
                break
            same += 1
        return min(same, len(prompt) - 1)

    def _tokens(self, prompt: list[int], sampling: Sampling, grammar: Any) -> Iterator[int]:
        try:
            yield from self._llm.generate(
                prompt,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                min_p=sampling.min_p,
                typical_p=sampling.typical_p,
                temp=sampling.temperature,
                repeat_penalty=sampling.repeat_penalty,
                frequency_penalty=sampling.frequency_penalty,
                presence_penalty=sampling.presence_penalty,
                grammar=grammar,
            )
        except RuntimeError:
            # What was evaluated of an abandoned batch stays in llama.cpp's memory; forget all of it.
            self._llm.reset()
            if self._gone():
                raise Cancelled from None
            raise

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        length: int = self._lib.llama_token_to_piece(self._vocab, token, buffer, _PIECE_BYTES, 0, False)
        return buffer.raw[: max(length, 0)]

    def _special(self, token: int) -> str:
        text: str = self._llm._model.token_get_text(token) if token != -1 else ""
        return text

    def _logprob(self, token: int, data: bytes, top: int) -> dict[str, Any]:
        """OpenAI's entry for one token, from the distribution before sampling, as llama-server gives it."""
        np: Any = importlib.import_module("numpy")
        logits = np.ctypeslib.as_array(self._lib.llama_get_logits_ith(self._llm.ctx, -1), shape=(self._llm.n_vocab(),))
        shifted = logits - logits.max()
        logprobs = shifted - np.log(np.exp(shifted).sum())
        best = np.argsort(-logprobs, kind="stable")[:top]
        alternatives = [_entry(self._piece(int(i)), float(logprobs[i])) for i in best]
        return {**_entry(data, float(logprobs[token])), "top_logprobs": alternatives}


def _stream(ask: ChatAsk, out: Shapes, items: Iterator[Piece | Done], emit: Emit, before: bytes) -> None:
    before += out.first()
    for item in items:
        emit(before + (out.last(item, usage=ask.wants_usage) if isinstance(item, Done) else out.piece(item)))
        before = b""


def _whole(ask: ChatAsk, out: Shapes, items: Iterator[Piece | Done], emit: Emit) -> None:
    pieces: list[Piece] = []
    for item in items:
        if isinstance(item, Done):
            emit(out.whole(pieces, item, logprobs=ask.logprobs is not None))
        else:
            pieces.append(item)


def _entry(data: bytes, logprob: float) -> dict[str, Any]:
    return {"token": data.decode("utf-8", "replace"), "bytes": list(data), "logprob": logprob}
