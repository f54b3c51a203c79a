"""A time that can be read in two ways is refused, never guessed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.sources.times import AmbiguousDate, TimeReader

LONDON, BERLIN, NEW_YORK = (
    ZoneInfo(name) for name in ("Europe/London", "Europe/Berlin", "America/New_York")
)


def _reader(
    source: ZoneInfo = LONDON, business: ZoneInfo = LONDON, date_format: str | None = None
) -> TimeReader:
    return TimeReader(source_zone=source, business_zone=business, date_format=date_format)


def test_naive_times_are_in_the_sources_zone_and_days_in_the_businesss() -> None:
    """DESIGN.md, section 6: a till in New York, a business that counts days in Berlin."""
    reader = _reader(NEW_YORK, BERLIN)

    assert reader.read("2026-01-31T20:15:30") == ("2026-02-01 01:15:30.000000", "2026-02-01", 0)
    assert reader.read("2026-01-31T20:15:30Z") == ("2026-01-31 20:15:30.000000", "2026-01-31", 0)
    assert reader.read("2026-01-31T20:15+01")[0] == "2026-01-31 19:15:00.000000"
    assert reader.read("2026-02-01") == ("2026-01-31 23:00:00.000000", "2026-02-01", 1)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001 - naive on purpose
    st.sampled_from(["Europe/London", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]),
    st.sampled_from(["Europe/London", "Pacific/Kiritimati", "America/St_Johns"]),
)
def test_the_fast_way_agrees_with_the_plain_one(
    naive: datetime, source: str, business: str
) -> None:
    """Asking the zones once a day only spares time: clock changes and half hours included."""
    zone, own = ZoneInfo(source), ZoneInfo(business)
    naive = naive.replace(microsecond=0)
    aware = naive.replace(tzinfo=zone)

    at, on, _ = _reader(zone, own).read(naive.isoformat())

    assert datetime.fromisoformat(at).replace(tzinfo=UTC) == aware.astimezone(UTC)
    assert on == aware.astimezone(own).date().isoformat()


def test_the_fast_way_holds_through_clock_changes() -> None:
    """The hours around both changes of a year, each quarter of an hour."""
    reader = _reader(LONDON, BERLIN)
    for change in (datetime(2026, 3, 29), datetime(2026, 10, 25)):  # noqa: DTZ001 - naive
        for quarter in range(-200, 200):
            naive = change + timedelta(minutes=15 * quarter)
            aware = naive.replace(tzinfo=LONDON)

            at, on, _ = reader.read(naive.isoformat())

            assert datetime.fromisoformat(at).replace(tzinfo=UTC) == aware.astimezone(UTC)
            assert on == aware.astimezone(BERLIN).date().isoformat()


@pytest.mark.parametrize("written", ["01/02/2026", "1.2.26", "13-02-2026", "01/02/2026 10:00"])
def test_a_date_that_may_be_two_days_is_ambiguous(written: str) -> None:
    """No guessing from other rows: the file's owner says how dates are written."""
    with pytest.raises(AmbiguousDate):
        _reader().read(written)


def test_a_date_format_settles_it() -> None:
    """With the key it is one day, with a time where the format has one."""
    assert _reader(date_format="%d/%m/%Y").read("01/02/2026")[1:] == ("2026-02-01", 1)
    assert _reader(date_format="%m/%d/%Y").read("01/02/2026")[1:] == ("2026-01-02", 1)
    with_time = _reader(date_format="%d.%m.%Y %H:%M").read("01.02.2026 09:30")
    assert with_time == ("2026-02-01 09:30:00.000000", "2026-02-01", 0)
    with pytest.raises(ValueError, match="is not written as"):
        _reader(date_format="%d/%m/%Y").read("2026-02-01")


@pytest.mark.parametrize("written", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_refused(written: str) -> None:
    """A bad row is one row, never the file."""
    with pytest.raises(ValueError, match="is"):
        _reader().read(written)
