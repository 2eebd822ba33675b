"""Calls signed for AWS (Signature Version 4), by botocore: its credentials, from wherever it finds them, and its
signature.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, NamedTuple

from proxy.core.call import HttpCall
from proxy.core.failure import Failure
from proxy.credentials.kept import Kept, Lease, refused

LOOK = 60.0
"""Seconds between two looks at botocore's credentials while they are in use. It renews them itself, when it is asked
within 15 minutes of their end, and waits for that within 10."""
GOOD = 480.0
"""Seconds for which what it gave is used at most."""
SIGNED = ("host", "content-type")
"""What is signed of a call's headers, besides those that signing adds. All others may be changed on the way."""


class Source(NamedTuple):
    """Where credentials come from. Empty: botocore's own chain (environment, files, container, instance)."""

    profile: str = ""
    role_arn: str = ""
    """A role that is assumed with them."""
    region: str = ""


class AwsKeys:
    """Frozen credentials (access key, secret key, token) of one source. May read files and ask servers: in a thread."""

    def __init__(self, source: Source, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._clock = clock
        self._credentials: Any = None

    async def __call__(self) -> Lease[Any] | Failure:
        """What is valid now."""
        return await asyncio.to_thread(self._fetch)

    def _fetch(self) -> Lease[Any] | Failure:
        wrong: Any = import_module("botocore.exceptions")
        try:
            if self._credentials is None:
                self._credentials = _credentials(self._source)
            if self._credentials is None:
                return refused("botocore finds no AWS credentials")
            frozen = self._credentials.get_frozen_credentials()
        except (wrong.BotoCoreError, wrong.ClientError, OSError) as error:
            self._credentials = None
            return refused(f"botocore says {type(error).__name__}")
        now = self._clock()
        return Lease(frozen, renew=now + LOOK, ends=now + GOOD)


def _credentials(source: Source) -> Any:
    session = import_module("botocore.session").Session(profile=source.profile or None)
    if source.region:
        session.set_config_variable("region", source.region)  # a role is assumed at the region's own endpoint
    found = session.get_credentials()
    if found is None or not source.role_arn:
        return found
    of: Any = import_module("botocore.credentials")
    fetcher = of.AssumeRoleCredentialFetcher(session.create_client, found, source.role_arn)
    return of.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


class SigV4:
    """Signs each call; see `proxy.core.credential.Credential`."""

    def __init__(self, keys: Kept[Any], region: str, scheme: str = "https", service: str = "bedrock") -> None:
        self._keys = keys
        self._region = region
        self._scheme = scheme
        self._service = service
        self._auth: Any = import_module("botocore.auth").SigV4Auth
        self._request: Any = import_module("botocore.awsrequest").AWSRequest

    def __repr__(self) -> str:
        return f"SigV4({self._region!r})"

    def sign(self, call: HttpCall) -> HttpCall | Awaitable[HttpCall | Failure]:
        keys = self._keys.get()
        return self._later(call) if keys is None else self._signed(call, keys)

    async def _later(self, call: HttpCall) -> HttpCall | Failure:
        keys = await self._keys.wait()
        return keys if isinstance(keys, Failure) else self._signed(call, keys)

    def _signed(self, call: HttpCall, keys: Any) -> HttpCall:
        line, *fields = call.head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {}
        for field in fields:
            name, _, value = field.partition(": ")
            if name.lower() in SIGNED:
                headers[name] = value
        host = next(value for name, value in headers.items() if name.lower() == "host")
        request = self._request(method, f"{self._scheme}://{host}{target}", headers, call.body)
        self._auth(keys, self._service, self._region).add_auth(request)
        added = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name.lower() not in SIGNED)
        return HttpCall(call.head + added.encode("latin-1"), call.body, repeatable=call.repeatable)
