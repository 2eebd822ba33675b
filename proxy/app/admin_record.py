"""What the admin API tells from the record: spending, requests, and why they went where they went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, TypeVar, cast

import orjson

from proxy.app.admin_look import Dollars
from proxy.app.explain_asked import explain
from proxy.app.veiled import Veiled
from proxy.ledger.recent import MOST, Which, recent
from proxy.ledger.schema import LedgerError
from proxy.ledger.since import moment
from proxy.ledger.spend import By, Only, report
from proxy.ledger.spend_view import as_json
from proxy.ledger.why import NoStory, story
from proxy.ops.admin_api import Action, Ask, Refused

if TYPE_CHECKING:
    from proxy.app.process import Process

T = TypeVar("T")
Span = Annotated[str, "today, yesterday, a span back from now like 7d or 12h, a date, or a date and time."]
Seconds = Annotated[float | None, "Seconds."]


class SpendQuery(TypedDict, total=False):
    """What is summed."""

    since: Span
    until: Span
    by: Literal["route", "target", "backend", "key", "agent", "tag", "hour", "day", "month"]
    utc: Annotated[bool, "Days begin at midnight UTC, not local time."]
    route: str
    key: str
    agent: str
    tag: str


class SpendLine(TypedDict):
    """One row, or the total."""

    name: str
    requests: int
    attempts: int
    served: int
    failed: int
    cut: int
    cancelled: int
    input: Annotated[int, "Tokens, cached ones included."]
    output: int
    cached: int
    cost: Dollars
    unknown: Annotated[int, "Attempts that may have cost something, and nobody knows what."]
    estimated: int
    counted: int
    maybe_billed: int


class Spend(TypedDict):
    """What was spent: all workers together."""

    by: str
    since: str | None
    until: str | None
    only: Annotated[Any, "What it was narrowed to."]
    lines: list[SpendLine]
    total: SpendLine


class RequestsQuery(TypedDict, total=False):
    """Which ones."""

    limit: Annotated[int, f"At most {MOST}; 50 without it."]
    route: str
    key: str
    agent: str
    tag: str
    ended: Literal["served", "failed", "cut", "cancelled"]
    before: Annotated[float, "Came in before this Unix time, for the next page."]


class BriefRequest(TypedDict):
    """One request."""

    request_id: str
    started_at: Annotated[float, "Unix time in seconds."]
    time: str
    route: str
    key: str
    agent: str
    tags: list[str]
    endpoint: str
    target: Annotated[str, "The one that served, or the last one tried; empty when none was."]
    attempts: int
    ended: Annotated[str | None, "null: no end is on record."]
    failure: str | None
    status: int | None
    duration: Seconds
    cost: Dollars


class BriefRequests(TypedDict):
    """The latest ones first: of all workers together."""

    requests: list[BriefRequest]


class Attempted(TypedDict):
    """One attempt. Times are seconds since the request came in."""

    attempt: int
    target: str
    backend: str
    model: str
    ended: str
    failure: str | None
    status: int | None
    sent: float
    first_byte: float | None
    first_content: float | None
    last: float
    input: int | None
    output: int | None
    cached_input: int | None
    usage_source: str
    cost: Dollars
    maybe_billed: bool
    how: str


class RequestStory(TypedDict):
    """One request: its plan, its attempts, what it met with. No prompt, no answer."""

    request_id: str
    started_at: float
    time: str
    route: str
    key: str
    agent: str
    tags: list[str]
    endpoint: str
    stream: bool
    ended: str | None
    status: int | None
    failure: str | None
    duration: Seconds
    target: str
    cost: Dollars
    attempts: list[Attempted]
    usual: Annotated[bool, "All targets of its route were fit and in order, and the first one served."]
    queued: Annotated[float, "Seconds that it waited for its turn."]
    plan: Annotated[Any, "strategy, rule, use; targets, behind, left_out; null: not on record."]
    asked: Annotated[Any, "What the caller asked of targets."]
    notes: Annotated[list[list[str]], "What it met with (limit, budget, queue), whose that is, and how it stood."]
    message: str
    others: Annotated[int, "Earlier requests of the same id."]


class ExplainAsk(TypedDict, total=False):
    """A request as a client would send it, or only what matters of one."""

    request: Annotated[Any, "The body of a chat or embeddings request."]
    asked: Annotated[Any, "route, input, output, needs: instead of a whole request."]
    headers: dict[str, str]
    key: Annotated[str, "The name of the caller's key: its budgets, tags and rules."]
    config: Annotated[
        str, "The text of a configuration that is not in force. Variables count as set; their values are not used."
    ]
    down: Annotated[list[str], "Targets or backends that are taken for being out of order."]
    hour: Annotated[int, "Of the day, for rules."]


class Explained(TypedDict):
    """What would happen now; nothing is sent."""

    route: str
    strategy: str
    rule: Annotated[int | None, "The one that holds, from 1."]
    use: str | None
    priority: Annotated[str | None, "What that rule says of it: the queue goes by it, whatever the request says."]
    request: Annotated[Any, "What is known of it: tokens, what it needs, what it asks of targets."]
    targets: Annotated[list[Any], "In the order of trying: target, cost, behind, measured."]
    left_out: list[Any]
    anyway: bool
    trouble: str | None
    waits: Annotated[str | None, "Why it would wait in the queue."]
    error: Annotated[str | None, "What the caller would be told, where no target is left."]
    refusal: Annotated[Any, "The status, type, code, param and retry_after (seconds) that go with it; null: none is."]


class Record:
    """Over one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def actions(self) -> list[Action]:
        """For the table."""
        return [
            Action("GET", "/spend", "spend", "What was spent.", self.spend, Spend, query=SpendQuery),
            Action(
                "GET",
                "/requests",
                "requests",
                "The latest requests.",
                self.requests,
                BriefRequests,
                query=RequestsQuery,
            ),
            Action(
                "GET",
                "/requests/{id}",
                "request",
                "Why a request went where it went, and what became of it.",
                self.request,
                RequestStory,
                about={"id": "As in x-request-id, or the beginning of it."},
            ),
            Action(
                "POST",
                "/explain",
                "explain",
                "What would happen to a request now, in this worker.",
                self.explain,
                Explained,
                takes=ExplainAsk,
            ),
        ]

    async def spend(self, ask: Ask) -> Spend:
        query, now = ask.query, time.time()
        zone = UTC if query.get("utc") else None
        try:
            since = moment(query.get("since", "today"), now, zone)
            until = moment(query["until"], now, zone) if "until" in query else None
        except (ValueError, OverflowError):
            message = "Expected today, yesterday, a span like 7d or 12h, or a date like 2026-11-01."
            raise Refused(400, message, "invalid_request", param="since") from None
        only = Only(*(tuple([query[name]] if name in query else []) for name in ("route", "key", "agent", "tag")))
        by: By = query.get("by", "route")
        utc = bool(query.get("utc"))
        found = await self._from(lambda path: report(path, since, until, by, utc=utc, only=only))
        return cast(Spend, orjson.loads(as_json(found)))

    async def requests(self, ask: Ask) -> BriefRequests:
        query = dict(ask.query)
        limit = query.pop("limit", 50)
        found = await self._from(lambda path: recent(path, limit, Which(**query)))
        return {"requests": [cast(BriefRequest, one.as_json()) for one in found]}

    async def request(self, ask: Ask) -> RequestStory:
        try:
            found = await self._from(lambda path: story(path, ask.path["id"]))
        except NoStory as error:
            raise Refused(404, str(error), "request_not_found", param="id") from None
        return cast(RequestStory, orjson.loads(orjson.dumps(found.as_json())))

    async def explain(self, ask: Ask) -> Explained:
        process = self._process
        desk, environ = process.runtime.desk, Veiled(process.environ)
        answer = await explain(dict(ask.body), desk, process.engine, environ, process.callers)
        if answer.status != 200:
            raise said(answer.status, answer.body)
        return cast(Explained, answer.body)

    async def _from(self, read: Callable[[Path], T]) -> T:
        """Read beside the event loop."""
        path = self._process.runtime.desk.config.ledger
        if path is None:
            raise Refused(409, "`ledger: false`: nothing is put on record.", "no_ledger")
        try:
            return await asyncio.to_thread(read, Path(path))
        except NoStory:
            raise
        except LedgerError as error:
            raise Refused(503, str(error), "ledger_error", type_="server_error") from None


def said(status: int, body: dict[str, Any]) -> Refused:
    """An error in OpenAI's shape that others made."""
    error = dict(body["error"])
    told = Refused(status, str(error["message"]), str(error.get("code")), param=error.get("param"))
    told.error = {**told.error, **error}
    return told
