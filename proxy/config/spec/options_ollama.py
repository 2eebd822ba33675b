"""What a backend of type `ollama` may say besides."""

from __future__ import annotations

from proxy.config.spec.numbers import Stay, Whole
from proxy.config.spec.scalars import Flag, FlagOr
from proxy.config.spec.shapes import Key

OLLAMA = (
    Key(
        "num_ctx",
        Whole(64, 10_000_000),
        "Context in tokens; without it what the model's Modelfile or the server says. (A model is loaded anew when "
        "it changes.)",
    ),
    Key(
        "keep_alive",
        Stay(),
        "How long a model stays in memory after a request; 0: not at all. Without it what the server says (5m).",
    ),
    Key(
        "think",
        FlagOr(("low", "medium", "high", "max")),
        "Whether models think where a request says nothing of it (`reasoning_effort`, `think`). Without it those "
        "that can do. (A model that cannot refuses a request that asks for it: `drop: [reasoning_effort]`.)",
    ),
    Key(
        "truncate",
        Flag(),
        "Let Ollama cut a prompt or a text that is longer than the model's context, and shift an answer's beginning "
        "out of it, as it does by default: it answers to what is left, and says nothing. Without it that is an error. "
        "(From 0.30 on Ollama loads a model anew when two programs that share it differ in this.)",
        False,
    ),
    Key(
        "pull",
        Flag(),
        "Pull a model that a route names and that is not there. Requests for it wait, as long as `timeouts.first` "
        "allows; a stream's client is told how far it is.",
        False,
    ),
)
