"""What the admin API does: try a target, leave one alone or take it back, load the configuration again, drain."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypedDict

import orjson

from proxy.app.admin_look import Dollars, Look, TargetState
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.outcome import Ended
from proxy.core.route import Target
from proxy.engine.lane import Lane
from proxy.engine.sounding import Sounded, road_to, sound
from proxy.ops.admin_api import Action, Ask, Refused
from proxy.wire.errors import scrubbed
from proxy.wire.request_id import request_id

if TYPE_CHECKING:
    from proxy.app.process import Process

PROMPT = "Reply with one short sentence."
TOKENS = 32
MOST_TOKENS = 1024
LONGEST = 86_400.0
"""Seconds that a target can be left alone by hand."""
ABOUT = {"target": "backend/model, slash and all."}


class Orders(Protocol):
    """What reaches all workers of a server. Not there where Wayline is part of another program."""

    def drain(self) -> None:
        """All workers stop soon."""

    def reload_others(self) -> bool:
        """The other workers load the configuration too. False: there are none."""
        ...


class TestAsk(TypedDict, total=False):
    """What is sent."""

    prompt: Annotated[str, "Instead of a small one of ours. It is stored nowhere."]
    max_tokens: Annotated[int, "Of the answer; 32 without it."]
    kind: Annotated[Literal["chat", "embed"], "Without it by what is known of the model."]


class Tested(TypedDict):
    """How the target did."""

    target: str
    ok: bool
    request_id: Annotated[str, "Under which it is on record, with endpoint `test`."]
    ended: Literal["served", "failed", "cut", "cancelled"]
    failure: Annotated[str | None, "As in docs/errors.md."]
    message: Annotated[str | None, "What went wrong, in words."]
    sent: Annotated[bool, "It was asked at all."]
    status: Annotated[int | None, "The upstream's HTTP status."]
    first_content_s: float | None
    total_s: float
    input: Annotated[int | None, "Tokens."]
    output: Annotated[int | None, "Tokens."]
    tokens_per_second: Annotated[float | None, "Of the answer, after its first content; null: it was too short."]
    cost: Dollars
    model: Annotated[str, "As the upstream named it."]


class CoolAsk(TypedDict):
    """For how long."""

    seconds: float


class Stands(TypedDict):
    """The target as it is now."""

    target: TargetState
    all_workers: Annotated[bool, "It holds in all of them within 2 s, and over a restart; false: without `state`."]


class Reloaded(TypedDict):
    """The configuration in force."""

    ok: bool
    routes: int
    loaded_at: Annotated[int, "Unix time in seconds."]
    others: Annotated[bool, "Other workers were told to load it too; what they say of it is in the log."]


class Draining(TypedDict):
    """It ends."""

    draining: Annotated[bool, "In all workers."]
    within_s: Annotated[float, "Open streams may go on for so long."]


class Act:
    """Over one process. `tell` lets the listeners of events know."""

    def __init__(self, process: Process, look: Look) -> None:
        self._process = process
        self._look = look

    def actions(self) -> list[Action]:
        """For the table."""
        at = "/targets/{target}"
        return [
            Action(
                "POST",
                at + "/test",
                "testTarget",
                "Send a tiny request straight to this target, whatever its health.",
                self.test,
                Tested,
                takes=TestAsk,
                body_optional=True,
                about=ABOUT,
            ),
            Action(
                "POST",
                at + "/cool",
                "coolTarget",
                "Leave it alone for some time.",
                self.cool,
                Stands,
                takes=CoolAsk,
                about=ABOUT,
            ),
            Action(
                "POST",
                at + "/restore",
                "restoreTarget",
                "Take it for well again.",
                self.restore,
                Stands,
                about=ABOUT,
            ),
            Action("POST", "/reload", "reload", "Load the configuration again.", self.reload, Reloaded),
            Action("POST", "/drain", "drain", "Take no new requests, end those under way.", self.drain, Draining),
        ]

    async def test(self, ask: Ask) -> Tested:
        lane, routes = self._lane(ask)
        tokens = ask.body.get("max_tokens", TOKENS)
        if not 1 <= tokens <= MOST_TOKENS:
            raise Refused(400, f"'max_tokens' must be 1 to {MOST_TOKENS}.", "invalid_request", param="max_tokens")
        id_ = request_id({})
        chat = ask.body.get("kind", "embed" if lane.target.ability.can("embeddings") else "chat") == "chat"
        request = _request(lane.target, ask.body.get("prompt") or PROMPT, tokens, chat=chat)
        return _tested(lane.target, id_, await sound(self._process.engine, road_to(lane, routes[0]), request, id_))

    def cool(self, ask: Ask) -> Stands:
        lane, routes = self._lane(ask)
        seconds, name = ask.body["seconds"], lane.target.name
        if not 0 < seconds <= LONGEST:
            raise Refused(
                400, f"'seconds' must be more than 0, {LONGEST:g} at most.", "invalid_request", param="seconds"
            )
        self._process.by_hand.cool(lane, seconds)
        self._process.log.event("warning", "target.cooled", target=name, for_s=seconds)
        return self._stands(lane, routes)

    def restore(self, ask: Ask) -> Stands:
        lane, routes = self._lane(ask)
        self._process.by_hand.restore(lane)
        self._process.log.event("info", "target.restored", target=lane.target.name)
        return self._stands(lane, routes)

    def _stands(self, lane: Lane, routes: list[str]) -> Stands:
        target = self._look.target(lane, routes, time.monotonic())
        return {"target": target, "all_workers": self._process.by_hand.shared}

    async def reload(self, ask: Ask) -> Reloaded:
        process = self._process
        runtime = process.runtime
        if not runtime.desk.config.source:
            raise Refused(409, "The configuration came from no file: there is nothing to load again.", "no_source")
        await runtime.reload()
        if runtime.reload_error:
            problems = runtime.reload_error.splitlines()
            message = "The configuration cannot be used; the one before it stays in force."
            raise Refused(422, message, "config_rejected", more={"problems": problems})
        others = process.orders is not None and process.orders.reload_others()
        desk = runtime.desk
        return {"ok": True, "routes": len(desk.roads.by_name), "loaded_at": desk.loaded_at, "others": others}

    def drain(self, ask: Ask) -> Draining:
        process = self._process
        orders = process.orders
        if orders is None:
            raise Refused(409, "This Wayline is part of another program: that program drains it.", "not_a_server")
        within = process.runtime.desk.config.listen.drain
        process.log.event("warning", "serve.drain", by="admin")
        # After the answer: a server that drains takes no more from this connection.
        asyncio.get_running_loop().call_later(DRAIN_AFTER, orders.drain)
        return {"draining": True, "within_s": within}

    def _lane(self, ask: Ask) -> tuple[Lane, list[str]]:
        name = ask.path["target"]
        known = self._look.lanes()
        found = known.get(name)
        if found is None:
            message = f"No route has the target {name[:200]!r}. There is: {', '.join(list(known)[:10])}."
            raise Refused(404, message, "target_not_found", param="target")
        return found


DRAIN_AFTER = 0.1
"""Seconds."""


def _request(target: Target, prompt: str, tokens: int, *, chat: bool) -> ChatRequest | EmbedRequest:
    if not chat:
        vectors = {"model": target.model, "input": prompt}
        return EmbedRequest(orjson.dumps(vectors), vectors, target.model, False)
    body = {
        "model": target.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return ChatRequest(orjson.dumps(body), body, target.model, True, True)


def _tested(target: Target, id_: str, found: Sounded) -> Tested:
    usage, failure, first = found.usage, found.failure, found.first_content
    speed = None
    if usage is not None and first is not None and usage.output > 1 and found.total > first:
        speed = round((usage.output - 1) / (found.total - first), 2)
    return {
        "target": target.name,
        "ok": found.ended is Ended.SERVED,
        "request_id": id_,
        "ended": found.ended.value,
        "failure": None if failure is None else failure.kind.value,
        "message": None if failure is None else scrubbed(failure.message),
        "sent": found.sent,
        "status": found.status,
        "first_content_s": None if first is None else round(first, 4),
        "total_s": round(found.total, 4),
        "input": None if usage is None else usage.input,
        "output": None if usage is None else usage.output,
        "tokens_per_second": speed,
        "cost": None if found.cost is None else format(found.cost, "f"),
        "model": found.model,
    }
