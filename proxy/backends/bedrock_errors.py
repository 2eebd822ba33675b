"""What Bedrock's errors mean: by their type, and where that only says that the request is at fault, by their text.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import orjson

from proxy.backends.openai_errors import ErrorReader, Fault, read_fault
from proxy.backends.openai_verdicts import kind_of
from proxy.core.call import Headers
from proxy.core.failure import Failure
from proxy.core.failure import FailureKind as K

_KINDS = {
    "throttlingexception": K.RATE_LIMITED,
    "toomanyrequestsexception": K.RATE_LIMITED,
    "servicequotaexceededexception": K.QUOTA,
    "modelnotreadyexception": K.LOADING,
    "resourcenotfoundexception": K.NOT_FOUND,
    "unknownoperationexception": K.NOT_FOUND,
    "serviceunavailableexception": K.OVERLOADED,
    "serviceunavailable": K.OVERLOADED,
    "internalserverexception": K.SERVER_ERROR,
    "internalservererror": K.SERVER_ERROR,
    "internalfailure": K.SERVER_ERROR,
    "modelerrorexception": K.SERVER_ERROR,
    "modeltimeoutexception": K.SERVER_ERROR,
    "modelstreamerrorexception": K.SERVER_ERROR,
    **dict.fromkeys(
        (
            *("accessdeniedexception", "unrecognizedclientexception", "expiredtokenexception", "expiredtoken"),
            *("invalidsignatureexception", "signaturedoesnotmatch", "incompletesignature"),
            *("incompletesignatureexception", "missingauthenticationtoken", "missingauthenticationtokenexception"),
            *("invalidclienttokenid", "requestexpired", "optinrequired", "notauthorized"),
        ),
        K.KEY_REFUSED,
    ),
}
"""By the type in lower case. All others, `ValidationException` above all, are told by their text."""

_NOT_HERE = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|end of (?:its )?life|provider as legacy"
    r"|(?:don.t have|do not have|no) access to the (?:specified )?model|could not resolve the foundation model"
)
_TEXTS = (
    (_NOT_HERE, K.NOT_FOUND),
    (re.compile(r"blocked by (?:our |the )?content filter"), K.FILTERED),
    (re.compile(r"operation not allowed|not authorized to (?:invoke|perform)"), K.KEY_REFUSED),
    (
        re.compile(r"maximum tokens you requested exceeds|extraneous key|isn.t supported|not support(?:ed)?\b"),
        K.UNSUPPORTED,
    ),
)
_NO_CACHE = re.compile(r"did not allow prompt caching")
"""Said with 403 of models that take no cache points."""
_BAD_CALL = re.compile(r"invalid sequence as part of tooluse")
"""Nova's words for a call that it wrote wrong."""
_PER_DAY = re.compile(r"per day")
_MODELS_OWN = frozenset({"modelerrorexception", "modelstreamerrorexception"})
"""What the model's server said is told inside."""
_BUSY = {429: K.RATE_LIMITED, 503: K.OVERLOADED, 529: K.OVERLOADED}


class BedrockErrors:
    """Reads the errors of one backend."""

    __slots__ = ("_reader",)

    def __init__(self, hide: Iterable[str] = ()) -> None:
        self._reader = ErrorReader(hide)

    @property
    def reader(self) -> ErrorReader:
        """For bodies in OpenAI's form."""
        return self._reader

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        """What a non-2xx answer means. Its type stands in a header, or in the body as `__type`."""
        value = _parsed(body)
        named = next((text.decode("latin-1") for name, text in headers if name == b"x-amzn-errortype"), "")
        if not named and isinstance(value, dict):
            named = str(value.get("__type") or value.get("code") or "")
        return self._judged(named, value, status, headers)

    def in_stream(self, headers: Mapping[str, str], payload: bytes) -> Failure:
        """What an exception or an error among a stream's messages means."""
        value = _parsed(payload)
        if headers.get(":message-type") == "error":
            value = {"message": headers.get(":error-message", "")}
        return self._judged(headers.get(":exception-type") or headers.get(":error-code", ""), value, None, [])

    def _judged(self, named: str, value: object, status: int | None, headers: Headers) -> Failure:
        """`named`: `ThrottlingException`, maybe with a namespace before it (`…#`) and an address behind it (`:…`)."""
        name = named.partition(":")[0].rpartition("#")[2]
        told = value if isinstance(value, dict) else {}
        message = told.get("message") or told.get("Message") or told.get("originalMessage")
        fault = read_fault(value) if not isinstance(message, str) else Fault(message=message, body=value)
        if name and len(name) <= 64 and name.isascii() and name.isalnum():
            fault = fault._replace(type=name, code=name)
        original = told.get("originalMessage")
        if isinstance(original, str):
            fault = fault._replace(extra=original)
        kind = _kind(name.lower(), fault, told, status)
        return self._reader.judged(kind, fault, status, headers)


def _kind(name: str, fault: Fault, told: Mapping[str, object], status: int | None) -> K:
    text = f"{fault.message} {fault.extra}"[:4096].lower()
    kind = _KINDS.get(name)
    if name in _MODELS_OWN and _BAD_CALL.search(text):
        return K.TOOL_USE
    if name in _MODELS_OWN:
        original = told.get("originalStatusCode")
        return _BUSY.get(original, K.SERVER_ERROR) if isinstance(original, int) else K.SERVER_ERROR
    if kind is K.RATE_LIMITED and _PER_DAY.search(text):
        return K.QUOTA
    if kind is K.KEY_REFUSED and _NO_CACHE.search(text):
        return K.UNSUPPORTED
    if kind is K.KEY_REFUSED and _NOT_HERE.search(text):
        return K.NOT_FOUND
    if kind is not None:
        return kind
    if status is None or 400 <= status < 500:
        for pattern, meant in _TEXTS:
            if pattern.search(text) and status not in (401, 429):
                return meant
    kind = kind_of(status, fault.words, text)
    return K.BAD_REQUEST if kind is K.SERVER_ERROR and name == "validationexception" else kind


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body[: 1024 * 1024])
    except orjson.JSONDecodeError:
        return body[:4096].decode("utf-8", "replace") if body.isascii() and not body.startswith(b"<") else None
