"""Decent hours: no text at night, wherever its reader may be (P4)."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from holidays import country_holidays
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, region_code_for_number

from winback.delivery.areas import state_of
from winback.delivery.lawful import lawful_hours
from winback.delivery.leases import LEASE
from winback.delivery.outlying import OWN_COUNTRIES, PARTS
from winback.delivery.whereabouts import find_whereabouts, hours_for_texts
from winback.delivery.windows import (
    LONGEST_VALIDITY,
    MARGIN,
    SHORTEST_VALIDITY,
    STANDARD,
    STRICT,
    Place,
    WeekHours,
    Whereabouts,
    is_holiday,
    narrowed,
    next_opening,
    validity_seconds,
    week_hours,
)
from winback.policies import WEEKDAYS, CustomHours, Hours

BRITAIN, STATES = Place("GB"), Place("US")
PLAIN_BRITISH = "+447400123456"
"""Of no island: most numbers that begin with +44 7911 are Guernsey's."""


def whereabouts(*zones: str, places: Iterable[Place] = ()) -> Whereabouts:
    """Give whereabouts in these zones."""
    return Whereabouts(frozenset(zones), frozenset(places))


LONDON = whereabouts("Europe/London", places=[BRITAIN])
NEW_YORK = whereabouts("America/New_York", places=[STATES])
BOTH_COASTS = whereabouts("America/New_York", "America/Los_Angeles", places=[STATES])
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
    apart = whereabouts("Pacific/Guam", "Atlantic/Reykjavik")
    narrow = WeekHours((Hours(time(9), time(10)),) * 7)

    assert next_opening(at("2026-03-02T15:00Z"), apart, narrow) is None
    assert next_opening(at("2026-03-02T15:00Z"), whereabouts(), STANDARD) is None


def hours_of(written: "str | CustomHours") -> WeekHours:
    """Give hours that are not any hour."""
    hours = week_hours(written)  # type: ignore[arg-type]
    assert hours is not None
    return hours


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(CustomHours(profile="standard", holidays=False), id="standard"),
        pytest.param(CustomHours(profile="strict", holidays=False), id="strict"),
        pytest.param(
            CustomHours(mon=Hours(time(9), time(17)), fri=Hours(time(9), time(17)), holidays=False),
            id="own",
        ),
    ],
)
def test_holidays_are_left_out_where_configured(written: CustomHours) -> None:
    """P4: no text on a public holiday of the reader's country, by each profile and own hours."""
    with_them = hours_of(written.model_copy(update={"holidays": True}))
    christmas = at("2026-12-25T10:00Z")

    on, off = (next_opening(christmas, LONDON, hours) for hours in (with_them, hours_of(written)))

    assert on is not None
    assert on.opens_at == at("2026-12-25T09:00Z")
    assert off is not None
    # 28 December is the substitute for Boxing Day, a Saturday that year.
    assert off.opens_at.date() not in {date(2026, 12, day) for day in (25, 28)}


def test_holidays_of_every_place_are_left_out() -> None:
    """Whoever may be in either country is held to the holidays of both (FACTS.md LAW-23b)."""
    both = whereabouts("Europe/London", places=[BRITAIN, Place("US", "IA")])
    hours = hours_of(CustomHours(profile="standard", holidays=False))

    thanksgiving = next_opening(at("2026-11-26T10:00Z"), both, hours)

    assert thanksgiving is not None
    assert thanksgiving.opens_at == at("2026-11-27T09:00Z")


@pytest.mark.parametrize("region", [None, "Greater London", "Kent"])
@pytest.mark.parametrize(
    "day",
    [
        pytest.param(date(2026, 4, 6), id="Easter Monday"),
        pytest.param(date(2026, 8, 31), id="Summer Bank Holiday"),
        pytest.param(date(2026, 12, 28), id="for Boxing Day"),
        pytest.param(date(2026, 11, 30), id="Saint Andrew's, in Scotland"),
    ],
)
def test_the_holidays_of_every_region_count_where_it_is_unknown(
    region: str | None, day: date
) -> None:
    """P4: who may be in Scotland and who may be in England gets no text on either's holidays."""
    where, _ = _find(country="GB", region=region, number=PLAIN_BRITISH)
    without = hours_of(CustomHours(profile="standard", holidays=False))

    opening = next_opening(datetime.combine(day, time(11), tzinfo=UTC), where, without)

    assert opening is not None
    assert opening.opens_at.date() > day


