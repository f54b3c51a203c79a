"""In which time zones a customer may be, pure: FACTS.md LAW-23b.

An explicit zone settles it. Else every zone of the address and every zone that the number's area
code could mean count together, so that an address far from its area code is held to both. Where
nothing is known the zones of the business's country stand in, with the strict hours.
"""

from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

import phonenumbers
from babel.core import get_global
from phonenumbers import timezone as number_zones

from winback.delivery.windows import STRICT, WeekHours, Whereabouts

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

_STRICTER_REGIONS: Final = frozenset({("US", "RI"), ("US", "RHODE ISLAND")})
"""Regions whose own law is narrower than the standard hours (FACTS.md LAW-23)."""


def find_whereabouts(
    *,
    time_zone: str | None,
    country: str | None,
    region: str | None,
    number: str | None,
    business_country: str,
    business_zone: str,
) -> tuple[Whereabouts, bool]:
    """Give the candidate zones of a customer, and whether anything at all was known."""
    at_home = country or business_country
    if time_zone and time_zone in _known_zones():
        return Whereabouts(frozenset({time_zone}), at_home, region), True
    by_address = _zones_of_address(country, region) if country else frozenset()
    zones = by_address | (_zones_of_number(number) if number else frozenset())
    if zones:
        return Whereabouts(zones, at_home, region), True
    fallback = _zones_of_address(business_country, None) | {business_zone}
    return Whereabouts(fallback, at_home, region), False


def hours_for(whereabouts: Whereabouts, hours: WeekHours, *, is_known: bool) -> WeekHours:
    """Give the hours to hold to: the strict ones where law or ignorance of the place asks so.

    Hours that the business wrote itself are kept as they are.
    """
    region = (whereabouts.region or "").strip().upper()
    is_stricter = (whereabouts.country, region) in _STRICTER_REGIONS
    if hours.is_own or (is_known and not is_stricter):
        return hours
    return STRICT


@lru_cache(maxsize=1024)
def _zones_of_address(country: str, region: str | None) -> frozenset[str]:
    if country == "US" and region and (zones := _ZONES_OF_STATE.get(region.strip().upper())):
        return zones
    return _zones_by_country().get(country, frozenset())


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
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return frozenset()
    known = _known_zones()
    zones = number_zones.time_zones_for_number(parsed)
    return frozenset(zone for zone in zones if zone != _UNKNOWN and zone in known)
