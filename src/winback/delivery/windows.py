"""Decent hours, pure: when a message may leave, in every zone in which its reader may be.

FACTS.md LAW-23 gives the hours, LAW-23b the zones, TW-3 and TW-4 the validity: the provider's own
queue time must end inside the window too, else a text queued at 19:00 goes out at night.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from winback.clock import day_start
from winback.policies import WEEKDAYS, CustomHours, Hours

LONGEST_VALIDITY: Final = timedelta(hours=4)
"""How long a text may wait at the provider (FACTS.md TW-3)."""

SHORTEST_VALIDITY: Final = timedelta(minutes=5)
"""With less left of the window a text would only expire in the provider's queue."""

MARGIN: Final = timedelta(seconds=90)
"""A call may come as long after the look at the clock as a lease holds; and clocks differ."""

_DAYS_AHEAD: Final = 15
"""How far the next opening is looked for: longer than any run of holidays."""

_DAY: Final = Hours(time(9), time(20))
_SUNDAY: Final = Hours(time(12), time(20))
_STRICT_DAY: Final = Hours(time(9), time(18))
_STRICT_SATURDAY: Final = Hours(time(10), time(17))
_STRICT_SUNDAY: Final = Hours(time(12), time(17))


@dataclass(frozen=True, slots=True)
class WeekHours:
    """The hours of each weekday, Monday first; None where nothing may leave that day."""

    days: tuple[Hours | None, ...]
    on_holidays: bool = True
    is_own: bool = False
    """Whether the business wrote any of them itself; else they are one of the two profiles."""


STANDARD: Final = WeekHours((*[_DAY] * 6, _SUNDAY))
STRICT: Final = WeekHours((*[_STRICT_DAY] * 5, _STRICT_SATURDAY, _STRICT_SUNDAY))
_PROFILES: Final = {"standard": STANDARD, "strict": STRICT, None: WeekHours((None,) * 7)}


@dataclass(frozen=True, slots=True)
class Place:
    """A country, and the part of it that is known: whose holidays and whose law hold."""

    country: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the reader may be: all of the zones count, and all of the places.

    No zone at all means that no hour is decent.
    """

    zones: frozenset[str]
    places: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True)
class Opening:
    """A span in which a message may leave and be over: start inclusive, end exclusive."""

    opens_at: datetime
    closes_at: datetime


def week_hours(
    written: Literal["any", "standard", "strict"] | CustomHours,
) -> WeekHours | None:
    """Give the hours that the setting of a channel names; None for any hour."""
    if written == "any":
        return None
    if isinstance(written, str):
        return _PROFILES[written]
    own = {day: getattr(written, day) for day in written.written_days}
    profile = _PROFILES[written.profile]
    return WeekHours(
        tuple(own.get(day, hours) for day, hours in zip(WEEKDAYS, profile.days, strict=True)),
        on_holidays=written.holidays,
        is_own=bool(own) or written.profile is None,
    )


def narrowed(hours: WeekHours, by: WeekHours) -> WeekHours:
    """Give the hours that lie in both."""
    days = [_in_both(one, other) for one, other in zip(hours.days, by.days, strict=True)]
    return replace(hours, days=tuple(days), on_holidays=hours.on_holidays and by.on_holidays)


def _in_both(one: Hours | None, other: Hours | None) -> Hours | None:
    if one is None or other is None:
        return None
    opens, closes = max(one.opens, other.opens), min(one.closes, other.closes)
    return Hours(opens, closes) if opens < closes else None


def next_opening(now: datetime, whereabouts: Whereabouts, hours: WeekHours) -> Opening | None:
    """Give the present or the next span that holds in every candidate zone.

    It leaves at least SHORTEST_VALIDITY. None: no hour of the next two weeks is decent in all
    of the zones.
    """
    for opening in _openings(whereabouts, hours, (now.astimezone(UTC) - timedelta(days=1)).date()):
        if opening.closes_at - max(now, opening.opens_at) >= SHORTEST_VALIDITY:
            return opening
    return None


def validity_seconds(now: datetime, opening: Opening) -> int:
    """Give how long a text may wait at the provider, so that it never leaves after hours."""
    return int(min(opening.closes_at - now - MARGIN, LONGEST_VALIDITY).total_seconds())


@lru_cache(maxsize=4096)
def _openings(whereabouts: Whereabouts, hours: WeekHours, first: date) -> tuple[Opening, ...]:
    common: list[Opening] | None = None
    for zone in sorted(whereabouts.zones):
        of_zone = list(_in_zone(ZoneInfo(zone), whereabouts, hours, first))
        common = of_zone if common is None else list(_both(common, of_zone))
    return tuple(common or ())


def _in_zone(
    zone: ZoneInfo, whereabouts: Whereabouts, hours: WeekHours, first: date
) -> Iterator[Opening]:
    for day in (first + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD + 2)):
        span = hours.days[day.weekday()]
        if span is None:
            continue
        if not hours.on_holidays and any(is_holiday(day, place) for place in whereabouts.places):
            continue
        # A time that a clock change brings twice, or skips, is read in the careful way: the
        # later of the two readings opens, the earlier one closes.
        opens, closes = (
            max(_readings(day, span.opens, zone)),
            min(_readings(day, span.closes, zone)),
        )
        if opens < closes:
            yield Opening(opens, closes)


def _readings(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Give both instants that a wall-clock time may mean; mostly they are the same (PEP 495)."""
    local = datetime.combine(day, at, tzinfo=zone)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _both(one: Iterable[Opening], other: Iterable[Opening]) -> Iterator[Opening]:
    others = list(other)
    for a in one:
        for b in others:
            opens, closes = max(a.opens_at, b.opens_at), min(a.closes_at, b.closes_at)
            if opens < closes:
                yield Opening(opens, closes)


def is_holiday(day: date, place: Place) -> bool:
    """Say whether a day is a public holiday of a region, or of any where it is not known."""
    return day in _holidays_of(place, day.year)


@lru_cache(maxsize=512)
def _holidays_of(place: Place, year: int) -> frozenset[date]:
    """Give the days of the region; of every region of the country where it is none of them.

    The days of the country alone would leave out what most of it keeps: of the United Kingdom's
    regions three of four close on Easter Monday, and the country as such does not.
    """
    import holidays  # noqa: PLC0415 - the calendars of all countries, for runs that ask for one

    try:
        if place.region is not None:
            return frozenset(holidays.country_holidays(place.country, place.region, years=year))
        country = holidays.country_holidays(place.country, years=year)
    except NotImplementedError:
        # The library does not know the region, or not even the country.
        return _holidays_of(Place(place.country), year) if place.region else frozenset()
    return frozenset(country).union(
        *(_holidays_of(Place(place.country, region), year) for region in country.subdivisions)
    )


def tomorrow_start(now: datetime, zone: ZoneInfo) -> datetime:
    """Give the instant at which the next local day begins."""
    return day_start(now.astimezone(zone).date() + timedelta(days=1), zone)