@pytest.mark.parametrize(
    ("country", "written", "day"),
    [
        pytest.param("DE", "Bavaria", date(2026, 6, 4), id="Corpus Christi"),
        pytest.param("DE", None, date(2026, 6, 4), id="Corpus Christi, unknown"),
        pytest.param("DE", "DE-BY", date(2026, 6, 4), id="Corpus Christi, ISO"),
        pytest.param("AU", None, date(2026, 6, 8), id="the King's birthday"),
        pytest.param("ES", "Catalonia", date(2026, 9, 11), id="the day of Catalonia"),
        pytest.param("ES", "Cataluna", date(2026, 9, 11), id="without the accent"),
        pytest.param("FR", "La Réunion", date(2026, 12, 20), id="the abolition of slavery"),
        pytest.param("GB", "Jersey", date(2026, 5, 9), id="the liberation of Jersey"),
    ],
)
def test_a_region_by_another_name_loses_no_holiday(
    country: str, written: str | None, day: date
) -> None:
    """The library knows regions by their own names; of any other all of the country's count."""
    where, _ = _find(country=country, region=written)

    assert any(is_holiday(day, place) for place in where.places)


def test_an_unknown_country_has_no_holidays() -> None:
    """What the library of holidays does not know is no reason to fail."""
    day = date(2026, 7, 4)

    assert not is_holiday(day, Place("ZZ"))
    assert not is_holiday(day, Place("ZZ", "Nowhere"))
    assert is_holiday(day, Place("US", "Nowhere"))


def test_no_run_of_holidays_hides_the_next_opening() -> None:
    """With every region's holidays left out, too, a decent hour of the next two weeks is found."""
    hours = hours_of(CustomHours(profile="standard", holidays=False))

    for country in ("GB", "US", "DE", "IT", "IN", "RU", "IR", "CN"):
        where = whereabouts("Europe/London", places=[Place(country)])
        for week in range(53):
            now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(weeks=week)
            assert next_opening(now, where, hours) is not None


def test_a_region_has_its_own_holidays() -> None:
    """Epiphany is a holiday in Bavaria, not in Berlin."""
    epiphany = date(2026, 1, 6)

    assert is_holiday(epiphany, Place("DE", "BY"))
    assert not is_holiday(epiphany, Place("DE", "BE"))


def test_a_profile_may_be_changed_for_single_weekdays() -> None:
    """What is written goes before the profile; null closes a day; the rest stays."""
    hours = hours_of(CustomHours(profile="standard", mon=Hours(time(10), time(12)), sun=None))

    assert hours.days[0] == Hours(time(10), time(12))
    assert hours.days[1:6] == STANDARD.days[1:6]
    assert hours.days[6] is None
    assert hours.is_own
    assert not hours_of(CustomHours(profile="strict", holidays=False)).is_own


def test_any_hour_is_no_hours() -> None:
    """Mails leave at any hour unless hours are written for them."""
    assert week_hours("any") is None


def test_narrowed_hours_lie_in_both() -> None:
    """A day that either leaves out is out; so is one whose hours do not meet."""
    early = WeekHours((Hours(time(6), time(9)), Hours(time(8), time(21)), *[None] * 5))

    assert narrowed(early, STANDARD).days == (None, Hours(time(9), time(20)), *[None] * 5)


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
    opening = next_opening(now, whereabouts(*zones), hours)
    if opening is None:
        return
    leaves = max(now, opening.opens_at)
    validity = timedelta(seconds=validity_seconds(leaves, opening))

    assert SHORTEST_VALIDITY - MARGIN <= validity <= LONGEST_VALIDITY
    for zone in zones:
        starts, ends = (x.astimezone(ZoneInfo(zone)) for x in (leaves, leaves + validity))
        span = hours.days[starts.weekday()]
        assert span is not None
        assert span.opens <= starts.time()
        assert starts.date() == ends.date()
        assert ends.time() <= span.closes


