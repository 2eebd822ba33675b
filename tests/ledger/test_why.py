"""`story` finds a request by its id and tells why it went where it went, and what became of it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, How, Outcome
from proxy.core.plan import Plan
from proxy.core.told import Note, Told
from proxy.core.usage import Source, Usage
from proxy.ledger.schema import MIGRATIONS, LedgerError
from proxy.ledger.sqlite import open_ledger
from proxy.ledger.why import NoStory, Story, story
from proxy.ledger.why_view import as_text
from tests.ledger.tellings import CHOICE, CHOSEN, FREE_AGAIN, PLAN, REFUSED, STARTED, TOLD

NOON = float(int(time.time()))
"""Of a made-up day: what is old is forgotten."""


def put(database: Path, *what: Outcome | Told) -> None:
    """On record, as of a request that came in now."""

    async def record() -> None:
        ledger = open_ledger(database)
        for one in what:
            moved = one._replace(started_at=one.started_at - STARTED + NOON)
            if isinstance(moved, Told):
                ledger.tell(moved)
            else:
                ledger.record(moved)
        await ledger.close()

    asyncio.run(record())


def text(found: Story) -> list[str]:
    """Without the moments, which are others each time."""
    lines = list(as_text(found, utc=True))
    assert max(map(len, lines)) <= 100
    moment = time.strftime("%Y-%m-%d %H:%M:%S.000", time.gmtime(NOON))
    return [re.sub(r"until [0-9:]{8}$", "until HH:MM:SS", line.replace(moment, "MOMENT")) for line in lines]


def the_story(database: Path, request_id: str = "req-1") -> Story:
    return story(database, request_id, patience=0)


def test_a_plain_request(database: Path, served: Outcome) -> None:
    put(database, served._replace(agent="", tags=()))
    found = the_story(database)
    assert found.usual and (found.ended, found.status, found.duration) == ("served", 200, 1.5)
    assert text(found) == [
        "req-1  MOMENT  chat, streamed, key team-a",
        "  route chat: all targets were fit and in order, and the first one served",
        "  attempt 1: openai/gpt-4o-mini served, as gpt-4o-mini-2024-07-18",
        "             sent 0.001 s, first byte 0.300 s, first content 0.310 s, end 1.500 s",
        "             120 tokens in (20 cached), 45 out, $0.000044",
        "  served after 1.500 s by openai/gpt-4o-mini; all in all $0.000044",
    ]


def test_a_failover(database: Path, served: Outcome) -> None:
    put(
        database,
        served._replace(
            target="groq/llama",
            backend="groq",
            ended=Ended.FAILED,
            failure=FailureKind.FIRST_TIMEOUT,
            status=None,
            first_byte=None,
            first_content=None,
            last=10.0,
            usage=None,
            cost=None,
            maybe_billed=True,
            model="",
        ),
        served._replace(attempt=2, sent=10.001, first_byte=10.3, first_content=10.31, last=11.5),
        TOLD._replace(duration=11.5, attempts=2, planned=PLAN._replace(targets=PLAN.targets[::-1])),
    )
    assert text(the_story(database)) == [
        "req-1  MOMENT  chat, streamed, key team-a, agent scout, tags nightly team",
        "  route chat: targets as written",
        "    1  groq/llama",
        "    2  openai/gpt-4o-mini",
        "  attempt 1: groq/llama failed, first_timeout, may have been billed",
        "             sent 0.001 s, end 10.000 s",
        "  attempt 2: openai/gpt-4o-mini served, as gpt-4o-mini-2024-07-18",
        "             sent 10.001 s, first byte 10.300 s, first content 10.310 s, end 11.500 s",
        "             120 tokens in (20 cached), 45 out, $0.000044",
        "  served after 11.500 s by openai/gpt-4o-mini; all in all $0.000044",
    ]


def test_a_choice_with_targets_that_were_left_out(database: Path, served: Outcome) -> None:
    put(database, served, CHOSEN)
    assert text(the_story(database))[1:7] == [
        "  asked for: exclude azure",
        "  route chat: strategy cheapest, rule 2 holds: large",
        "    1  openai/gpt-4o-mini",
        "    2  groq/llama          last: answers up to 4,096 < 5,000",
        "    –  xai/grok            cooling (rate_limited) until HH:MM:SS",
        "    –  here/smollm2        context 8,192 < 30,000",
    ]


def test_a_choice_whose_first_target_served_needs_no_row_of_its_own(database: Path, served: Outcome) -> None:
    put(database, served._replace(planned=CHOICE))
    found = the_story(database)
    assert (found.ended, found.status, found.duration, found.route) == ("served", 200, 1.5, "chat")
    assert not found.usual
    put(database, served._replace(request_id="in-full"), CHOSEN._replace(request_id="in-full", wish=None))
    assert text(found)[1:] == text(the_story(database, "in-full"))[1:]
    assert found.tags == the_story(database, "in-full").tags


def test_one_that_was_refused_because_no_target_was_fit(database: Path) -> None:
    none_left = CHOICE._replace(plan=Plan(()), behind=(), rule=None)
    put(database, REFUSED._replace(planned=none_left))
    assert text(the_story(database)) == [
        "req-1  MOMENT  chat, key team-a, agent scout, tags nightly team",
        "  route chat: strategy cheapest",
        "    –  here/smollm2  context 8,192 < 30,000",
        "  refused after 0.000 s with 400: unsupported, no target was asked",
    ]


def test_one_that_waited_and_one_that_limits_refused(database: Path, served: Outcome) -> None:
    notes = (
        Note("limit", "key team-a", "60 of 60 requests a minute"),
        Note("queue", "", "waited 320 ms as 3rd of priority normal"),
        Note("budget", "tag nightly", "$4.99 of $5 a day, of which $0.10 is reserved: cheaper targets only"),
    )
    put(
        database,
        served._replace(sent=0.32),
        TOLD._replace(queued=0.32, notes=notes),
        REFUSED._replace(
            request_id="req-2",
            status=429,
            planned=None,
            notes=notes[:1],
            failure=FailureKind.RATE_LIMITED,
            message="full",
        ),
    )
    assert text(the_story(database))[1:8] == [
        "  route chat: targets as written",
        "    1  openai/gpt-4o-mini",
        "    2  groq/llama",
        "  limit: key team-a: 60 of 60 requests a minute",
        "  queue: waited 320 ms as 3rd of priority normal",
        "  budget: tag nightly: $4.99 of $5 a day, of which $0.10 is reserved: cheaper targets only",
        "  it waited 0.320 s for its turn",
    ]
    assert text(the_story(database, "req-2"))[1:] == [
        "  route chat: nothing was planned",
        "  limit: key team-a: 60 of 60 requests a minute",
        "  refused after 0.000 s with 429: rate_limited (full), no target was asked",
    ]


def test_a_stream_that_was_cut_and_gone_on_with(database: Path, served: Outcome) -> None:
    put(
        database,
        served._replace(ended=Ended.CUT, failure=FailureKind.RESET, usage=Usage(7, 3, source=Source.ESTIMATED)),
        served._replace(attempt=2, target="groq/llama", model="llama", how=How.PREFILL, cost=None),
        TOLD._replace(attempts=2),
    )
    shown = text(the_story(database))
    assert [line for line in shown if line.startswith("  attempt")] == [
        "  attempt 1: openai/gpt-4o-mini cut, reset, as gpt-4o-mini-2024-07-18",
        "  attempt 2: groq/llama served, to go on with a cut answer (prefill)",
    ]
    assert "             about 7 tokens in, 3 out, $0.000044" in shown
    assert "             120 tokens in (20 cached), 45 out, cost unknown" in shown


@pytest.mark.parametrize(
    ("told", "end"),
    [
        (TOLD._replace(ended=Ended.CUT, failure=FailureKind.RESET), "  cut after 1.500 s: reset; the client was told"),
        (TOLD._replace(ended=Ended.CANCELLED, failure=FailureKind.CLIENT_GONE), "  the client left after 1.500 s"),
        (
            TOLD._replace(ended=Ended.FAILED, status=502, failure=FailureKind.RESET),
            "  refused after 1.500 s with 502: reset",
        ),
    ],
)
def test_each_end_in_words(database: Path, served: Outcome, told: Told, end: str) -> None:
    put(database, served._replace(ended=Ended.FAILED, failure=FailureKind.RESET), told)
    assert text(the_story(database))[-1].startswith(end)


def test_one_that_has_not_ended_is_not_told_as_if_it_had(database: Path, served: Outcome) -> None:
    put(database, served._replace(ended=Ended.FAILED, failure=FailureKind.RESET, cost=None))
    found = the_story(database)
    assert (found.ended, found.status, found.usual) == (None, None, False)
    assert text(found)[1] == "  route chat: targets as written"
    assert text(found)[-1] == "  no end on record: it is still on its way, or its server was killed"


def test_of_what_is_forgotten_nothing_is_claimed(database: Path, served: Outcome) -> None:
    put(database, served._replace(planned=CHOICE))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM plans")
        connection.commit()
    found = the_story(database)
    assert not found.usual
    assert text(found)[1] == "  route chat: what was planned is not on record (any more)"


def test_of_what_an_older_version_wrote_nothing_is_claimed(database: Path, served: Outcome) -> None:
    put(database, served)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE attempts SET plan = NULL")
        connection.commit()
    assert not the_story(database).usual


def test_the_beginning_of_an_id_is_enough_where_only_one_begins_so(database: Path, served: Outcome) -> None:
    put(database, served._replace(request_id="abc1"), served._replace(request_id="abd2"), served)
    assert the_story(database, "abc").request_id == "abc1"
    with pytest.raises(NoStory, match=r"2 requests begin with ab: abc1, abd2\."):
        the_story(database, "ab")
    with pytest.raises(NoStory, match="No request abx is on record"):
        the_story(database, "abx")
    with pytest.raises(NoStory, match="No request %"):
        the_story(database, "%")
    with pytest.raises(NoStory, match="by its id"):
        the_story(database, "")
    put(database, served._replace(request_id="abc"))
    assert the_story(database, "abc").request_id == "abc", "an id itself is never the beginning of another"


def test_the_latest_of_several_with_one_id_is_shown(database: Path, served: Outcome) -> None:
    """Ids may be the clients' own."""
    put(database, *(served._replace(started_at=STARTED + age, route=f"r{age}") for age in (2, 3, 1)))
    found = the_story(database)
    assert (found.route, found.others) == ("r3", 2)
    assert text(found)[1] == "  the latest of its id, which came 2 times before"


