"""OpenAI's models that take less than its API has, by what their names begin with.

Models that are not here get a request as it came: what they refuse they say themselves, and another target is tried.
The names are also those that people give to their deployments at Azure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.backends.openai_spec import Family

_REASONING = "https://platform.openai.com/docs/guides/reasoning"
_LATEST = "https://platform.openai.com/docs/guides/latest-model"
_API = "https://platform.openai.com/docs/api-reference/chat/create"
_SEEN = "2026-11-21"
_BEFORE = r"(?:openai/|ft:)?"
"""Of a marketplace's names, of fine-tuned models."""

_LIMIT = {"max_tokens": "max_completion_tokens"}
_PENALTIES: Mapping[str, tuple[Any, ...]] = {"presence_penalty": (0,), "frequency_penalty": (0,)}
_SAMPLING: Mapping[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
}
_NOT = frozenset({"logit_bias", "prediction"})

FAMILIES = (
    Family(
        _BEFORE + r"gpt-(?:4o(?:-mini)?-search|5(?:\.\d)?-search)",
        "the search models",
        _API,
        _SEEN,
        refuses=_NOT
        | {"temperature", "top_p", "n", "seed", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty"}
        | {"stop", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort"},
        renames=_LIMIT,
    ),
    Family(
        _BEFORE + r"o(?:3(?!-mini)|4-mini)(?!\w)",
        "o3, o4-mini",
        _REASONING,
        _SEEN,
        refuses=_NOT | {"stop", "parallel_tool_calls"},
        renames=_LIMIT,
        only={**_SAMPLING, **_PENALTIES},
    ),
    Family(
        _BEFORE + r"(?:o1|o3-mini|codex-mini)(?!\w)",
        "o1, o3-mini, codex-mini",
        _REASONING,
        _SEEN,
        refuses=_NOT | {"parallel_tool_calls"},
        renames=_LIMIT,
        only={**_SAMPLING, **_PENALTIES},
    ),
    Family(_BEFORE + r"gpt-5(?:\.\d+)?-chat", "gpt-5-chat", _LATEST, _SEEN),
    Family(  # the ones that always reason
        _BEFORE + r"gpt-5(?:\.\d+)?(?:-\w+)*-(?:pro|codex)(?!\w)",
        "gpt-5-pro, gpt-5-codex, and those of 5.1 and later",
        _LATEST,
        _SEEN,
        refuses=_NOT | {"stop"},
        renames=_LIMIT,
        only={**_SAMPLING, **_PENALTIES},
    ),
    Family(  # these reason only when asked to, and sample as told while they don't
        _BEFORE + r"gpt-5\.[1-4](?!\d)",
        "gpt-5.1 to gpt-5.4",
        _LATEST,
        _SEEN,
        refuses=_NOT | {"stop"} | frozenset(_PENALTIES),
        renames=_LIMIT,
        only=_SAMPLING,
        free=(None, "none"),
    ),
    Family(
        _BEFORE + r"gpt-(?:5|[6-9])(?!\d)",
        "gpt-5, gpt-5-mini, gpt-5-nano, and what is later than 5.4",
        _REASONING,
        _SEEN,
        refuses=_NOT | {"stop"},
        renames=_LIMIT,
        only={**_SAMPLING, **_PENALTIES},
        free=("none",),
    ),
)