def test_the_validity_leaves_room_for_a_call_that_comes_late() -> None:
    """A worker may stand still for its lease between the look and the call (FACTS.md TW-4)."""
    now = at("2026-03-02T19:00Z")
    opening = next_opening(now, LONDON, STANDARD)

    assert opening is not None
    assert LEASE < MARGIN < SHORTEST_VALIDITY
    assert now + timedelta(seconds=validity_seconds(now, opening)) + MARGIN == opening.closes_at


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
    where, is_known = _find(number=PLAIN_BRITISH)

    assert "Europe/London" in where.zones
    assert is_known


def test_where_nothing_is_known_the_strict_hours_hold() -> None:
    """Ignorance narrows the hours, but never those that the business wrote itself."""
    where, is_known = _find(number="not a number")
    own = hours_of(CustomHours(mon=Hours(time(8), time(21))))
    without_holidays = hours_of(CustomHours(profile="standard", holidays=False))

    assert "Europe/London" in where.zones
    assert not is_known
    assert hours_for_texts(where, STANDARD, is_known=False) == STRICT
    assert hours_for_texts(where, own, is_known=False) == own
    assert not hours_for_texts(where, without_holidays, is_known=False).on_holidays


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"country": "US", "region": "RI"}, id="address"),
        pytest.param({"country": "US", "region": "Rhode Island"}, id="full name"),
        pytest.param({"number": "+14015550123"}, id="area code"),
        pytest.param({"time_zone": "America/New_York", "number": "+14015550123"}, id="zone"),
    ],
)
def test_rhode_island_has_the_strict_hours(known: dict[str, str]) -> None:
    """A state whose law is narrower than the standard hours gets the strict ones (LAW-23)."""
    where, is_known = _find(**known)

    assert hours_for_texts(where, STANDARD, is_known=is_known) == STRICT
    assert hours_for_texts(LONDON, STANDARD, is_known=True) is STANDARD


@pytest.mark.parametrize(
    ("region", "day", "opens", "closes"),
    [
        pytest.param("NY", 0, 8, 21, id="federal"),
        pytest.param(None, 0, 9, 18, id="any state"),
        pytest.param("FL", 0, 8, 20, id="Florida"),
        pytest.param("Washington", 6, 8, 20, id="Washington"),
        pytest.param("CT", 5, 9, 20, id="Connecticut"),
        pytest.param("TX", 5, 9, 21, id="Texas"),
        pytest.param("TX", 6, 12, 21, id="Texas on Sunday"),
        pytest.param("RI", 5, 10, 17, id="Rhode Island on Saturday"),
    ],
)
def test_own_hours_are_cut_to_the_law(
    region: str | None, day: int, opens: int, closes: int
) -> None:
    """What a business writes itself never goes beyond the law of the reader's state (LAW-23)."""
    where, _ = _find(country="US", region=region)
    all_day = Hours(time(0), time(23, 59))
    own = hours_of(CustomHours(**dict.fromkeys(WEEKDAYS, all_day)))

    assert hours_for_texts(where, own, is_known=True).days[day] == Hours(time(opens), time(closes))


@pytest.mark.parametrize(
    ("known", "opens", "closes"),
    [
        pytest.param({"country": "US", "region": "FL", "number": "+13055550123"}, 8, 20, id="US"),
        pytest.param(
            {"country": "GB", "region": "England", "number": PLAIN_BRITISH}, 0, 23, id="GB"
        ),
    ],
)
def test_a_region_and_a_number_of_the_same_country_count_together(
    known: dict[str, str], opens: int, closes: int
) -> None:
    """A country with and without its part are two places, and each has its say (LAW-23b)."""
    where, _ = _find(**known)
    own = hours_of(CustomHours(**dict.fromkeys(WEEKDAYS, Hours(time(0), time(23)))))

    assert hours_for_texts(where, own, is_known=True).days[0] == Hours(time(opens), time(closes))


