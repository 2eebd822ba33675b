"""An nginx in front of Wayline does not give up on an answer that is late: comments keep it waiting."""

from __future__ import annotations

from typing import Any

import pytest

from bench.faults.gateway import nginx
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.faults.talk import CHAT, Answer, ask
from tests.upstream_answers import DONE, last, raw_stream, role, stream_ok, word
from tests.upstream_steps import Behaviour, Pause

GIVES_UP = 1
"""Seconds without a byte after which nginx ends a request (`proxy_read_timeout`)."""
LATE = Pause(2.2 * GIVES_UP)
WORDS = ["late", " but", " whole"]
LATE_ONES = {
    "before its head": stream_ok(WORDS).after(LATE),
    "after its role": raw_stream(role(), LATE, *map(word, WORDS), last(), DONE),
    "between its words": raw_stream(role(), word(WORDS[0]), LATE, *map(word, WORDS[1:]), last(), DONE),
}

pytestmark = pytest.mark.slow  # nginx is not on every machine


async def through_nginx(rig: Rig, late: Behaviour, **settings: Any) -> Answer:
    """The answer of a target that is late, as a client behind nginx gets it."""
    await rig.upstream("a", late)
    rig.route("chat", "a", **settings)
    await rig.serve()
    async with nginx(rig.port, GIVES_UP, rig.directory) as port:
        return await ask(port, CHAT, rig.body("chat", stream=True))


@pytest.mark.parametrize("late", LATE_ONES)
def test_an_answer_that_is_late_comes_whole_through_nginx(run: Run, late: str) -> None:
    async def story(rig: Rig) -> None:
        answer = await through_nginx(rig, LATE_ONES[late], keep_alive="300ms")
        comments = answer.body.count(b": wayline")
        assert answer.status == 200 and answer.whole
        assert 3 <= comments <= 8, answer.body
        answer.body = b"".join(f"{each}\n\n".encode() for each in parts(answer) if not each.startswith(":"))
        assert answer.done and text(answer) == "late but whole"

    run(story)


@pytest.mark.parametrize("late", LATE_ONES)
def test_without_comments_nginx_ends_it(run: Run, late: str) -> None:
    async def story(rig: Rig) -> None:
        answer = await through_nginx(rig, LATE_ONES[late], keep_alive="60s")
        if late == "between its words":
            assert not answer.whole and b"late" in answer.body and b"whole" not in answer.body
        else:
            assert answer.status == 504

    run(story)


def parts(answer: Answer) -> list[str]:
    """Events and comments."""
    return answer.body.decode().split("\n\n")[:-1]


def text(answer: Answer) -> str:
    """What the events say."""
    return "".join(c["delta"].get("content", "") for chunk in answer.chunks for c in chunk["choices"])
