"""Tokens of Google Cloud, by google-auth: a service account's file, application default credentials, a metadata
server."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from collections.abc import Callable
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import Any

from proxy.core.failure import Failure
from proxy.credentials.bearer import is_token
from proxy.credentials.kept import Lease, refused, until
from proxy.credentials.tokens import UNSAID

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT = 20.0
"""Seconds for each call to Google's token endpoints."""


class GoogleToken:
    """Access tokens of one account. Everything that google-auth does may block, so it is done in a thread."""

    def __init__(self, credentials_file: str = "", clock: Callable[[], float] = time.time) -> None:
        """`credentials_file`: empty for application default credentials, which end with the metadata server."""
        self._file = credentials_file
        self._clock = clock
        self._credentials: Any = None

    async def __call__(self) -> Lease[str] | Failure:
        """A fresh token."""
        return await asyncio.to_thread(self._fetch)

    def _fetch(self) -> Lease[str] | Failure:
        failed: type[Exception] = import_module("google.auth.exceptions").GoogleAuthError
        request = import_module("google.auth.transport.requests").Request()

        def within(*args: Any, **more: Any) -> Any:
            return request(*args, **{**more, "timeout": TIMEOUT})

        try:
            if self._credentials is None:
                self._credentials = self._load(within)
            self._credentials.refresh(within)
        except (failed, OSError, ValueError) as error:
            self._credentials = None  # a file may have been mended by the next time
            return refused(f"google-auth says {type(error).__name__}")
        finally:
            request.session.close()
        return self._lease()

    def _load(self, request: Callable[..., Any]) -> Any:
        auth: Any = import_module("google.auth")
        if not self._file:
            return auth.default(scopes=[SCOPE], request=request)[0]
        with Path(self._file).open("rb") as file:
            info = json.load(file)
        if not isinstance(info, dict):
            raise ValueError("not an object")
        if info.get("type") == "service_account":
            of: Any = import_module("google.oauth2.service_account").Credentials
            return of.from_service_account_info(info, scopes=[SCOPE])
        with warnings.catch_warnings():  # it warns of files from strangers; this one is the operator's own
            warnings.simplefilter("ignore", DeprecationWarning)
            return auth.load_credentials_from_file(self._file, scopes=[SCOPE], request=request)[0]

    def _lease(self) -> Lease[str] | Failure:
        token, expiry, now = self._credentials.token, self._credentials.expiry, self._clock()
        if not isinstance(token, str) or not is_token(token):
            return refused("google-auth gave no token")
        ends = now + UNSAID if expiry is None else expiry.replace(tzinfo=UTC).timestamp()  # naive, in UTC
        return until(token, ends, now)
