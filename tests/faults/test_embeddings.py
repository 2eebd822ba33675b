"""Embeddings: the same way through, but never vectors of another model; and in the encoding that was asked for."""

from __future__ import annotations

import base64
import struct

import pytest

from proxy.core.failure import VERDICTS
from proxy.core.failure import FailureKind as K
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.upstream import Script
from tests.upstream_answers import chat_ok, dumps, embeddings_ok, error, plain
from tests.upstream_faults import gzip_bomb, rate_limited
from tests.upstream_steps import Behaviour, Close, Hang, Reset

VECTOR = [0.25, -0.5, 1.0]
PACKED = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
FAULTS: dict[str, tuple[K, Script]] = {
    "reset": (K.RESET, Behaviour((Reset(),))),
    "closed": (K.EMPTY_REPLY, Behaviour((Close(),))),
    "no answer": (K.FIRST_TIMEOUT, Behaviour((Hang(),))),
    "401": (K.KEY_REFUSED, error(401)),
    "404": (K.NOT_FOUND, error(404)),
    "429": (K.RATE_LIMITED, rate_limited({"retry-after": "3"})),
    "500": (K.SERVER_ERROR, error(500)),
    "503": (K.OVERLOADED, error(503)),
    "HTML": (K.WRONG_TYPE, plain(b"<html></html>", content_type="text/html")),
    "empty": (K.EMPTY_ANSWER, plain(b"")),
    "an error with 200": (K.SERVER_ERROR, plain(dumps({"error": {"message": "x", "type": "server_error"}}))),
    "a chat answer": (K.MALFORMED, chat_ok()),
    "no vectors": (K.MALFORMED, embeddings_ok([])),
    "more vectors than texts": (K.MALFORMED, embeddings_ok([VECTOR, VECTOR])),
    "vectors of words": (K.MALFORMED, embeddings_ok([["a", "b"]])),
    "gzip bomb": (K.OVERSIZE, gzip_bomb()),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_answered_by_another_target_with_the_same_model(run: Run, name: str) -> None:
    kind, script = FAULTS[name]

    async def story(rig: Rig) -> None:
        patience = {"connect": 5, "first": 0.4 if kind is K.FIRST_TIMEOUT else 10, "idle": 10, "total": 30}
        await rig.upstream("a", script, timeouts=patience)
        await rig.upstream("b", embeddings_ok([VECTOR], usage=(3, 0)))
        rig.route("embed", "a", "b")
        rig.route("alone", "a")
        await rig.serve()
        answer = await rig.embed("embed", id_="e")
        assert (answer.status, answer.headers["x-wayline-target"]) == (200, "b/m")
        assert answer.json["data"][0]["embedding"] == VECTOR
        first, second = await rig.rows("e", 2)
        verdict = VERDICTS[kind]
        assert (first.ended, first.failure, bool(first.maybe_billed)) == ("failed", kind.value, verdict.maybe_billed)
        assert (second.ended, second.input, second.output, second.cost) == ("served", 3, 0, "0.000003")
        assert rig.health("a").in_a_row == int(verdict.counts)
        refused = await rig.embed("alone")
        assert (refused.status, refused.error["code"]) == (verdict.status, verdict.code)

    run(story)


@pytest.mark.parametrize("same", [False, True])
def test_another_model_is_asked_only_by_the_operators_word(run: Run, same: bool) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", error(500))
        other = await rig.upstream("b", embeddings_ok([VECTOR]))
        rig.route("embed", "a/small", "b/large", same_vectors=same)
        await rig.serve()
        answer = await rig.embed("embed")
        assert answer.status == (200 if same else 502)
        assert other.asked == int(same)

    run(story)


@pytest.mark.parametrize("given", [VECTOR, PACKED], ids=["the backend gives floats", "the backend gives base64"])
@pytest.mark.parametrize("asked", [None, "float", "base64"])
def test_the_encoding_is_the_one_that_was_asked_for(run: Run, given: object, asked: str | None) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", embeddings_ok([given, given]))
        rig.route("embed", "a")
        await rig.serve()
        answer = await rig.embed("embed", input=["one", "two"], **({"encoding_format": asked} if asked else {}))
        assert [row["embedding"] for row in answer.json["data"]] == [PACKED if asked == "base64" else VECTOR] * 2

    run(story)


def test_fewer_vectors_than_texts_are_no_answer(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", embeddings_ok([VECTOR]))
        rig.route("embed", "a")
        await rig.serve()
        assert (await rig.embed("embed", input=["one", "two"])).status == 502
        assert (await rig.embed("embed", input=[1, 2, 3])).status == 200  # token ids of one text
        assert (await rig.embed("embed", input=[[1, 2], [3]])).status == 502

    run(story)


def test_without_reported_usage_it_is_estimated_and_said_so(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", embeddings_ok([VECTOR, VECTOR], usage=None))
        rig.route("embed", "a")
        await rig.serve()
        await rig.embed("embed", id_="e", input=["one two three", "four"])
        (row,) = await rig.rows("e")
        assert (row.usage_source, row.output) == ("estimated", 0)
        assert row.input and row.cost

    run(story)
