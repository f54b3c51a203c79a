"""In which time zones a customer may be, and whose hours hold there, pure: FACTS.md LAW-23b.

An explicit zone settles where they are. Else every zone of the address and every zone that the
number's area code could mean count together, so that an address far from its area code is held to
both. Where nothing is known the zones of the business's country stand in, with the strict hours.

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
    address = _place(country, region) if country else None
    of_number = _places_of_number(number) if number else frozenset()
    places = _told({*([address] if address else []), *of_number}) or frozenset(
        {_place(business_country, region)}
    )
    if time_zone and time_zone in _known_zones():
        return Whereabouts(frozenset({time_zone}), places), True
    zones = _zones_of_address(address) if address else frozenset()
    zones |= _zones_of_number(number) if number else frozenset()
    if zones:
        return Whereabouts(zones, places), True
    at_home = _zones_of_address(Place(business_country)) | {business_zone}
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
    return Place(country, _region(country, region.strip()) if region and region.strip() else None)


@lru_cache(maxsize=4096)
def _region(country: str, written: str) -> str:
    """Give the short name of a region, as ``CA`` for California, where the library knows it."""
    for short, names in _regions(country).items():
        if written.casefold() in (short.casefold(), *(name.casefold() for name in names)):
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
    if place.country == "US" and (zones := _ZONES_OF_STATE.get(place.region or "")):
        return zones
    return _zones_by_country().get(place.country, frozenset())


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
    yield Place(country, state_of(str(parsed.national_number)[:3]) if country == "US" else None)


def _parsed(number: str) -> "PhoneNumber | None":
    import phonenumbers  # noqa: PLC0415

    try:
        return phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
