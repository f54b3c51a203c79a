"""The calendar rule of a lapse."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.lapse.rule import (
    cutoff,
    has_lapsed,
    is_too_long_ago,
    lapses_on,
    too_long_ago_cutoff,
)
from winback.periods import Period

SIX_MONTHS = Period(months=6)
dates = st.dates(date(1996, 1, 1), date(2040, 12, 31))
periods = st.builds(Period, months=st.integers(1, 30)) | st.builds(Period, days=st.integers(1, 900))


@pytest.mark.parametrize(
    ("bought", "lapses"),
    [
        (date(2025, 8, 28), date(2026, 2, 28)),
        (date(2025, 8, 29), date(2026, 2, 28)),
        (date(2025, 8, 31), date(2026, 2, 28)),
        (date(2027, 8, 31), date(2028, 2, 29)),
        (date(2028, 2, 29), date(2028, 8, 29)),
        (date(2025, 3, 31), date(2025, 9, 30)),
        (date(2025, 12, 31), date(2026, 6, 30)),
        (date(2025, 1, 15), date(2025, 7, 15)),
    ],
    ids=str,
)
def test_six_months_are_calendar_months(bought: date, lapses: date) -> None:
    """The day is clamped to the month's end, leap years included (FACTS.md DS-14)."""
    assert lapses_on(bought, SIX_MONTHS) == lapses
    assert has_lapsed(bought, SIX_MONTHS, lapses)
    assert not has_lapsed(bought, SIX_MONTHS, lapses - timedelta(days=1))


@given(dates, periods, dates)
def test_the_cutoff_is_the_rule_turned_around(bought: date, after: Period, today: date) -> None:
    """Lapsed is the same as bought on or before the cutoff: what the index needs."""
    assert has_lapsed(bought, after, today) is (bought <= cutoff(after, today))


@given(dates, periods, dates)
def test_too_long_ago_is_turned_around_alike(bought: date, until: Period, today: date) -> None:
    """The day on which ``not_after`` is reached still enters."""
    assert is_too_long_ago(bought, until, today) is (bought <= too_long_ago_cutoff(until, today))
    assert not is_too_long_ago(bought, None, today)


@given(dates, periods)
def test_every_day_somebody_may_lapse_is_found(today: date, after: Period) -> None:
    """Cutoffs never go back from one day to the next, so no lapse is ever jumped over."""
    assert cutoff(after, today - timedelta(days=1)) <= cutoff(after, today)
