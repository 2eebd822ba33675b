"""Servers that speak OpenAI's API on one's own machines, as data: how each says whether it is up, and that a model is
still being loaded. A loading model is a state, not a failure (openai_verdicts.py, LOADING)."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.backends.openai_spec import OpenAICompatible
from proxy.core.dialect import Prefill

_SEEN = "2026-11-21"
_ONE = {"n": (1,)}
_LIMIT = {"max_completion_tokens": "max_tokens"}
_TEXTS = frozenset({"completions"})

OWN: Mapping[str, OpenAICompatible] = {
    "llama-server": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        only=_ONE,  # it counts the tokens of one choice only
        prefill=Prefill(),
        health="/health",
        loading='503 {"error": {"message": "Loading model", "type": "unavailable_error"}}',
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        dated=_SEEN,
    ),
    "vllm": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        prefill=Prefill(body={"continue_final_message": True, "add_generation_prompt": False}),
        health="/health",
        loading="the connection is refused",
        source="https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html",
        dated=_SEEN,
    ),
    "sglang": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        prefill=Prefill(body={"continue_final_message": True}),
        health="/health",
        loading="503 at /health; before that the connection is refused",
        source="https://docs.sglang.io/docs/basic_usage/openai_api_completions",
        dated=_SEEN,
    ),
    "tgi": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        refuses=frozenset({"logit_bias", "parallel_tool_calls"}),
        renames=_LIMIT,
        only=_ONE,
        health="/health",
        loading="the connection is refused; 503 at /health",
        source="https://huggingface.co/docs/text-generation-inference/reference/api_reference",
        dated=_SEEN,
    ),
    "llamafile": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        only=_ONE,
        health="/health",
        loading='503 {"error": {"message": "Loading model"}}',
        source="https://github.com/Mozilla-Ocho/llamafile/blob/main/llama.cpp/server/README.md",
        dated=_SEEN,
    ),
    "localai": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        renames=_LIMIT,
        health="/readyz",
        loading="the answer takes until the model is loaded",
        source="https://localai.io/features/text-generation/",
        dated=_SEEN,
    ),
    "jan": OpenAICompatible(
        default_path="/v1",
        speaks=_TEXTS,
        renames=_LIMIT,
        only=_ONE,
        health="/v1/models",
        loading="the answer takes until the model is loaded",
        source="https://jan.ai/docs/desktop/api-server",
        dated=_SEEN,
    ),
}
