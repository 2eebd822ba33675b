"""Which row of the verdict table an OpenAI-speaking backend's error lands on: rules as data, the first that holds wins.

Providers agree on hardly anything here but the HTTP status, and not always on that. So the rules look at the machine
words first (code, type, status, reason, inner code), then at the text, then at the status alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy.core.failure import FailureKind as K

_REQUEST = frozenset({None, 400, 403, 404, 405, 410, 413, 422})
"""Statuses under which the text of an error is about the request. `None`: in a stream or an answer under 200."""
_REQUEST_OR_LIMIT = _REQUEST | {429}
_ANY_BUT_KEY = _REQUEST_OR_LIMIT | {500, 501}
_NOT_READY = frozenset({None, 425, 500, 502, 503})
_FAILED = frozenset({None, 429, *range(500, 600)})


class Rule(NamedTuple):
    """Holds when one of the words was given, or the text matches under one of the statuses."""

    kind: K
    words: frozenset[str]
    text: re.Pattern[str] | None = None
    statuses: frozenset[int | None] = _REQUEST


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RULES = (
    Rule(K.TOOL_USE, _words("tool_use_failed")),
    Rule(
        K.FILTERED,
        _words(
            "content_filter content_policy_violation responsibleaipolicyviolation moderation_blocked invalid_prompt "
            "data_inspection_failed datainspectionfailed unsafe_content safety_violation"
        ),
        re.compile(
            r"content (?:management|filtering) policy|content exists risk"
            r"|(?:input|prompt|content) (?:was|is|has been) flagged"
            r"|flagged as potentially violating|violates? (?:our |the )?(?:usage|content) (?:polic|guideline)"
        ),
    ),
    Rule(
        K.CONTEXT_LENGTH,
        _words(
            "context_length_exceeded exceed_context_size_error string_above_max_length too_many_prompt_tokens "
            "context_window_exceeded request_too_large"
        ),
        re.compile(
            r"maximum (?:context|model|prompt) length|context (?:length|window|size) (?:exceeded|of the model)"
            r"|exceed(?:s|ed|ing)?(?: the| this model's| max(?:imum)?| available| model's)* context"
            r"|prompt (?:is )?too long|input is too long|too large for model|longer than the model'?s? context"
            r"|reduce the length of the (?:messages|prompt|input)|input token count .{0,40}exceeds"
            r"|total length of all messages is too long|tokens to keep from the initial prompt"
            r"|context the overflows|max_new_tokens.{0,40}must be <=|request too large|too many (?:input )?tokens"
        ),
        _ANY_BUT_KEY,
    ),
    Rule(K.RATE_LIMITED, _words("resource_exhausted ratelimitreached")),
    Rule(
        K.QUOTA,
        _words(
            "insufficient_quota billing_hard_limit_reached billing_not_active insufficient_balance "
            "insufficient_credits insufficient_funds payment_required exceeded_current_quota_error "
            "credit_balance_too_low billing_error"
        ),
        re.compile(
            r"insufficient (?:balance|credits?|funds|quota)|credit balance is too low|spend(?:ing)? limit"
            r"|billing hard limit|exceeded your current quota|monthly included credits|requires more credits"
            r"|reached your specified (?:api )?usage limits"
        ),
        _REQUEST_OR_LIMIT,
    ),
    Rule(
        K.KEY_REFUSED,
        _words(
            "invalid_api_key api_key_invalid authentication_error invalid_authentication invalid_authentication_error "
            "incorrect_api_key missing_api_key unauthenticated account_deactivated "
            "unsupported_country_region_territory access_terminated ip_not_authorized"
        ),
        re.compile(
            r"(?:incorrect|invalid|missing) api key|api key (?:not valid|is invalid|not found)"
            r"|organization has been disabled"
        ),
    ),
    Rule(
        K.UNSUPPORTED,
        _words(
            "unsupported_parameter unsupported_value unknown_parameter unsupported_feature not_supported_error "
            "extra_forbidden not_implemented"
        ),
        re.compile(
            r"not supported (?:with|by|for|in|on) (?:this|the|that) (?:model|endpoint|api|server)"
            r"|does(?: not|n't) support|unsupported (?:parameter|value)|unrecognized request argument"
            r"|extra inputs are not permitted|unknown (?:parameter|field|name)|that support (?:tool use|image input)"
            r"|is deprecated for this model|cannot both be specified|maximum allowed number of output tokens"
            r"|invalid .signature. in .thinking. block|when tool_choice forces tool use"
            r"|supports at most \d+|requires --enable-auto-tool-choice|is not a multimodal model"
        ),
    ),
    Rule(
        K.NOT_FOUND,
        _words(
            "model_not_found deploymentnotfound model_not_available model_decommissioned model_not_supported "
            "invalid_model unknown_model modelnotfound operationnotsupported model_not_exist"
        ),
        re.compile(
            r"model\b.{0,200}(?:does not exist|not found|not available|is not a valid|decommissioned|deprecated)"
            r"|not a valid model|model not exist|invalid model|no endpoints found|not a chat model"
            r"|does not have access to model"
        ),
    ),
    Rule(
        K.LOADING,
        _words("model_loading"),
        re.compile(r"loading model|model .{0,120}(?:still |currently )?loading|is (?:still |currently )loading"),
        _NOT_READY,
    ),
    Rule(K.RATE_LIMITED, _words("rate_limit_exceeded rate_limit_error rate_limited too_many_requests")),
    Rule(
        K.OVERLOADED,
        _words(
            "overloaded_error overloaded server_overloaded engine_overloaded engine_overloaded_error model_overloaded "
            "service_unavailable unavailable unavailable_error slow_down queue_full capacity_exceeded "
            "insufficient_system_resource"
        ),
        re.compile(r"overloaded|(?:at|over|exceeded) capacity|server busy|no healthy upstream|queue (?:is )?full"),
        _FAILED - {429},
    ),
)

_BY_STATUS = {
    401: K.KEY_REFUSED,
    402: K.QUOTA,
    403: K.KEY_REFUSED,
    404: K.NOT_FOUND,
    405: K.NOT_FOUND,
    408: K.SERVER_ERROR,
    409: K.SERVER_ERROR,
    410: K.NOT_FOUND,
    424: K.SERVER_ERROR,
    425: K.SERVER_ERROR,
    429: K.RATE_LIMITED,
    498: K.OVERLOADED,
    499: K.SERVER_ERROR,
    501: K.UNSUPPORTED,
    503: K.OVERLOADED,
    529: K.OVERLOADED,
}
"""424 is how inference servers say that the generation itself failed, 498 Groq's "flex tier capacity exceeded"."""

_CLIENT_WORDS = _words("invalid_request_error invalid_argument bad_request badrequesterror bad_request_error")


def kind_of(status: int | None, words: frozenset[str], text: str) -> K:
    """The row. `status` is `None` for an error inside a stream or under 200; `words` and `text` in lower case."""
    if status == 401:
        return K.KEY_REFUSED
    for rule in _RULES:
        if not words.isdisjoint(rule.words) or (
            rule.text is not None and status in rule.statuses and rule.text.search(text)
        ):
            return rule.kind
    if status is None:
        return K.SERVER_ERROR if words.isdisjoint(_CLIENT_WORDS) else K.BAD_REQUEST
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return K.REDIRECT
    return K.BAD_REQUEST if 400 <= status < 500 else K.SERVER_ERROR