@pytest.mark.parametrize(
    ("known", "day", "opens", "closes"),
    [
        pytest.param({"number": "+13055550123"}, 0, 8, 20, id="Miami"),
        pytest.param({"number": "+13055550123", "country": "US"}, 0, 8, 20, id="Miami, US"),
        pytest.param(
            {"number": "+13055550123", "country": "US", "region": "NY"}, 0, 8, 20, id="and NY"
        ),
        pytest.param({"number": "+17135550123"}, 6, 12, 21, id="Houston on Sunday"),
        pytest.param({"number": "+12065550123"}, 0, 8, 20, id="Seattle"),
        pytest.param({"number": "+12125550123", "country": "US"}, 0, 8, 21, id="New York"),
        pytest.param({"number": "+18005550123"}, 0, 9, 18, id="of no state"),
        pytest.param({"number": PLAIN_BRITISH, "country": "US"}, 0, 9, 18, id="abroad"),
        pytest.param({"number": "+16135550123"}, 0, 0, 23, id="Canada"),
    ],
)
def test_a_number_is_held_to_the_law_of_its_area_code(
    known: dict[str, str], day: int, opens: int, closes: int
) -> None:
    """Florida presumes that its area codes live there; who may be anywhere has the strictest."""
    where, _ = _find(**known)
    own = hours_of(CustomHours(**dict.fromkeys(WEEKDAYS, Hours(time(0), time(23)))))

    assert hours_for_texts(where, own, is_known=True).days[day] == Hours(time(opens), time(closes))


def test_the_area_codes_are_those_of_the_library() -> None:
    """The table is ours; a new code of a later version of the library is missed here (LAW-23b)."""
    from phonenumbers.geocoder import description_for_number  # noqa: PLC0415 - seconds to load

    names = {
        name: state
        for state, names in country_holidays("US").get_subdivision_aliases().items()
        for name in names
    } | {"Washington State": "WA", "Washington D.C.": "DC"}
    for code in range(200, 1000):
        number = PhoneNumber(country_code=1, national_number=code * 10**7 + 5550123)
        if region_code_for_number(number) == "US":
            # As in "Miami, FL", or "Florida" where the code has no city.
            told = description_for_number(number, "en").rpartition(", ")[2]
            assert state_of(str(code)) == names.get(told, told or None)
        else:
            assert state_of(str(code)) is None


@pytest.mark.parametrize("state", ["AL", "CT", "FL", "MD", "MS", "NJ", "OK", "TX", "WA", "RI"])
def test_the_profiles_lie_within_the_law(state: str) -> None:
    """Standard is lawful in every state but Rhode Island, strict there too (LAW-23)."""
    by_law = lawful_hours(Place("US", state))
    profile = STRICT if state == "RI" else STANDARD

    assert by_law is not None
    assert narrowed(profile, by_law) == profile
    assert narrowed(STRICT, by_law) == STRICT


def test_a_number_abroad_is_held_to_its_country_too() -> None:
    """A British address with an American number: the law and the holidays of both."""
    where, _ = _find(country="GB", number="+12125550123")

    assert where.places == {BRITAIN, Place("US", "NY")}
    assert where.zones == {"Europe/London", "America/New_York"}


def test_regions_are_known_by_their_full_names() -> None:
    """California means the Pacific coast however it is written."""
    for written in ("CA", "ca", "California", " california "):
        where, _ = _find(country="US", region=written)
        assert where.zones == {"America/Los_Angeles"}


def _changes(zone: str, year: int = 2026) -> list[datetime]:
    """Give the instants of the year at which the clocks of a zone are changed."""
    tz, found = ZoneInfo(zone), []
    hour = datetime(year, 1, 1, tzinfo=UTC)
    while hour.year == year:
        after = hour + timedelta(minutes=30)
        if hour.astimezone(tz).utcoffset() != after.astimezone(tz).utcoffset():
            found.append(after)
        hour = after
    return found


def _lies_in(at: datetime, zone: str, hours: WeekHours) -> bool:
    """Say by the clock on the wall whether an instant lies in the hours of a zone."""
    wall = at.astimezone(ZoneInfo(zone))
    span = hours.days[wall.weekday()]
    return span is not None and span.opens <= wall.time().replace(tzinfo=None) < span.closes


CHANGING = [
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
]
ODD_HOURS = [
    pytest.param(STANDARD, id="standard"),
    pytest.param(WeekHours((Hours(time(0, 30), time(2, 30)),) * 7), id="half past"),
    pytest.param(WeekHours((Hours(time(1, 15), time(3, 15)),) * 7), id="quarter past"),
    pytest.param(WeekHours((Hours(time(0), time(23, 59)),) * 7), id="nearly all day"),
]


