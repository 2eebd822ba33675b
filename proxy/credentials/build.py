"""Which credential a backend has, besides a key that stands in the head of its calls."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar
from weakref import WeakValueDictionary

from proxy.config.values import Backend
from proxy.core.credential import Credential
from proxy.core.failure import Failure
from proxy.credentials.bearer import Bearer, is_token
from proxy.credentials.google import GoogleToken
from proxy.credentials.kept import Always, Kept, Lease
from proxy.credentials.sigv4 import AwsKeys, SigV4, Source
from proxy.credentials.tokens import CommandToken, FileToken

T = TypeVar("T")

BEDROCK_KEY = "AWS_BEARER_TOKEN_BEDROCK"
"""Where AWS's own SDKs look for an API key of Bedrock's, before they look for anything to sign with."""

_COMMANDS: WeakValueDictionary[tuple[str, tuple[str, ...]], Kept[str]] = WeakValueDictionary()
"""Tokens by their commands, while a configuration has them: a new one that says the same does not run them again."""


def credential_of(backend: Backend) -> Credential | None:
    """What signs the calls of this backend; `None`: nothing, or a fixed key that its dialect sends itself.

    Raises `ValueError` where the configuration asks for two at once, or for one whose library is not installed.
    """
    options = backend.options
    asked = [name for name in ("token_command", "token_file") if options.get(name)]
    if backend.api_key is not None:
        asked.insert(0, "api_key")
    own = any(name.lower() == "authorization" for name in backend.headers)
    if own and asked and asked != ["api_key"]:
        asked.insert(0, "an authorization header")
    if len(asked) > 1:
        raise ValueError(f"backend {backend.name!r} has {' and '.join(asked)}: expected one of them")
    if options.get("token_command"):
        return Bearer(_by_command(backend, tuple(options["token_command"])))
    if options.get("token_file"):
        return Bearer(_kept(backend, FileToken(options["token_file"])))
    if asked or own:
        return None
    if backend.type == "vertex":
        _needs(backend, "google.auth", "google-auth", "vertex")
        return Bearer(_kept(backend, GoogleToken(options.get("credentials_file", ""))))
    return _aws(backend) if backend.type == "bedrock" else None


def _aws(backend: Backend) -> Credential:
    options = backend.options
    source = Source(options.get("profile", ""), options.get("role_arn", ""), options["region"])
    key = os.environ.get(BEDROCK_KEY, "")
    if is_token(key) and not (source.profile or source.role_arn):
        return Bearer(_kept(backend, Always(key)))
    _needs(backend, "botocore", "botocore", "bedrock")
    scheme = backend.base_url.partition(":")[0] or "https"
    return SigV4(_kept(backend, AwsKeys(source)), source.region, scheme)


def _by_command(backend: Backend, argv: tuple[str, ...]) -> Kept[str]:
    known = _COMMANDS.get((backend.name, argv))
    if known is None:
        known = _COMMANDS[backend.name, argv] = _kept(backend, CommandToken(argv))
    return known


def _kept(backend: Backend, fetch: Callable[[], Awaitable[Lease[T] | Failure]]) -> Kept[T]:
    return Kept(fetch, name=backend.name)


def _needs(backend: Backend, module: str, distribution: str, extra: str) -> None:
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # of `google.auth`, `google` itself is missing
        found = False
    if not found:
        raise ValueError(
            f"backend {backend.name!r} needs {distribution}, which is not installed: pip install 'wayline[{extra}]'"
        )
