"""`GET /admin/recommendations`: which of the configured targets suit a task, by what is known of them here."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict

from proxy.app.admin_look import Dollars, Look
from proxy.app.admin_offered import Offered, offered
from proxy.app.machine import GIB, Machine, largest, machine, needed, parameters
from proxy.config.values import Config
from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import expected_cost, expected_output
from proxy.core.choice.measured import FRESH, Measured
from proxy.core.choice.policy import Weights
from proxy.core.choice.score import Part, scores
from proxy.core.health import WELL, Standing, standing
from proxy.core.route import Target
from proxy.local.find import Unusable, find_model
from proxy.ops.admin_api import Action, Ask
from proxy.ops.ready import WORDS

if TYPE_CHECKING:
    from proxy.app.process import Process

Task = Literal[
    "general_chat",
    "creative_writing",
    "narrative",
    "instruction_following",
    "code_generation",
    "analysis",
    "embedding",
]


class Usual(NamedTuple):
    """A usual request of a task, in tokens, and what it is good to have. Our own estimate."""

    input: int
    output: int
    needs: tuple[str, ...] = ()


TASKS: dict[str, Usual] = {
    "general_chat": Usual(1_000, 400),
    "creative_writing": Usual(1_000, 1_500),
    "narrative": Usual(4_000, 2_000),
    "instruction_following": Usual(2_000, 500, ("tools", "json_schema")),
    "code_generation": Usual(8_000, 1_500, ("tools",)),
    "analysis": Usual(16_000, 1_000, ("reasoning",)),
    "embedding": Usual(500, 0, ("embeddings",)),
}
NOTE = (
    "An estimate from what is known here: the list of abilities, prices, and how the targets have been doing in this "
    "worker. Nobody has tried how good their answers to this task are; only configured targets are ranked. What a "
    "local model needs in memory is a rule of thumb where it is not running."
)


class RecommendQuery(TypedDict):
    """For what."""

    task: Task


class MachineState(TypedDict):
    """This machine. null: the system does not tell."""

    memory_gib: float | None
    available_gib: float | None
    cores: int
    largest_model_b: Annotated[float | None, "Billions of parameters at 4 bits that fit into what is available, about."]


class Recommended(TypedDict):
    """One target."""

    target: str
    score: Annotated[float, "0 to 1: capability 30 %, cost 25 %, performance 25 %, availability 20 %."]
    why: Annotated[list[str], "In words."]
    cost: Annotated[str | None, "US dollars for a usual request of the task, as decimal text; null: nobody knows."]
    local: bool
    fits: Annotated[bool | None, "Into this machine's memory; null: it does not run here, or nobody knows."]
    routes: list[str]


class NotRecommended(TypedDict):
    """One that does not suit."""

    target: str
    reason: str


class Recommendations(TypedDict):
    """The best first."""

    task: Task
    note: Annotated[str, "What this is, and what it is not."]
    usual: Annotated[Any, "The request that is assumed: tokens in and out, what it needs."]
    machine: MachineState
    targets: list[Recommended]
    left_out: list[NotRecommended]
    offered: Annotated[list[Offered], "What servers on this machine have besides, those that fit into memory first."]


class _Suits(NamedTuple):
    target: Target
    routes: list[str]
    known: Measured
    cost: Decimal | None
    fits: bool | None
    health: Standing
    part: Part


class Recommend:
    """Over one process."""

    def __init__(self, process: Process, look: Look) -> None:
        self._process = process
        self._look = look

    def actions(self) -> list[Action]:
        """For the table."""
        words = "Which of the configured targets suit a task, by what is known of them here."
        return [
            Action(
                "GET",
                "/recommendations",
                "recommendations",
                words,
                self.recommend,
                Recommendations,
                query=RecommendQuery,
            )
        ]

    async def recommend(self, ask: Ask) -> Recommendations:
        task: Task = ask.query["task"]
        usual, here = TASKS[task], machine()
        facts = Facts(usual.input, usual.output or None, frozenset(usual.needs), task != "embedding")
        suits: list[_Suits] = []
        out: list[NotRecommended] = []
        process, lanes = self._process, self._look.lanes()
        for lane, routes in lanes.values():
            found = self._suits(lane.target, routes, facts, here)
            if isinstance(found, str):
                out.append({"target": lane.target.name, "reason": found})
            else:
                suits.append(found)
        totals = scores([one.part for one in suits], Weights())
        ranked = sorted(zip(totals, suits, strict=True), key=lambda pair: -pair[0])
        return {
            "task": task,
            "note": NOTE,
            "usual": {"input": usual.input, "output": usual.output, "needs": list(usual.needs)},
            "machine": _machine(here),
            "targets": [_recommended(total, one, facts) for total, one in ranked],
            "left_out": out,
            "offered": await offered(process.net, process.runtime.desk.config, lanes, facts, here),
        }

    def _suits(self, target: Target, routes: list[str], facts: Facts, here: Machine) -> _Suits | str:
        unfit = _unfit(target, facts)
        if unfit:
            return unfit
        engine, now = self._process.engine, time.monotonic()
        fits = _fits(self._process.runtime.desk.config, target, here)
        if fits is False:
            return f"needs more memory than is available: {_gib(here.available)}"
        known = engine.choices.measured.get(target.name, FRESH)
        health = standing(engine.health.get(target.name, WELL), now)
        cost = expected_cost(target, facts, known)
        can = [target.ability.can(need) for need in facts.needs]
        room = facts.input + (facts.output or 0)
        can.append(None if target.ability.context is None else target.ability.context >= room)
        good = 0.0 if health > Standing.PROBE else known.good
        takes = known.takes(expected_output(facts, known))
        counts = (can.count(True), can.count(None), can.count(False))
        part = Part(*counts, None if cost is None else float(cost), takes, good)
        return _Suits(target, routes, known, cost, fits, health, part)


def _unfit(target: Target, facts: Facts) -> str:
    ability = target.ability
    if facts.chat and ability.can("embeddings"):
        return "makes vectors, no answers"
    if not facts.chat and ability.can("embeddings") is False:
        return "makes no vectors"
    if ability.context is not None and ability.context < facts.input:
        return f"context {ability.context:,} < {facts.input:,}"
    return ""


def _fits(config: Config, target: Target, here: Machine) -> bool | None:
    if not target.local or here.available is None:
        return None
    ours = config.backends[target.backend].models.get(target.model)
    if ours is not None:
        try:
            return find_model(ours).stat().st_size * 1.15 <= here.available
        except (Unusable, OSError):
            return None
    billions = parameters(target.model)
    return None if billions is None else needed(billions) <= here.available


def _recommended(total: float, one: _Suits, facts: Facts) -> Recommended:
    cost = None if one.cost is None else format(one.cost, "f")
    told: Dollars = cost.rstrip("0").rstrip(".") if cost is not None and "." in cost else cost
    return {
        "target": one.target.name,
        "score": round(total, 3),
        "why": _why(one, facts),
        "cost": told or ("0" if cost is not None else None),
        "local": one.target.local,
        "fits": one.fits,
        "routes": one.routes,
    }


def _why(one: _Suits, facts: Facts) -> list[str]:
    ability, known = one.target.ability, one.known
    words = {True: "has {}", False: "no {}", None: "{}: not known"}
    why = [words[ability.can(need)].format(need) for need in sorted(facts.needs)]
    why.append("context not known" if ability.context is None else f"context {ability.context:,}")
    why.append("price not known" if one.cost is None else "free" if not one.cost else f"${one.cost:f} a request")
    if known.attempts:
        why.append(f"{known.good:.0%} of {known.attempts} attempts served")
    if known.speed is not None:
        why.append(f"{known.speed:.0f} tokens/s")
    if known is FRESH:
        why.append("not measured yet")
    if one.health is not Standing.WELL:
        why.append(WORDS[one.health])
    if one.fits:
        why.append("fits into memory")
    return why


def _machine(here: Machine) -> MachineState:
    return {
        "memory_gib": None if here.total is None else round(here.total / GIB, 1),
        "available_gib": None if here.available is None else round(here.available / GIB, 1),
        "cores": here.cores,
        "largest_model_b": None if here.available is None else largest(here.available),
    }


def _gib(amount: int | None) -> str:
    return "?" if amount is None else f"{amount / GIB:.1f} GiB"