@pytest.mark.parametrize("hours", ODD_HOURS)
@pytest.mark.parametrize("zone", CHANGING)
def test_every_minute_around_both_clock_changes(zone: str, hours: WeekHours) -> None:
    """P4: by the clock on the wall, a text and its validity lie in the hours, whatever it does."""
    changes = _changes(zone)
    assert len(changes) == 2

    for change in changes:
        for minute in range(-26 * 60, 26 * 60, 7):
            now = change + timedelta(minutes=minute)
            opening = next_opening(now, whereabouts(zone), hours)
            assert opening is not None
            leaves = max(now, opening.opens_at)
            validity = timedelta(seconds=validity_seconds(leaves, opening))
            steps = -(-int(validity.total_seconds()) // 900)
            for part in (leaves + number * timedelta(minutes=15) for number in range(steps)):
                assert _lies_in(part, zone, hours)
            assert _lies_in(leaves + validity - timedelta(seconds=1), zone, hours)


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        # 25 October 2026: 01:00 to 02:00 comes twice in London, first as summer time.
        pytest.param("2026-10-24T23:00Z", "2026-10-25T01:30Z", "2026-10-25T03:00Z", id="twice"),
        # 29 March 2026: 01:00 to 02:00 does not come.
        pytest.param("2026-03-28T23:00Z", "2026-03-29T01:30Z", "2026-03-29T02:00Z", id="never"),
    ],
)
def test_a_time_that_comes_twice_or_never_is_read_carefully(
    now: str, opens: str, closes: str
) -> None:
    """Hours from 01:30 begin at the second 01:30, or after the gap; never a minute early."""
    hours = WeekHours((Hours(time(1, 30), time(3)),) * 7)

    opening = next_opening(at(now), LONDON, hours)

    assert opening is not None
    assert (opening.opens_at, opening.closes_at) == (at(opens), at(closes))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Auckland"])