def test_json_says_the_same(database: Path, served: Outcome) -> None:
    put(database, served._replace(cost=Decimal("1E-7")), CHOSEN)
    document = orjson.loads(orjson.dumps(the_story(database).as_json()))
    assert document["cost"] == document["attempts"][0]["cost"] == "0.0000001"
    name, reason, until = document["plan"]["left_out"][0]
    assert (name, reason) == ("xai/grok", "cooling (rate_limited)")
    assert until - time.time() == pytest.approx(FREE_AGAIN - time.monotonic(), abs=2.0)
    assert (document["ended"], document["target"], document["tags"]) == (
        "served",
        "openai/gpt-4o-mini",
        ["nightly", "team"],
    )
    assert document["asked"] == {"exclude": ["azure"]}


def test_a_long_name_keeps_to_the_width(database: Path, served: Outcome) -> None:
    put(database, served._replace(target="a/" + "m" * 200, model="x" * 200), CHOSEN._replace(request_id="other"))
    assert any("…" in line for line in text(the_story(database)))


def test_what_cannot_be_read_is_said_in_a_sentence(database: Path) -> None:
    with pytest.raises(LedgerError, match="There is no ledger"):
        the_story(database)
    with closing(sqlite3.connect(database)) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(LedgerError, match="older Wayline: serve with this one once"):
        the_story(database)


def test_it_waits_a_little_for_a_running_server(database: Path, served: Outcome) -> None:
    async def live() -> Story:
        ledger = open_ledger(database)
        ledger.record(served)
        found = await asyncio.to_thread(story, database, "req-1", patience=5.0)
        await ledger.close()
        return found

    assert asyncio.run(live()).ended == "served"
