"""What answers have been worth counts in `score` and `ucb`, where it is known, and changes nothing where it is not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.choice.bandit import reward
from proxy.core.choice.policy import Ucb, Weights
from proxy.core.choice.score import Part, scores

SHARE = st.floats(0.0, 1.0)
USUAL = Weights()


@dataclass
class Known:
    """Two targets that differ in nothing else."""

    first: float | None
    second: float | None

    def scores(self, weights: Weights = USUAL) -> list[float]:
        return scores([Part(1, 0, 0, 1.0, 1.0, 0.9, one) for one in (self.first, self.second)], weights)


def test_without_any_rating_the_score_is_made_of_the_other_parts() -> None:
    assert Known(None, None).scores() == Known(None, None).scores(Weights(quality=0.0))


@given(SHARE, SHARE)
def test_the_score_grows_with_what_answers_have_been_worth(one: float, other: float) -> None:
    first, second = Known(one, other).scores()
    assert (first - second) * (one - other) >= 0


@given(SHARE)
def test_a_target_that_was_never_rated_counts_as_the_others_do(rated: float) -> None:
    known, unknown = Known(rated, None).scores()
    assert known == pytest.approx(unknown)


@given(SHARE)
def test_a_reward_stays_between_0_and_1_and_grows_with_quality(quality: float) -> None:
    found = [reward(Ucb(), served=True, seconds=1.0, cost=0.001, quality=one) for one in (0.0, quality, 1.0)]
    assert 0.0 <= found[0] <= found[1] <= found[2] <= 1.0


def test_a_reward_without_a_rating_is_what_it_was() -> None:
    assert reward(Ucb(), served=True, seconds=0.0, cost=0.0) == pytest.approx(1.0)
    assert reward(Ucb(), served=False, seconds=0.0, cost=0.0, quality=1.0) == 0.0
