"""Calendar periods: month ends, leap years, and the way back."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.periods import Period, add_months, read_period

DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))
PERIODS = st.builds(Period, months=st.integers(0, 36)) | st.builds(
    Period, days=st.integers(0, 1000)
)


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ("6 months", Period(months=6)),
        ("1 month", Period(months=1)),
        ("14 days", Period(days=14)),
        ("2 weeks", Period(days=14)),
        ("1 year", Period(months=12)),
        (" 0  days ", Period()),
    ],
)
def test_a_period_is_read_as_people_write_it(written: str, period: Period) -> None:
    """Days, weeks, months and years."""
    assert read_period(written) == period


@pytest.mark.parametrize("written", ["6", "six months", "6months", "-1 days", "1.5 days", 6, None])
def test_what_is_no_period_is_refused(written: object) -> None:
    """The sentence shows how to write one."""
    with pytest.raises(ValueError, match="write a number and a unit"):
        read_period(written)


@given(PERIODS)
def test_a_period_reads_back_what_it_writes(period: Period) -> None:
    """Stored versions of a campaign load to equal ones."""
    assert read_period(str(period)) == period


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        (date(2025, 8, 31), 6, date(2026, 2, 28)),
        (date(2023, 8, 31), 6, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
    ],
)
def test_months_are_clamped_to_the_end(day: date, months: int, result: date) -> None:
    """31 August and six months is the last of February (FACTS.md DS-14)."""
    assert add_months(day, months) == result


@given(PERIODS, DAYS, DAYS)
def test_adding_a_period_never_changes_an_order(period: Period, one: date, two: date) -> None:
    """Who bought earlier has lapsed earlier or on the same day."""
    first, second = sorted((one, two))

    assert period.after(first) <= period.after(second)


@given(PERIODS, DAYS)
def test_the_latest_start_is_exact(period: Period, until: date) -> None:
    """Up to that day the period is over, from the next one on it is not."""
    day = period.latest_start(until)

    assert period.after(day) <= until
    assert period.after(day + timedelta(days=1)) > until


@given(PERIODS)
def test_only_zero_is_nothing(period: Period) -> None:
    """A period that moves a date is something."""
    assert period.is_nothing == (period.after(date(2026, 1, 1)) == date(2026, 1, 1))
