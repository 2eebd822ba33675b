"""What health promises: a dead target soon costs nothing, and one that asked for time gets it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import health as h
from proxy.core.failure import VERDICTS, FailureKind
from proxy.core.outcome import Ended
from tests.examples import many

NOW = 1000.0


def failed(state: h.Health, now: float, kind: FailureKind = FailureKind.REFUSED, **more: float) -> h.Health:
    return h.on_outcome(state, Ended.FAILED, kind, sent=more.pop("sent", now), now=now, **more)


def served(state: h.Health, now: float, sent: float | None = None) -> h.Health:
    return h.on_outcome(state, Ended.SERVED, None, sent=now if sent is None else sent, now=now)


def opened(kind: FailureKind = FailureKind.REFUSED) -> h.Health:
    state = h.WELL
    for _ in range(h.OPEN_AFTER):
        state = failed(state, NOW, kind)
    return state


def test_five_failures_in_a_row_open_the_circuit() -> None:
    state = h.WELL
    for n in range(h.OPEN_AFTER):
        assert h.standing(state, NOW) is h.Standing.WELL, n
        state = failed(state, NOW)
    assert h.standing(state, NOW) is h.Standing.OPEN


def test_late_failures_are_none_in_a_row_where_what_was_sent_after_them_was_served() -> None:
    """Of a hundred streams some stall; by the time that is known, a pause may have come in which nothing else ends."""
    state = h.WELL
    for n in range(100):
        state = served(state, NOW + 1, sent=NOW + n / 100)
    for n in range(2 * h.OPEN_AFTER):
        state = failed(state, NOW + 4, FailureKind.IDLE_TIMEOUT, sent=NOW + n / 100)
    assert h.standing(state, NOW + 4) is h.Standing.WELL and state.in_a_row == 0
    state = served(h.WELL, NOW + 1, sent=NOW)
    state = served(state, NOW + 2, sent=NOW - 60)
    for n in range(h.OPEN_AFTER):
        assert h.standing(state, NOW + 3) is h.Standing.WELL
        assert state.in_a_row == n
        state = failed(state, NOW + 3, FailureKind.IDLE_TIMEOUT, sent=NOW)
    assert h.standing(state, NOW + 3) is h.Standing.OPEN


def test_every_kind_that_the_table_counts_opens_it_and_no_other_does() -> None:
    for kind, verdict in VERDICTS.items():
        state = opened(kind)
        assert bool(state.opened) == verdict.counts, kind


def test_a_cut_stream_counts_like_a_failure() -> None:
    state = h.WELL
    for _ in range(h.OPEN_AFTER):
        state = h.on_outcome(state, Ended.CUT, FailureKind.TRUNCATED, sent=NOW, now=NOW)
    assert state.opened == 1


def test_half_of_ten_failing_within_the_window_opens_it_though_never_five_in_a_row() -> None:
    state = h.WELL
    for n in range(5):
        state = served(state, NOW + n / 10)
        state = failed(state, NOW + n / 10)
    assert h.standing(state, NOW + 1) is h.Standing.OPEN


def test_the_same_failures_spread_over_a_long_time_do_not_open_it() -> None:
    state = h.WELL
    for n in range(20):
        state = served(state, NOW + n * 20)
        state = failed(state, NOW + n * 20 + 10)
    assert h.standing(state, NOW + 500) is h.Standing.WELL


def test_after_its_time_one_request_probes_and_all_others_stay_away() -> None:
    state = opened()
    later = state.open_until
    assert h.standing(state, later) is h.Standing.PROBE
    state = h.on_send(state, later)
    assert h.standing(state, later) is h.Standing.PROBING


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_opens_it_for_longer() -> None:
    probing = h.on_send(opened(), NOW + 100)
    assert h.standing(served(probing, NOW + 101), NOW + 101) is h.Standing.WELL
    again = failed(probing, NOW + 101)
    assert again.opened == 2
    assert again.open_until - (NOW + 101) > probing.open_until - NOW


def test_a_probe_that_the_client_cancelled_frees_the_place_for_the_next() -> None:
    probing = h.on_send(opened(), NOW + 100)
    state = h.on_outcome(probing, Ended.CANCELLED, FailureKind.CLIENT_GONE, sent=NOW + 100, now=NOW + 101)
    assert h.standing(state, NOW + 101) is h.Standing.PROBE


def test_a_probe_that_ends_in_the_callers_fault_frees_the_place_too() -> None:
    probing = h.on_send(opened(), NOW + 100)
    state = failed(probing, NOW + 101, FailureKind.BAD_REQUEST, sent=NOW + 100)
    assert h.standing(state, NOW + 101) is h.Standing.PROBE


def test_an_answer_that_was_asked_for_before_it_opened_does_not_close_it() -> None:
    assert h.standing(served(opened(), NOW + 1, sent=NOW - 5), NOW + 1) is h.Standing.OPEN


def test_retry_after_is_kept_to_the_second_and_never_for_more_than_an_hour() -> None:
    state = failed(h.WELL, NOW, FailureKind.RATE_LIMITED, retry_after=20.0)
    assert h.standing(state, NOW + 19.9) is h.Standing.COOLING
    assert h.standing(state, NOW + 20.1) is h.Standing.WELL
    long = failed(h.WELL, NOW, FailureKind.RATE_LIMITED, retry_after=1e9)
    assert long.cool_until == NOW + h.COOLDOWN_MAX


def test_a_rate_limit_without_a_time_cools_for_the_tables_default_and_blames_nobody() -> None:
    state = failed(h.WELL, NOW, FailureKind.RATE_LIMITED)
    assert state.cool_until == NOW + VERDICTS[FailureKind.RATE_LIMITED].cooldown
    assert not state.opened


def test_an_answer_sent_for_before_the_cooldown_does_not_end_it() -> None:
    state = failed(h.WELL, NOW, FailureKind.RATE_LIMITED, retry_after=20.0)
    assert h.standing(served(state, NOW + 1, sent=NOW - 1), NOW + 1) is h.Standing.COOLING
    assert h.standing(served(state, NOW + 1, sent=NOW + 0.5), NOW + 1) is h.Standing.WELL


def spent(state: h.Health, now: float, wait: float = 60.0) -> h.Health:
    return h.cooled(state, FailureKind.RATE_LIMITED, now + wait, now, foretold=True)


def test_used_up_limits_hold_until_they_are_reset_or_an_answer_that_was_asked_for_later_comes() -> None:
    state = spent(h.WELL, NOW)
    assert h.standing(state, NOW + 59) is h.Standing.SPENT
    assert h.standing(state, NOW + 60) is h.Standing.WELL
    assert h.standing(served(state, NOW + 1, sent=NOW - 1), NOW + 1) is h.Standing.SPENT
    assert h.standing(served(state, NOW + 1, sent=NOW + 0.5), NOW + 1) is h.Standing.WELL


def test_what_it_asks_for_itself_counts_more_than_what_its_limits_foretell() -> None:
    state = failed(spent(h.WELL, NOW), NOW + 1, FailureKind.RATE_LIMITED, retry_after=2.0)
    assert h.standing(state, NOW + 2.9) is h.Standing.COOLING
    assert h.standing(state, NOW + 3.1) is h.Standing.WELL
    limited = failed(h.WELL, NOW, FailureKind.RATE_LIMITED, retry_after=20.0)
    assert spent(limited, NOW + 1) == limited
    assert h.standing(spent(limited, NOW + 21), NOW + 21) is h.Standing.SPENT


def test_a_probe_whose_own_answer_says_that_limits_are_used_up_closes_the_circuit() -> None:
    """Or its place would never be free again."""
    probing = h.on_send(opened(), NOW + 100)
    state = served(spent(probing, NOW + 101), NOW + 102, sent=NOW + 100)
    assert h.standing(state, NOW + 102) is h.Standing.SPENT
    assert h.standing(state, NOW + 200) is h.Standing.WELL
    limited = failed(probing, NOW + 101, FailureKind.RATE_LIMITED, sent=NOW + 100.5, retry_after=20.0)
    assert h.standing(served(limited, NOW + 102, sent=NOW + 100), NOW + 130) is h.Standing.WELL


def test_an_open_circuit_stays_open_whatever_its_limits() -> None:
    state = spent(opened(), NOW)
    assert h.standing(state, NOW + 1) is h.Standing.OPEN


OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from(list(Ended)),
        st.sampled_from(sorted(FailureKind, key=lambda k: k.value)),
        st.floats(0, 40),
        st.none() | st.floats(0, 7200),
        st.floats(0, 0.99),
        st.none() | st.floats(0, 3600),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=many(200))
@given(OUTCOMES)
def test_whatever_happens_a_target_gets_another_chance_within_an_hour(
    rows: list[tuple[Ended, FailureKind, float, float | None, float, float | None]],
) -> None:
    state, now = h.WELL, NOW
    for ended, kind, gap, retry_after, jitter, foretold in rows:
        now += gap
        state = h.on_send(state, now)
        if foretold is not None:
            state = spent(state, now + 0.001, foretold)
        failure = None if ended is Ended.SERVED else kind
        state = h.on_outcome(
            state,
            ended,
            failure,
            sent=now,
            now=now,
            retry_after=retry_after,
            jitter=jitter,
        )
        assert h.standing(state, now + h.COOLDOWN_MAX + 1) in (h.Standing.WELL, h.Standing.PROBE)
        assert state.good >= 0 and state.bad >= 0


def test_probes_open_a_circuit_and_close_it_however_it_came_to_be_open() -> None:
    down = h.found_down(h.WELL, FailureKind.REFUSED, 100.0)
    assert h.standing(down, 100.0) is h.Standing.OPEN
    assert h.found_down(down, FailureKind.REFUSED, 101.0) is down
    longer = h.found_down(down, FailureKind.REFUSED, down.open_until)
    assert longer.opened == 2 and longer.open_until > down.open_until
    assert h.standing(h.found_up(longer, 120.0), 120.0) is h.Standing.WELL
    assert h.found_up(h.WELL, 120.0) is h.WELL


def test_a_good_probe_does_not_end_what_the_upstream_asked_for() -> None:
    state = h.found_down(h.WELL, FailureKind.REFUSED, 100.0)._replace(cooled_at=100.0, cool_until=200.0)
    after = h.found_up(state, 150.0)
    assert not after.opened
    assert h.standing(after, 150.0) is h.Standing.COOLING
