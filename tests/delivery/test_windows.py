"""Decent hours: no text at night, wherever its reader may be (P4)."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.delivery.whereabouts import find_whereabouts, hours_for
from winback.delivery.windows import (
    LONGEST_VALIDITY,
    SHORTEST_VALIDITY,
    STANDARD,
    STRICT,
    WeekHours,
    Whereabouts,
    is_holiday,
    next_opening,
    validity_seconds,
    week_hours,
)
from winback.settings import CustomHours, Hours

LONDON = Whereabouts(frozenset({"Europe/London"}), "GB")
NEW_YORK = Whereabouts(frozenset({"America/New_York"}), "US")
BOTH_COASTS = Whereabouts(frozenset({"America/New_York", "America/Los_Angeles"}), "US")
SOME_ZONES = [
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
]


def at(text: str) -> datetime:
    """Read an instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        pytest.param("2026-03-02T10:00Z", "2026-03-02T09:00Z", "2026-03-02T20:00Z", id="open"),
        pytest.param("2026-03-02T09:00Z", "2026-03-02T09:00Z", "2026-03-02T20:00Z", id="first"),
        pytest.param("2026-03-02T20:00Z", "2026-03-03T09:00Z", "2026-03-03T20:00Z", id="closed"),
        pytest.param("2026-03-02T19:56Z", "2026-03-03T09:00Z", "2026-03-03T20:00Z", id="too late"),
        pytest.param("2026-03-01T10:00Z", "2026-03-01T12:00Z", "2026-03-01T20:00Z", id="Sunday"),
        # The clocks go forward on 29 March, a Sunday, and back on 25 October.
        pytest.param("2026-03-28T21:00Z", "2026-03-29T11:00Z", "2026-03-29T19:00Z", id="spring"),
        pytest.param("2026-10-24T21:00Z", "2026-10-25T12:00Z", "2026-10-25T20:00Z", id="autumn"),
    ],
)
def test_standard_hours_in_one_zone(now: str, opens: str, closes: str) -> None:
    """Monday to Saturday 9 to 20, Sunday 12 to 20, in local time (FACTS.md LAW-23)."""
    opening = next_opening(at(now), LONDON, STANDARD)

    assert opening is not None
    assert (opening.opens_at, opening.closes_at) == (at(opens), at(closes))


def test_hours_hold_in_every_zone_at_once() -> None:
    """A number of both coasts is written to when it is day on both (FACTS.md LAW-23b)."""
    opening = next_opening(at("2026-03-02T15:00Z"), BOTH_COASTS, STANDARD)

    assert opening is not None
    assert opening.opens_at == at("2026-03-02T09:00-08:00")
    assert opening.closes_at == at("2026-03-02T20:00-05:00")


def test_zones_that_share_no_decent_hour_never_open() -> None:
    """Guam and Hawaii have no common daytime of enough length: the text is not sent."""
    apart = Whereabouts(frozenset({"Pacific/Guam", "Atlantic/Reykjavik"}), "US")
    narrow = WeekHours((Hours(time(9), time(10)),) * 7)

    assert next_opening(at("2026-03-02T15:00Z"), apart, narrow) is None
    assert next_opening(at("2026-03-02T15:00Z"), Whereabouts(frozenset(), "US"), STANDARD) is None


def test_own_hours_may_leave_out_holidays() -> None:
    """Hours that the business wrote leave out holidays where it asked so."""
    written = CustomHours(fri=Hours(time(9), time(17)), mon=Hours(time(9), time(17)))
    without = week_hours(written.model_copy(update={"holidays": False}))

    on = next_opening(at("2026-12-25T10:00Z"), LONDON, week_hours(written))
    off = next_opening(at("2026-12-25T10:00Z"), LONDON, without)

    assert on is not None
    assert on.opens_at == at("2026-12-25T09:00Z")
    # 28 December is the substitute for Boxing Day, a Saturday that year, then New Year's Day.
    assert off is not None
    assert off.opens_at == at("2027-01-04T09:00Z")


def test_an_unknown_country_or_region_has_no_or_only_national_holidays() -> None:
    """What the library of holidays does not know is no reason to fail."""
    day = at("2026-07-04T12:00Z").date()

    assert not is_holiday(day, "ZZ")
    assert is_holiday(day, "US", "Nowhere")


@given(
    minutes=st.integers(0, 366 * 24 * 60),
    zones=st.frozensets(st.sampled_from(SOME_ZONES), min_size=1, max_size=3),
    hours=st.sampled_from([STANDARD, STRICT]),
)
def test_a_text_and_its_validity_lie_in_the_hours_of_every_zone(
    minutes: int, zones: frozenset[str], hours: WeekHours
) -> None:
    """From leaving to the end of its validity it is day in every zone (FACTS.md TW-3, TW-4)."""
    now = at("2026-01-01T00:00Z") + timedelta(minutes=minutes)
    opening = next_opening(now, Whereabouts(zones, "US"), hours)
    if opening is None:
        return
    leaves = max(now, opening.opens_at)
    validity = timedelta(seconds=validity_seconds(leaves, opening))

    assert SHORTEST_VALIDITY <= validity <= LONGEST_VALIDITY
    for zone in zones:
        starts, ends = (x.astimezone(ZoneInfo(zone)) for x in (leaves, leaves + validity))
        span = hours.days[starts.weekday()]
        assert span is not None
        assert span.opens <= starts.time()
        assert starts.date() == ends.date()
        assert ends.time() <= span.closes


def _find(**known: str | None) -> tuple[Whereabouts, bool]:
    unknown = {"time_zone": None, "country": None, "region": None, "number": None}
    return find_whereabouts(
        **(unknown | known),
        business_country="GB",
        business_zone="Europe/London",
    )


def test_an_explicit_zone_settles_it() -> None:
    """A zone that the customer has given beats address and number (FACTS.md LAW-23b)."""
    where, is_known = _find(time_zone="Asia/Tokyo", country="US", number="+12125550123")

    assert where.zones == {"Asia/Tokyo"}
    assert is_known


def test_address_and_number_count_together() -> None:
    """A Californian address with a New York number is held to both."""
    where, _ = _find(country="US", region="ca", number="+12125550123")

    assert where.zones == {"America/Los_Angeles", "America/New_York"}


def test_a_number_alone_brings_every_zone_it_could_mean() -> None:
    """A British mobile number means London, and the islands on the same time."""
    where, is_known = _find(number="+447911123456")

    assert "Europe/London" in where.zones
    assert is_known


def test_where_nothing_is_known_the_strict_hours_hold() -> None:
    """Ignorance narrows the hours, but never those that the business wrote itself."""
    where, is_known = _find(number="not a number")
    own = week_hours(CustomHours(mon=Hours(time(8), time(21))))

    assert "Europe/London" in where.zones
    assert not is_known
    assert hours_for(where, STANDARD, is_known=False) is STRICT
    assert hours_for(where, own, is_known=False) is own


def test_rhode_island_has_the_strict_hours() -> None:
    """A state whose law is narrower than the standard hours gets the strict ones (LAW-23)."""
    where, is_known = _find(country="US", region="RI")

    assert hours_for(where, STANDARD, is_known=is_known) is STRICT
    assert hours_for(LONDON, STANDARD, is_known=True) is STANDARD
