"""The same call by the openai SDK, as an application makes it."""

from __future__ import annotations

import time
from typing import Any

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI

from bench.faults.heard import Heard

RETRIES = 2
"""Of the SDK's own: the default, and what the published method grants."""


def warm() -> None:
    """Takes the seconds that the SDK's parts need to be imported, before anything is timed."""
    client = AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="none")
    assert client.chat.completions is not None


async def call(port: int, body: dict[str, Any], *, patience: float) -> Heard:
    """One streamed call, to its end or to the end of the client's patience."""
    heard = Heard()
    asked = {name: value for name, value in body.items() if name != "stream"}
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=RETRIES, timeout=patience)
    async with client:
        try:
            await _listen(client, asked, heard)
        except APITimeoutError:
            heard.end = "patience"
        except APIStatusError as error:
            heard.status, heard.end = error.status_code, "clean"
            body_ = error.body if isinstance(error.body, dict) else {}
            heard.errors.append(body_)
        except APIConnectionError as error:
            heard.end = "broken" if heard.status else f"no answer: {error}"
        except APIError as error:
            heard.end = "clean"
            heard.errors.append(error.body if isinstance(error.body, dict) else {"message": error.message})
    heard.elapsed = time.monotonic() - heard.began
    return heard


async def _listen(client: AsyncOpenAI, asked: dict[str, Any], heard: Heard) -> None:
    stream = await client.chat.completions.create(stream=True, **asked)
    heard.status = stream.response.status_code
    heard.headers = {name.lower(): value for name, value in stream.response.headers.items()}
    async for chunk in stream:
        heard.event(chunk.model_dump())
    heard.end = "clean"
    heard.done = True  # the SDK does not tell
