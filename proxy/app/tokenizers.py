"""OpenAI's tokenizers (the extra `tokenizers`): for requests that may or may not fit, and for the usage of streams
whose upstream did not come to report it."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cachetools import LRUCache

from proxy.core.tokens import Counter, of_text

MISSING = "tiktoken is not installed: pip install 'wayline[tokenizers]'"
_MODELS = 1000
"""Models that are remembered: callers may name any number of them."""


class ByModel:
    """Counts a model's tokens: about, until its tokenizer is loaded."""

    __slots__ = ("encode", "model", "vocabulary")

    def __init__(self, model: str) -> None:
        self.model = model.rpartition("/")[2]
        self.encode: Callable[[str], list[int]] | None = None
        self.vocabulary = ""
        """As tiktoken names it; empty: it is not loaded, or there is none."""

    def __call__(self, text: str) -> int:
        encode = self.encode
        return of_text(text) if encode is None else len(encode(text))


class Tokenizers:
    """The counters of a process, by model. Characters are counted where the configuration does not ask for tokenizers,
    and for models that tiktoken does not know."""

    def __init__(self) -> None:
        self._known: LRUCache[str, ByModel] = LRUCache(_MODELS)
        self._new: list[ByModel] = []
        self.wanted = False
        """The configuration asks for tokenizers (`tokenizers: true`)."""

    def of(self, model: str) -> Counter:
        """The counter of a model; better after the next `load`."""
        if not self.wanted or not model:
            return of_text
        found = self._known.get(model)
        if found is None:
            found = self._known[model] = ByModel(model)
            if len(self._new) < _MODELS:
                self._new.append(found)
        return found

    def own(self, model: str) -> ByModel | None:
        """The same, if it is, or may become, a tokenizer."""
        found = self.of(model)
        return found if isinstance(found, ByModel) else None

    def load_soon(self, say: Callable[[str], None]) -> None:
        """Loads what was asked for since the last time, if anything was, on a thread of its own: tiktoken fetches a
        vocabulary that is not in its cache (`TIKTOKEN_CACHE_DIR`), and does not say how long that may take. `say` is
        told, on that thread, what went wrong."""
        if self._new:
            new, self._new = self._new, []
            threading.Thread(target=self._load, args=(new, say), name="tokenizers", daemon=True).start()

    def _load(self, new: list[ByModel], say: Callable[[str], None]) -> None:
        wrong = load(new)
        if wrong:
            say(wrong)


def load(counters: Iterable[ByModel]) -> str:
    """Gives these counters their tokenizers, where they have any. What went wrong, or nothing."""
    wrong = ""
    try:
        library: Any = importlib.import_module("tiktoken")
    except ImportError:
        return MISSING
    for counter in counters:
        try:
            encoding = library.encoding_for_model(counter.model)
            counter.encode, counter.vocabulary = encoding.encode_ordinary, encoding.name
        except KeyError:  # no model of OpenAI's
            continue
        except (OSError, ValueError, ImportError) as error:  # not in the cache, and no network; or not what it was
            wrong = f"{type(error).__name__} while the tokenizer of {counter.model} was loaded"
    return wrong
