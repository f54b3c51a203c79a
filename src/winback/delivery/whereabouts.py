"""In which time zones a customer may be, and whose hours hold there, pure: FACTS.md LAW-23b.

An explicit zone settles where they are. Else every zone of the address and every zone that the
number's area code could mean count together, so that an address far from its area code is held to
both. Where nothing is known the zones of the business's country stand in, with the strict hours;
a region without a country is one of that country.

The numbers and calendars of all countries are loaded with the first question about them: a run
that sends no text asks none.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

from babel.core import get_global

from winback.delivery.areas import state_of
from winback.delivery.lawful import is_stricter, lawful_hours
from winback.delivery.outlying import (
    AMERICAN,
    MILITARY,
    NEARER,
    OWN_COUNTRIES,
    part_of,
    plain,
)
from winback.delivery.windows import STRICT, Place, WeekHours, Whereabouts, narrowed

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_UNKNOWN: Final = "Etc/Unknown"

_EASTERN, _CENTRAL, _MOUNTAIN, _PACIFIC = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
)
_STATES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV", (_EASTERN,)),
    ("AL AR IA IL LA MN MO MS OK WI", (_CENTRAL,)),
    ("CO MT NM UT WY", (_MOUNTAIN,)),
    ("CA NV WA", (_PACIFIC,)),
    ("FL IN KY MI TN", (_EASTERN, _CENTRAL)),
    ("KS ND NE SD TX", (_CENTRAL, _MOUNTAIN)),
    ("ID OR", (_MOUNTAIN, _PACIFIC)),
    ("AZ", ("America/Phoenix", _MOUNTAIN)),
    ("AK", ("America/Anchorage", "America/Adak")),
    ("HI", ("Pacific/Honolulu",)),
)
"""Zones of the states, by their two letters; a state on a border of zones has both."""

_ZONES_OF_STATE: Final = {
    state: frozenset(zones) for states, zones in _STATES for state in states.split()
}


def find_whereabouts(
    *,
    time_zone: str | None,
    country: str | None,
    region: str | None,
    number: str | None,
    business_country: str,
    business_zone: str,
) -> tuple[Whereabouts, bool]:
    """Give where a customer may be, and whether anything at all was known of the zone.

    ``number`` is the one that would be written to; None for a mail.
    """
    address = _place(country or business_country, region) if country or region else None
    home = _place(business_country, None)
    of_number = _places_of_number(number) if number else frozenset()
    places = _told({*([address] if address else []), *of_number}) or frozenset({home})
    if time_zone and time_zone in _known_zones():
        return Whereabouts(frozenset({time_zone}), places), True
    by_address = _zones_of_address(address) if address else frozenset()
    by_number = _zones_of_number(number) if number else frozenset()
    if by_number or (country and by_address):
        return Whereabouts(by_address | by_number, places), True
    at_home = by_address or _zones_of_address(home) | {business_zone}
    return Whereabouts(at_home, places), False


def hours_for_texts(whereabouts: Whereabouts, hours: WeekHours, *, is_known: bool) -> WeekHours:
    """Give the hours that texts are held to: the strict ones where law or ignorance asks so.

    Hours that the business wrote itself are kept as far as the law goes (FACTS.md LAW-23).
    """
    if hours.is_own:
        for place in whereabouts.places:
            if (by_law := lawful_hours(place)) is not None:
                hours = narrowed(hours, by_law)
        return hours
    if is_known and not any(is_stricter(place) for place in whereabouts.places):
        return hours
    return replace(STRICT, on_holidays=hours.on_holidays)


def _told(places: Collection[Place]) -> frozenset[Place]:
    """Leave a country out where the other place says in which part of it.

    The law presumes that who has a state's area code lives there, unless the address says another.
    """
    in_part = {place.country for place in places if place.region is not None}
    return frozenset(
        place for place in places if place.region is not None or place.country not in in_part
    )


def _place(country: str, region: str | None) -> Place:
    if country in OWN_COUNTRIES:
        return Place("US", country)
    written = (region or "").strip().removeprefix(f"{country}-")
    if not written:
        return Place(country)
    part = part_of(country, written)
    if part is not None:
        return Place("US", part) if country == "US" else Place(part)
    return Place(country, _region(country, written))


@lru_cache(maxsize=4096)
def _region(country: str, written: str) -> str:
    """Give the short name of a region, as ``CA`` for California, where the library knows it."""
    sought = plain(written)
    for short, names in _regions(country).items():
        if sought in (plain(name) for name in (short, *names)):
            return short
    return written


@lru_cache(maxsize=256)
def _regions(country: str) -> dict[str, list[str]]:
    import holidays  # noqa: PLC0415

    try:
        known = holidays.country_holidays(country)
    except NotImplementedError:
        # How the library says that it does not know the country.
        return {}
    return {short: list(names) for short, names in known.get_subdivision_aliases().items()}


@lru_cache(maxsize=4096)
def _zones_of_address(place: Place) -> frozenset[str]:
    if place.country == "US":
        return _zones_of_american(place.region)
    return _zones_by_country().get(place.country, frozenset())


def _zones_of_american(region: str | None) -> frozenset[str]:
    """Give all zones in which an American address may be.

    Without a region it counts as one of the states and of the islands that share hours with them:
    no hour is decent in Rhode Island and on Guam. A region that nobody knows may be anywhere.
    """
    if region in _ZONES_OF_STATE:
        return _ZONES_OF_STATE[region]
    if region in AMERICAN:
        return _zones_of_part(region)
    parts = NEARER if region is None else AMERICAN
    return _zones_by_country()["US"].union(*(_zones_of_part(part) for part in parts))


def _zones_of_part(part: str) -> frozenset[str]:
    return MILITARY.get(part) or _zones_by_country()[part]


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    # Asking for them walks through a folder each time.
    return frozenset(available_timezones())


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    known = _known_zones()
    for zone, country in get_global("zone_territories").items():
        if zone in known:
            found.setdefault(country, set()).add(zone)
    return {country: frozenset(zones) for country, zones in found.items()}


@lru_cache(maxsize=65536)
def _zones_of_number(number: str) -> frozenset[str]:
    from phonenumbers.timezone import time_zones_for_number  # noqa: PLC0415

    parsed = _parsed(number)
    if parsed is None:
        return frozenset()
    known = _known_zones()
    zones = time_zones_for_number(parsed)
    return frozenset(zone for zone in zones if zone != _UNKNOWN and zone in known)


@lru_cache(maxsize=65536)
def country_of(number: str) -> str | None:
    """Give the ISO code of the country that a number belongs to; None where it names none."""
    import phonenumbers  # noqa: PLC0415

    parsed = _parsed(number)
    return None if parsed is None else phonenumbers.region_code_for_number(parsed)


@lru_cache(maxsize=65536)
def _places_of_number(number: str) -> frozenset[Place]:
    return frozenset(_name_places(number))


def _name_places(number: str) -> Iterator[Place]:
    parsed = _parsed(number)
    if parsed is None:
        return
    country = country_of(number)
    if country is None or country not in _zones_by_country():
        return
    yield _place(country, state_of(str(parsed.national_number)[:3]) if country == "US" else None)


def _parsed(number: str) -> "PhoneNumber | None":
    import phonenumbers  # noqa: PLC0415

    try:
        return phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