def test_every_minute_around_the_border_of_the_day(zone: str) -> None:
    """The weekday is the reader's, on both sides of the date line: Sunday begins at noon."""
    midnight = datetime(2026, 3, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    for minute in range(-24 * 60, 24 * 60):
        now = midnight + timedelta(minutes=minute)
        opening = next_opening(now, whereabouts(zone), STANDARD)
        assert opening is not None
        leaves = max(now, opening.opens_at)
        assert _lies_in(leaves, zone, STANDARD)
        assert opening.opens_at.astimezone(ZoneInfo(zone)).hour in (9, 12)


MAINLAND = "+12025550123"
EVERY_HOUR = [at("2026-03-02T00:00Z") + timedelta(minutes=30 * half) for half in range(2 * 24 * 8)]


@pytest.mark.parametrize(
    ("country", "region", "zone"),
    [
        pytest.param("US", "GU", "Pacific/Guam", id="Guam"),
        pytest.param("US", "US-GU", "Pacific/Guam", id="ISO"),
        pytest.param("GU", None, "Pacific/Guam", id="Guam as a country"),
        pytest.param("US", "Northern Mariana Islands", "Pacific/Saipan", id="Saipan"),
        pytest.param("US", "as", "Pacific/Pago_Pago", id="Samoa"),
        pytest.param("US", "PR", "America/Puerto_Rico", id="Puerto Rico"),
        pytest.param("US", "U.S. Virgin Islands", "America/St_Thomas", id="Virgin Islands"),
        pytest.param("US", "Palau", "Pacific/Palau", id="Palau"),
        pytest.param("US", "AP", "Asia/Tokyo", id="Japan"),
        pytest.param("US", "AP", "Pacific/Guam", id="a base on Guam"),
        pytest.param("US", "AE", "Europe/Berlin", id="Germany"),
        pytest.param("US", "AE", "Asia/Bahrain", id="Bahrain"),
        pytest.param("US", "Armed Forces Americas", "America/Bogota", id="Colombia"),
        pytest.param("US", "Tamuning", "Pacific/Guam", id="a town"),
        pytest.param("US", "Tamuning", "America/New_York", id="an unknown town"),
        pytest.param("US", None, "Pacific/Honolulu", id="no region"),
        pytest.param("US", " ", "America/Puerto_Rico", id="an empty region"),
        pytest.param("FR", "La Reunion", "Indian/Reunion", id="Reunion"),
        pytest.param("FR", "974", "Indian/Reunion", id="Reunion's number"),
        pytest.param("FR", "Guyane", "America/Cayenne", id="Guyane"),
        pytest.param("NL", "Curaçao", "America/Curacao", id="Curacao"),
        pytest.param("AU", "Norfolk Island", "Pacific/Norfolk", id="Norfolk"),
        pytest.param("AU", "Somewhere", "Australia/Perth", id="an unknown region"),
        pytest.param("CA", None, "America/Vancouver", id="Canada"),
    ],
)
def test_no_hour_is_night_wherever_an_address_may_be(
    country: str, region: str | None, zone: str
) -> None:
    """P4, LAW-23b: parts of a country that lie apart, the military's post, unknown regions."""
    where, is_known = _find(country=country, region=region, number=MAINLAND)
    hours = hours_for_texts(where, STANDARD, is_known=is_known)

    for now in EVERY_HOUR:
        opening = next_opening(now, where, hours)
        assert opening is None or _lies_in(max(now, opening.opens_at), zone, STANDARD)


@pytest.mark.parametrize(
    ("region", "number", "can_be_reached"),
    [
        pytest.param("GU", MAINLAND, True, id="Guam and Washington"),
        pytest.param("GU", "+16715550123", True, id="Guam"),
        pytest.param("AP", "+16715550123", True, id="a base on Guam"),
        pytest.param("AE", MAINLAND, True, id="a base in Europe"),
        pytest.param(None, MAINLAND, True, id="no region"),
        pytest.param(None, "unreadable", True, id="any state, strict"),
        # Of these no hour is decent everywhere: a mail goes instead.
        pytest.param("AP", MAINLAND, False, id="the Pacific and Washington"),
        pytest.param("Tamuning", MAINLAND, False, id="anywhere"),
    ],
)
def test_who_can_be_reached_at_a_decent_hour_is(
    *, region: str | None, number: str, can_be_reached: bool
) -> None:
    """Care has its price, and this is it: no text where no hour fits all zones (LAW-23b)."""
    where, is_known = _find(country="US", region=region, number=number)
    hours = hours_for_texts(where, STANDARD, is_known=is_known)

    for month in (1, 7):
        opening = next_opening(datetime(2026, month, 5, tzinfo=UTC), where, hours)
        assert (opening is not None) is can_be_reached


def test_a_region_without_a_country_is_one_of_the_businesss() -> None:
    """An American shop that knows no countries may yet have readers on Guam (LAW-23b)."""
    where, _ = find_whereabouts(
        time_zone=None,
        country=None,
        region="GU",
        number=MAINLAND,
        business_country="US",
        business_zone="America/Chicago",
    )

    assert where.zones == {"Pacific/Guam", "America/New_York"}


@pytest.mark.parametrize("known", [{"country": "US", "region": "GU"}, {"country": "PR"}])
def test_federal_law_holds_outside_the_states(known: dict[str, str]) -> None:
    """47 CFR 64.1200 binds there, and no state's law does (LAW-23)."""
    where, _ = _find(**known)
    own = hours_of(CustomHours(**dict.fromkeys(WEEKDAYS, Hours(time(0), time(23)))))

    assert hours_for_texts(where, own, is_known=True).days[0] == Hours(time(8), time(21))
    assert hours_for_texts(where, STANDARD, is_known=True) is STANDARD


@pytest.mark.parametrize("country", ["AU", "CN", "DK", "FR", "GB", "NL", "NZ", "US"])
def test_every_part_that_lies_apart_has_a_zone(country: str) -> None:
    """A part without one would count for nothing, and the number alone would decide (LAW-23b)."""
    parts = [code for code in PARTS[country] if country != "US" or code in OWN_COUNTRIES]

    for code in parts:
        as_region, is_known = _find(country=country, region=code)
        as_country, _ = _find(country=code)
        assert is_known
        assert as_region.zones == as_country.zones
        assert as_region.places == as_country.places
