"""Instants, local days and ``--as-of``."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.clock import (
    ForwardClock,
    SetClock,
    SystemClock,
    at_local,
    day_end,
    day_start,
    local_date,
    read_as_of,
    ten_in_the_morning,
    to_utc,
)
from winback.errors import ConfigError

LONDON = ZoneInfo("Europe/London")
ZONES = st.sampled_from(["Europe/London", "America/New_York", "Pacific/Apia", "Asia/Kolkata"])
DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))


def test_the_system_clock_is_aware_and_in_utc() -> None:
    """Everything below takes aware UTC instants."""
    assert SystemClock().now().tzinfo is UTC


def test_a_set_clock_stands_still() -> None:
    """Replays and the demo move it by hand."""
    instant = datetime(2026, 3, 2, tzinfo=UTC)

    assert SetClock(instant).now() == instant


def test_a_forward_clock_waits_where_the_machine_is_set_back() -> None:
    """What is decided later never happens earlier."""
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    machine = SetClock(noon - timedelta(hours=1))
    clock = ForwardClock(machine, noon)

    told = [clock.now()]
    for minutes in (5, 3, 6):
        machine.set_to(noon + timedelta(minutes=minutes))
        told.append(clock.now())

    assert [at - noon for at in told] == [timedelta(minutes=minutes) for minutes in (0, 5, 5, 6)]


def test_a_naive_time_is_refused() -> None:
    """Without a zone an instant is a guess."""
    with pytest.raises(ValueError, match="naive"):
        to_utc(datetime(2026, 3, 2))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02", datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-07-02", datetime(2026, 7, 2, 22, 59, 59, 999999, tzinfo=UTC)),
        ("2026-07-02T10:00", datetime(2026, 7, 2, 9, tzinfo=UTC)),
        ("2026-07-02 10:00", datetime(2026, 7, 2, 9, tzinfo=UTC)),
        ("2026-07-02T10:00-05:00", datetime(2026, 7, 2, 15, tzinfo=UTC)),
        ("2026-07-02T10:00Z", datetime(2026, 7, 2, 10, tzinfo=UTC)),
    ],
)
def test_as_of_is_read_by_the_rule_of_the_design(text: str, instant: datetime) -> None:
    """With an offset that instant; without, local time; a bare date, the end of that day."""
    assert read_as_of(text, LONDON, day_end) == instant


def test_a_bare_date_is_ten_in_the_morning_for_those_who_write() -> None:
    """10:00 of that day, local."""
    read = read_as_of("2026-07-02", LONDON, ten_in_the_morning)

    assert read == datetime(2026, 7, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-02-30", "2026-03-02T25:00", "02/03/2026"])
def test_what_is_no_time_is_told(text: str) -> None:
    """The sentence shows how to write one."""
    with pytest.raises(ConfigError, match="write 2026-03-01"):
        read_as_of(text, LONDON, day_end)


def test_a_time_that_a_clock_change_skips_is_read_with_the_offset_before() -> None:
    """01:30 on the last Sunday of March does not exist in London."""
    assert at_local(date(2026, 3, 29), time(1, 30), LONDON) == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )


@given(DAYS, ZONES)
def test_a_local_day_begins_and_ends_on_its_date(day: date, zone: str) -> None:
    """Whatever clocks do: first and last instant have the date, and days leave no gap."""
    place = ZoneInfo(zone)
    # Samoa left 30 December 2011 out; its neighbor stands in for it.
    if (zone, day) in (("Pacific/Apia", date(2011, 12, 30)), ("Pacific/Apia", date(2011, 12, 29))):
        return

    assert local_date(day_start(day, place), place) == day
    assert local_date(day_end(day, place), place) == day
    assert day_end(day, place) + timedelta(microseconds=1) == day_start(
        day + timedelta(days=1), place
    )


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=5)))))
def test_utc_is_the_same_instant(instant: datetime) -> None:
    """Turning to UTC moves nothing."""
    if datetime(2, 1, 1, tzinfo=UTC) < instant < datetime(9998, 1, 1, tzinfo=UTC):
        assert to_utc(instant) == instant
