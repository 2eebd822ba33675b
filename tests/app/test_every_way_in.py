"""Limits and budgets hold whatever way a request comes in: chat, streams, embeddings, other APIs, what is handed on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy import Wayline
from tests.app.embedding import PRICE
from tests.app.test_admin import asking
from tests.upstream import Request, Upstream
from tests.upstream_answers import completion, dumps, embeddings_ok, ok, plain
from tests.upstream_steps import Behaviour, Tokens

KEY = "sk-of-a-caller-0"


class Way(NamedTuple):
    """An endpoint and a request to it."""

    path: str
    body: Mapping[str, Any]
    bound: Mapping[str, Any] = {}  # of a NamedTuple: nobody changes it
    """What bounds its cost."""


def way(path: str, bound: str = "", **body: Any) -> Way:
    return Way(path, {"model": "chat", **body}, {bound: 5} if bound else {})


MESSAGES = [{"role": "user", "content": "Hi"}]
WRITTEN = (
    way("/chat/completions", "max_tokens", messages=MESSAGES),
    way("/chat/completions", "max_tokens", messages=MESSAGES, stream=True, stream_options={"include_usage": True}),
    way("/responses", "max_output_tokens", input="Hi"),
    way("/responses", "max_output_tokens", input="Hi", stream=True),
    Way("/messages", {"model": "chat", "messages": MESSAGES, "max_tokens": 5}),
    Way("/messages", {"model": "chat", "messages": MESSAGES, "max_tokens": 5, "stream": True}),
    way("/completions", "max_tokens", prompt="Hi"),
)
"""Answers that have words."""
RELAYED = (
    way("/moderations", input="Hi"),
    way("/rerank", query="Hi", documents=["a"]),
    way("/audio/speech", input="Hi", voice="v"),
    way("/images/generations", prompt="Hi"),
)
EVERY = (*WRITTEN, way("/embeddings", input="Hi"), *RELAYED)


def answered(request: Request, number: int) -> Behaviour:
    """As a server that has all of these answers."""
    kind = request.path.removeprefix("/v1")
    if kind == "/audio/speech":
        return plain(b"sound", content_type="audio/mpeg")
    if kind == "/embeddings":
        return embeddings_ok()
    if kind == "/completions":
        choice = {"index": 0, "text": "Hello", "finish_reason": "stop"}
        return plain(dumps({**completion("", Tokens(7, 2)), "object": "text_completion", "choices": [choice]}))
    if kind == "/chat/completions":
        found: Behaviour = ok("Hello !")(request, number)
        return found
    return plain(dumps({"id": "x", "created": 1, "data": [], "results": [], "model": "m"}))


def config(directory: Path, upstream: str, scope: str, **more: Any) -> dict[str, Any]:
    """Of the route, but for `limits`: these hold for the scope."""
    limits = more.pop("limits", None)
    at = {name: {"limits": limits} if name == scope else {} for name in ("all", "key", "route", "backend", "target")}
    target = {"target": "up/m", "price": PRICE, **at["target"]}
    return {
        "ledger": {"path": directory / "ledger.db"},
        "keys": [{"name": "team", "key": KEY, **at["key"]}],
        "backends": {"up": {"type": "vllm", "base_url": upstream, **at["backend"]}},
        "routes": {"chat": {"targets": [target], **at["route"], **more}},
        **at["all"],
    }


Ask = Callable[..., Awaitable[httpx2.Response]]
Story = Callable[[Way, Ask, Upstream], Awaitable[None]]


def each(ways: Iterable[Way], directory: Path, story: Story, scope: str = "", **more: Any) -> None:
    """Tells it of each by itself, with a Wayline of its own."""

    async def run(one: Way, place: Path) -> None:
        async with Upstream(answered) as up, Wayline(config(place, up.base_url, scope, **more)) as wayline:

            async def ask(*, bounded: bool = True) -> httpx2.Response:
                body = {**one.body, **(one.bound if bounded else {})}
                return await asking(wayline).post(
                    "/v1" + one.path, json=body, headers={"authorization": f"Bearer {KEY}"}
                )

            await story(one, ask, up)

    for number, one in enumerate(ways):
        place = directory / str(number)
        place.mkdir()
        asyncio.run(run(one, place))


def sent(up: Upstream) -> int:
    """Requests that were, without those for a list of models."""
    return sum(request.method == "POST" for request in up.requests)


@pytest.mark.parametrize("scope", ["all", "key", "route", "backend", "target"])
def test_each_counts_towards_the_requests_of_every_scope(tmp_path: Path, scope: str) -> None:
    async def story(one: Way, ask: Ask, up: Upstream) -> None:
        first, second = await ask(), await ask()
        assert first.status_code == 200, (one, first.text)
        assert (second.status_code, "1 request an hour" in second.text) == (429, True), (one, second.text)
        assert 3500 < int(second.headers["retry-after"]) <= 3600
        assert sent(up) == 1

    each(EVERY, tmp_path, story, scope, limits={"rph": 1})


def test_the_tokens_of_each_count_as_they_really_were(tmp_path: Path) -> None:
    async def story(one: Way, ask: Ask, up: Upstream) -> None:
        await ask()
        spent = 1000 - int((await ask()).headers["x-ratelimit-remaining-tokens"])
        assert 9 < spent < 9 + 100, (one, "the first one's nine, and an estimate of the second one's")

    each(WRITTEN, tmp_path, story, "key", limits={"tph": 1000})


def test_what_has_no_bound_is_not_sent_under_a_budget_and_is_asked_for_one_where_it_can_name_one(
    tmp_path: Path,
) -> None:
    async def story(one: Way, ask: Ask, up: Upstream) -> None:
        if one.bound or one in RELAYED:
            refused = await ask(bounded=False)
            error, code = refused.json()["error"], "max_tokens_required" if one.bound else "cost_unbounded"
            assert (refused.status_code, error["code"]) == (400, code), one
            assert all(name in error["message"] and error["param"] == name for name in one.bound)
            assert not sent(up)
        if one not in RELAYED:
            assert (await ask()).status_code == 200, one

    each(EVERY, tmp_path, story, budgets=["1/day"])


def test_each_of_those_that_we_word_says_what_it_cost_where_the_route_wants_it(tmp_path: Path) -> None:
    """Where the upstream speaks the caller's API (here: text completions) its answer is handed on byte for byte."""

    async def story(one: Way, ask: Ask, up: Upstream) -> None:
        told = await ask()
        costs = [float(cost) for cost in re.findall(r'"cost":([0-9.e-]+)', told.text)]
        assert costs == ([] if one.path == "/completions" else [0.000011]), (one, told.text)
        assert one.body.get("stream") or told.headers["x-wayline-cost"] == "0.000011"

    each(WRITTEN, tmp_path, story, reply_cost=True)
