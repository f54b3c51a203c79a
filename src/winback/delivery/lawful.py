"""Hours that the law itself sets for texts, pure: FACTS.md LAW-23, the United States.

The standard profile lies within all of them but Rhode Island's, the strict one within all; hours
that a business writes itself are cut to them. Who may be in any state has no more than the
strictest leaves; on Guam and at the military's addresses no state's law holds. Other countries'
own hours are not known here.
"""

from datetime import time
from typing import Final

from winback.delivery.areas import STATES
from winback.delivery.outlying import AMERICAN
from winback.delivery.windows import STRICT, Place, WeekHours
from winback.policies import Hours


def _daily(opens: int, closes: int, *, sunday_from: int | None = None) -> WeekHours:
    sunday = Hours(time(sunday_from or opens), time(closes))
    return WeekHours((*[Hours(time(opens), time(closes))] * 6, sunday))


_FEDERAL: Final = _daily(8, 21)
"""47 CFR 64.1200(c)(1)."""

_STATES: Final = {
    **dict.fromkeys(("FL", "OK", "MD", "MS", "NJ", "WA"), _daily(8, 20)),
    "CT": _daily(9, 20),
    "TX": _daily(9, 21, sunday_from=12),
    "RI": STRICT,
}


def lawful_hours(place: Place) -> WeekHours | None:
    """Give the widest hours that the law leaves to texts; None where none is known."""
    if place.country != "US":
        return None
    if place.region not in STATES | AMERICAN:
        return STRICT
    return _STATES.get(place.region, _FEDERAL)


def is_stricter(place: Place) -> bool:
    """Say whether the law is narrower than the standard hours."""
    return lawful_hours(place) == STRICT
