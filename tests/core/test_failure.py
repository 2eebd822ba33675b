"""The verdict table, row by row as the design states it."""

from __future__ import annotations

import pytest

from proxy.core.failure import VERDICTS, Blame, Elsewhere, Failure, FailureKind, most_useful, wait_named

K = FailureKind
YES, NO = Elsewhere.YES, Elsewhere.NO

# kinds, elsewhere, blame, feeds the circuit, cools for (s), maybe billed, what the client gets if it was the last
ROWS = [
    ((K.TOTAL_TIMEOUT,), YES, Blame.NOBODY, False, 0, True, 504),
    ((K.DIVERGED,), YES, Blame.NOBODY, False, 0, True, 502),
    ((K.REFUSED, K.DNS, K.TLS), YES, Blame.TARGET, True, 0, False, 502),
    ((K.CONNECT_TIMEOUT,), YES, Blame.TARGET, True, 0, False, 504),
    ((K.FIRST_TIMEOUT, K.IDLE_TIMEOUT, K.STALLED), YES, Blame.TARGET, True, 0, True, 504),
    ((K.RESET, K.EMPTY_REPLY), YES, Blame.TARGET, True, 0, True, 502),
    ((K.TRUNCATED, K.MALFORMED, K.WRONG_TYPE, K.OVERSIZE, K.EMPTY_ANSWER), YES, Blame.TARGET, True, 0, True, 502),
    ((K.RATE_LIMITED,), YES, Blame.NOBODY, False, 5, False, 429),
    ((K.QUOTA,), YES, Blame.CONFIG, False, 900, False, 429),
    ((K.KEY_REFUSED,), YES, Blame.CONFIG, False, 300, False, 502),
    ((K.NOT_FOUND, K.REDIRECT), YES, Blame.CONFIG, False, 300, False, 502),
    ((K.OVERLOADED,), YES, Blame.TARGET, True, 0, False, 503),
    ((K.LOADING,), YES, Blame.NOBODY, False, 0, False, 503),
    ((K.SERVER_ERROR, K.WORKER_CRASHED), YES, Blame.TARGET, True, 0, False, 502),
    ((K.CONTEXT_LENGTH, K.UNSUPPORTED), YES, Blame.NOBODY, False, 0, False, 400),
    ((K.TOOL_USE,), YES, Blame.NOBODY, False, 0, True, 400),
    ((K.BAD_REQUEST,), NO, Blame.CLIENT, False, 0, False, 400),
    ((K.FILTERED,), Elsewhere.BY_ROUTE, Blame.NOBODY, False, 0, False, 400),
    ((K.CLIENT_GONE,), NO, Blame.NOBODY, False, 0, False, 499),
    ((K.BUSY,), YES, Blame.US, False, 0, False, 503),
    ((K.DRAINING,), NO, Blame.US, False, 0, False, 503),
    ((K.NOT_AVAILABLE,), YES, Blame.CONFIG, False, 0, False, 503),
    ((K.BUDGET,), YES, Blame.CLIENT, False, 0, False, 429),
    ((K.UNBOUNDED,), YES, Blame.CLIENT, False, 0, False, 400),
    ((K.INTERNAL,), NO, Blame.US, False, 0, False, 500),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "+".join(kind.value for kind in row[0]))
def test_each_row_stands_as_designed(
    row: tuple[tuple[FailureKind, ...], Elsewhere, Blame, bool, float, bool, int],
) -> None:
    kinds, *expected = row
    for kind in kinds:
        v = VERDICTS[kind]
        assert [v.elsewhere, v.blame, v.counts, v.cooldown, v.maybe_billed, v.status] == expected, kind


def test_every_kind_has_exactly_one_row() -> None:
    named = [kind for row in ROWS for kind in row[0]]
    assert sorted(named, key=str) == sorted(FailureKind, key=str)
    assert set(VERDICTS) == set(FailureKind)


def test_a_refused_key_of_ours_never_looks_like_the_callers() -> None:
    assert all(verdict.status not in (401, 403) for verdict in VERDICTS.values())


def test_nothing_that_the_target_did_not_do_feeds_its_circuit() -> None:
    assert all(verdict.blame is Blame.TARGET for verdict in VERDICTS.values() if verdict.counts)


def test_config_failures_are_never_tried_again_at_the_same_target() -> None:
    assert not any(verdict.again for verdict in VERDICTS.values() if verdict.blame is Blame.CONFIG)


def test_an_outage_is_never_told_as_too_little_money() -> None:
    spent, rest = (K.BUDGET, K.UNBOUNDED), set(FailureKind) - {K.BUDGET, K.UNBOUNDED}
    assert max(VERDICTS[kind].rank for kind in spent) < min(VERDICTS[kind].rank for kind in rest)


def test_of_several_failures_the_most_useful_is_told() -> None:
    refused, limited, context = (Failure(kind, "") for kind in (K.REFUSED, K.RATE_LIMITED, K.CONTEXT_LENGTH))
    key = Failure(K.KEY_REFUSED, "")
    assert most_useful([refused, key]) is refused
    assert most_useful([refused, limited, key]) is limited
    assert most_useful([limited, context, refused]) is context
    assert most_useful([]) is None


def test_of_equals_the_first_is_told() -> None:
    first, second = Failure(K.RESET, "one"), Failure(K.EMPTY_REPLY, "two")
    assert most_useful([first, second]) is first


def test_of_equals_one_that_names_what_to_change_goes_before_one_that_does_not() -> None:
    """A target without a price is nothing that a caller can mend; a missing `max_tokens` is."""
    unpriced = Failure(K.UNBOUNDED, "no price", code="price_unknown", ours=True)
    unsaid, later = (Failure(K.UNBOUNDED, name, param="max_tokens", ours=True) for name in ("one", "two"))
    assert most_useful([unpriced, unsaid, later]) is unsaid
    assert most_useful([unsaid, unpriced]) is unsaid


def test_the_smallest_named_wait_is_the_earliest_time_worth_trying() -> None:
    waits = [Failure(K.RATE_LIMITED, "", retry_after=wait) for wait in (7.0, None, 3.0)]
    assert wait_named(waits) == 3.0
    assert wait_named([Failure(K.RATE_LIMITED, "")]) is None
    assert wait_named([Failure(K.RATE_LIMITED, "", retry_after=0.0), *waits]) == 0.0
