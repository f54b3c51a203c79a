"""Caps and warm-up: few messages per person, and a slow start."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from winback.delivery.limits import cap_opens_at, days_to_full, warm_up_limit
from winback.policies import Cap

DAY = timedelta(days=1)


def test_an_unused_cap_is_open() -> None:
    """Nothing sent, nothing to wait for."""
    assert cap_opens_at([], Cap(1, 2), NOW) is None


def test_one_per_day_opens_when_the_last_is_24_hours_old() -> None:
    """The day of a cap is rolling, to the second (FACTS.md LAW-23c)."""
    sent = NOW - timedelta(hours=23)

    assert cap_opens_at([sent], Cap(1, 2), NOW) == sent + DAY
    assert cap_opens_at([sent], Cap(1, 2), sent + DAY) is None


def test_two_per_week_wait_for_the_older_of_the_two() -> None:
    """The week of a cap is rolling too, and the later of two waits holds."""
    sent = [NOW - 6 * DAY, NOW - 2 * DAY]

    assert cap_opens_at(sent, Cap(1, 2), NOW) == NOW + DAY


def test_a_cap_of_zero_stays_shut() -> None:
    """Zero is a limit like any other."""
    assert cap_opens_at([], Cap(0, None), NOW) == NOW + 7 * DAY


@given(
    wishes=st.lists(st.integers(1, 60), max_size=40),
    per_day=st.integers(1, 3),
    per_week=st.integers(1, 5),
)
def test_no_rolling_span_ever_holds_more_than_the_cap(
    wishes: list[int], per_day: int, per_week: int
) -> None:
    """Whatever is asked for when, no 24 hours and no 7 days hold more than allowed (P4)."""
    cap, at = Cap(per_day, per_week), NOW
    sent: list[datetime] = []
    for hours in wishes:
        at += timedelta(hours=hours)
        if cap_opens_at(sent, cap, at) is None:
            sent.append(at)

    for start in sent:
        assert sum(start <= other < start + DAY for other in sent) <= per_day
        assert sum(start <= other < start + 7 * DAY for other in sent) <= per_week


def test_the_warm_up_grows_by_half_a_day_to_the_limit() -> None:
    """50 mails on the first day, 1.5 times as many on each that follows (FACTS.md LAW-21)."""
    assert [warm_up_limit(day, 200) for day in range(5)] == [50, 75, 112, 168, 200]
    assert days_to_full(200) == 4
    assert warm_up_limit(10_000, 2_000) == 2_000
    assert warm_up_limit(0, 20) == 20
