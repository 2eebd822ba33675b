"""What a backend cannot express, over real sockets: `unsupported: next | drop | refuse`."""

from __future__ import annotations

import dataclasses

import pytest

from proxy.backends import registry
from proxy.backends.openai_spec import OpenAICompatible
from tests.faults.conftest import Run
from tests.faults.rig import Rig
from tests.upstream_answers import error, ok

REFUSED = frozenset({"logit_bias", "seed"})


@pytest.fixture(autouse=True)
def unable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends of type vllm refuse these two."""
    specs = registry.SPECS
    assert isinstance(specs, dict)
    found: OpenAICompatible = specs["vllm"]
    monkeypatch.setitem(specs, "vllm", dataclasses.replace(found, refuses=REFUSED))


@pytest.mark.parametrize("stream", [False, True])
def test_by_default_the_next_one_that_can_is_asked(run: Run, stream: bool) -> None:
    async def story(rig: Rig) -> None:
        lacking = await rig.upstream("a", ok("less"), type="vllm")
        whole = await rig.upstream("b", ok("all"))
        rig.route("chat", "a", "b")
        await rig.serve()
        answer = await rig.chat("chat", stream=stream, seed=7)
        assert (answer.said(), answer.headers["x-wayline-attempts"]) == ("all", "1")
        assert "x-wayline-dropped" not in answer.headers
        assert lacking.asked == 0 and whole.requests[0].json["seed"] == 7
        assert (await rig.chat("chat", stream=stream)).said() == "less"

    run(story)


@pytest.mark.parametrize("stream", [False, True])
def test_it_is_left_out_and_named_where_nobody_can_or_the_route_says_so(run: Run, stream: bool) -> None:
    async def story(rig: Rig) -> None:
        lacking = await rig.upstream("a", ok("less"), type="vllm")
        broken = await rig.upstream("b", error(500))
        rig.route("only", "a")
        rig.route("dropping", "a", "b", unsupported="drop")
        rig.route("failing", "b", "a")
        await rig.serve()
        for name in ("only", "dropping", "failing"):
            answer = await rig.chat(name, stream=stream, seed=7, logit_bias={"1": 1})
            assert (answer.said(), answer.headers["x-wayline-dropped"]) == ("less", "logit_bias, seed")
            assert REFUSED.isdisjoint(lacking.requests[-1].json)
        assert broken.asked == 1

    run(story)


def test_it_is_refused_with_the_parameters_name(run: Run) -> None:
    async def story(rig: Rig) -> None:
        lacking = await rig.upstream("a", ok(), type="vllm")
        rig.route("chat", "a", unsupported="refuse")
        await rig.serve()
        answer = await rig.chat("chat", id_="r", seed=7)
        assert answer.status == 400
        assert answer.error == {
            "message": "No target of this route supports 'seed'.",
            "type": "invalid_request_error",
            "code": "unsupported_parameter",
            "param": "seed",
        }
        assert answer.headers["x-wayline-attempts"] == "0"
        assert lacking.asked == 0 and not rig.recorded()
        assert (await rig.chat("chat")).status == 200

    run(story)


def test_an_outage_of_those_that_can_is_no_fault_of_the_callers(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await rig.upstream("a", ok(), type="vllm")
        await rig.upstream("b", [error(500), error(429, headers={"retry-after": "20"})])
        rig.route("chat", "a", "b", unsupported="refuse")
        await rig.serve()
        assert [(await rig.chat("chat", seed=7)).status for _ in range(3)] == [502, 429, 429]

    run(story)
