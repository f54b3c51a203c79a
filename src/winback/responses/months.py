"""The month of "ask me in ...": as the page offers it and as the response reads it. Pure."""

import re
from datetime import date
from typing import Final

from winback.periods import add_months

MONTHS_AHEAD: Final = 12
"""How far ahead a month may be chosen."""


def months_to_choose(today: date) -> list[date]:
    """Give the first days of the months that may be chosen, the next one first."""
    first = today.replace(day=1)
    return [add_months(first, ahead) for ahead in range(1, MONTHS_AHEAD + 1)]


def read_month(written: str, today: date) -> date | None:
    """Give the first day of ``YYYY-MM``; None when it is no month, or none to choose."""
    if not re.fullmatch(r"[0-9]{4}-(?:0[1-9]|1[0-2])", written):
        return None
    return next((day for day in months_to_choose(today) if f"{day:%Y-%m}" == written), None)
