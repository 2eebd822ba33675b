"""Providers that speak OpenAI's API, as data: what each does not take, calls otherwise, and tells.

A parameter that a provider refuses, or takes and leaves out without a word, stands in `refuses`. Rows without a word
about parameters take them as OpenAI does, or differ by model, which their errors tell. They were written from the
providers' pages, public clients' code and recordings, not tried on the live services. Adding one: docs/providers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from proxy.backends.openai_families import FAMILIES
from proxy.backends.openai_spec import Charge, Family, OpenAICompatible
from proxy.core.dialect import Prefill

_LIMIT = {"max_completion_tokens": "max_tokens"}
_ONE = {"n": (1,)}
_TEXTS = frozenset({"completions"})
_NO_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_NO_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
_SOUND = frozenset({"audio", "modalities"})
_OPENAI_ONLY = _SOUND | {"prediction", "verbosity", "web_search_options"}
_SETTINGS = frozenset({"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store"})
"""OpenAI's own, which change nothing of the answer: strict servers refuse them all the same."""
_OPENAIS: frozenset[str] = frozenset()
"""In messages it takes what OpenAI's schema has, or is not known to do something with more."""
_THOUGHTS = frozenset({"reasoning_content"})
_SPOKEN = dict.fromkeys(("transcriptions", "translations"), "")
_NO_MORE: Mapping[str, str] = {}
"""None of the endpoints that are handed on as they are."""
_SEEN = "2026-11-21"
_GROK = "https://docs.x.ai/docs/guides/reasoning"
_X_RATELIMIT = "x-ratelimit-{limit,remaining,reset}-{requests,tokens}"

OPENAI = OpenAICompatible(
    developer=True,
    takes=_OPENAIS,
    families=FAMILIES,
    speaks=frozenset({"responses"}) | _TEXTS,
    home="api.openai.com",
    relays={**_SPOKEN, **dict.fromkeys(("moderations", "speech", "images", "image_edits"), "")},
    limits=_X_RATELIMIT,
    source="https://platform.openai.com/docs/api-reference",
    dated=_SEEN,
)

CLOUD: Mapping[str, OpenAICompatible] = {
    "groq": OpenAICompatible(
        takes=_OPENAIS,
        leaves_out=frozenset({"name"}),
        refuses=_NO_LOGPROBS | _OPENAI_ONLY | {"logit_bias"},
        only=_ONE,
        prefill=Prefill(),
        families=(
            Family(r"openai/gpt-oss", "gpt-oss", "https://console.groq.com/docs/prefilling", _SEEN, prefill=False),
        ),
        relays={**_SPOKEN, "speech": ""},
        limits=_X_RATELIMIT,
        source="https://console.groq.com/docs/openai",
        dated=_SEEN,
    ),
    "mistral": OpenAICompatible(
        takes=_OPENAIS,
        refuses=_NO_LOGPROBS | _SETTINGS | _SOUND | {"logit_bias", "stream_options", "user", "web_search_options"},
        renames={**_LIMIT, "seed": "random_seed"},
        asks_usage=False,  # it comes with the last chunk
        prefill=Prefill(message={"prefix": True}),
        limits="x-ratelimit-{limit,remaining}-{req-minute,tokens-minute}",
        source="https://docs.mistral.ai/api/",
        dated=_SEEN,
    ),
    "deepseek": OpenAICompatible(
        takes=_THOUGHTS,
        refuses=_OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "seed"},
        renames=_LIMIT,
        only=_ONE,
        formats=("text", "json_object"),
        prefill=Prefill(message={"prefix": True}),
        prefill_path="/beta/chat/completions",
        speaks=_TEXTS,
        text_path="/beta/completions",  # with `suffix`: https://api-docs.deepseek.com/guides/fim_completion
        relays=_NO_MORE,
        source="https://api-docs.deepseek.com/api/create-chat-completion",
        dated=_SEEN,
    ),
    "xai": OpenAICompatible(
        takes=_THOUGHTS,
        refuses=_SOUND | {"logit_bias", "prediction", "verbosity", "web_search_options"},
        families=(
            Family(r"grok-(?:.*non-reasoning|3(?!-mini)|2)", "those that do not reason", _GROK, _SEEN),
            Family(
                r"grok-(?:3-mini|4\.3)",
                "grok-3-mini, grok-4.3",
                _GROK,
                _SEEN,
                refuses=_NO_PENALTIES | {"stop"},
            ),
            Family(
                r"grok-",
                "all others",
                _GROK,
                _SEEN,
                refuses=_NO_PENALTIES | {"stop", "reasoning_effort"},
            ),
        ),
        charge=Charge(("cost_in_usd_ticks",), Decimal("1e-10")),
        limits=_X_RATELIMIT,
        source="https://docs.x.ai/docs/api-reference#chat-completions",
        dated=_SEEN,
    ),
    "together": OpenAICompatible(
        takes=_OPENAIS,
        speaks=_TEXTS,
        renames=_LIMIT,
        limits="x-ratelimit-{limit,remaining,reset}",
        source="https://docs.together.ai/reference/chat-completions-1",
        dated=_SEEN,
    ),
    "fireworks": OpenAICompatible(
        takes=_OPENAIS,
        speaks=_TEXTS,
        limits="x-ratelimit-{limit,remaining}-{requests,tokens-prompt,tokens-generated}",
        source="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        dated=_SEEN,
    ),
    "cerebras": OpenAICompatible(
        takes=_OPENAIS,
        speaks=_TEXTS,
        refuses=_NO_PENALTIES | _SOUND | {"logit_bias", "prompt_cache_key", "verbosity", "web_search_options"},
        only=_ONE,
        limits="x-ratelimit-{limit,remaining,reset}-{requests-day,tokens-minute}",
        relays=_NO_MORE,
        source="https://inference-docs.cerebras.ai/resources/openai",
        dated=_SEEN,
    ),
    "perplexity": OpenAICompatible(
        takes=_OPENAIS,
        refuses=_NO_LOGPROBS
        | _SOUND
        | {"logit_bias", "parallel_tool_calls", "seed", "service_tier", "stop", "tool_choice", "tools"},
        renames=_LIMIT,
        only=_ONE,
        charge=Charge(("cost", "total_cost")),
        relays=_NO_MORE,
        source="https://docs.perplexity.ai/api-reference/chat-completions-post",
        dated=_SEEN,
    ),
    "cohere": OpenAICompatible(
        takes=_OPENAIS,
        refuses=_SOUND
        | _SETTINGS
        | {"logit_bias", "metadata", "n", "parallel_tool_calls", "prediction", "stream_options", "top_logprobs"},
        renames=_LIMIT,
        asks_usage=False,
        relays={"rerank": "/v2/rerank", "transcriptions": "/v2/audio/transcriptions"},
        source="https://docs.cohere.com/docs/compatibility-api",
        dated=_SEEN,
    ),
    "huggingface": OpenAICompatible(
        takes=_OPENAIS,
        source="https://huggingface.co/docs/inference-providers/tasks/chat-completion",
        dated=_SEEN,
    ),
    "nvidia": OpenAICompatible(
        takes=_OPENAIS,
        renames=_LIMIT,
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
        dated=_SEEN,
    ),
    "moonshot": OpenAICompatible(
        takes=_THOUGHTS,
        refuses=_NO_LOGPROBS | _OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "seed"},
        prefill=Prefill(message={"partial": True}),
        families=(
            Family(
                r"kimi-",
                "the Kimi models",
                "https://platform.moonshot.ai/docs/api/chat",
                _SEEN,
                refuses=_NO_PENALTIES,
                only={**_ONE, "temperature": (1,), "top_p": (0.95, 1), "tool_choice": ("auto", "none")},
            ),
        ),
        source="https://platform.moonshot.ai/docs/api/chat",
        dated=_SEEN,
    ),
    "dashscope": OpenAICompatible(
        takes=_THOUGHTS | {"cache_control"},
        refuses=_OPENAI_ONLY - _SOUND | {"frequency_penalty", "logit_bias"},
        renames=_LIMIT,
        prefill=Prefill(message={"partial": True}),
        source="https://www.alibabacloud.com/help/en/model-studio/qwen-api-reference",
        dated=_SEEN,
    ),
    "zai": OpenAICompatible(
        takes=_THOUGHTS,
        refuses=_NO_LOGPROBS | _NO_PENALTIES | _OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "seed"},
        renames={**_LIMIT, "user": "user_id"},
        only={**_ONE, "tool_choice": ("auto",)},
        formats=("text", "json_object"),
        source="https://docs.z.ai/api-reference/llm/chat-completion",
        dated=_SEEN,
    ),
    "sambanova": OpenAICompatible(
        takes=_OPENAIS,
        refuses=_NO_LOGPROBS | _NO_PENALTIES | _OPENAI_ONLY | {"logit_bias"},
        only=_ONE,
        relays=_SPOKEN,
        limits="x-ratelimit-{limit,remaining,reset}-{requests,requests-day}",
        source="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        dated=_SEEN,
    ),
    "github-models": OpenAICompatible(
        developer=True,
        takes=_OPENAIS,
        families=FAMILIES,
        limits=_X_RATELIMIT,
        source="https://docs.github.com/en/rest/models/inference",
        dated=_SEEN,
    ),
    "databricks": OpenAICompatible(
        takes=frozenset({"cache_control"}),
        refuses=_NO_PENALTIES | _OPENAI_ONLY | {"logit_bias", "parallel_tool_calls", "seed"},
        renames=_LIMIT,
        source="https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        dated=_SEEN,
    ),
    "cloudflare": OpenAICompatible(
        takes=_OPENAIS,
        refuses=_NO_LOGPROBS | _OPENAI_ONLY | {"logit_bias"},
        renames=_LIMIT,
        only=_ONE,
        source="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
        dated=_SEEN,
    ),
    "deepinfra": OpenAICompatible(
        takes=_OPENAIS,
        renames=_LIMIT,
        charge=Charge(("estimated_cost",)),
        source="https://deepinfra.com/docs/openai_api",
        dated=_SEEN,
    ),
    "novita": OpenAICompatible(
        takes=_OPENAIS,
        renames=_LIMIT,
        source="https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
        dated=_SEEN,
    ),
    "hyperbolic": OpenAICompatible(
        takes=_OPENAIS,
        renames=_LIMIT,
        source="https://docs.hyperbolic.xyz/docs/rest-api",
        dated=_SEEN,
    ),
    "nebius": OpenAICompatible(
        takes=_OPENAIS,
        source="https://docs.tokenfactory.nebius.com/api-reference",
        dated=_SEEN,
    ),
}
