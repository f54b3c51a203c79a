"""Calendar periods as people write them: ``6 months``, ``14 days``, ``2 weeks``, ``1 year``.

A month is a calendar month: adding one keeps the day of the month, clamped to the month's last
day (31 August + 6 months = 28 February, or 29 in a leap year; FACTS.md DS-14).
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer

_WRITTEN: Final = re.compile(r"\s*(\d+)\s+(day|week|month|year)s?\s*")


@dataclass(frozen=True, slots=True)
class Period:
    """A span of calendar months and days; one of the two is zero."""

    months: int = 0
    days: int = 0

    def __str__(self) -> str:
        count, unit = (self.months, "month") if self.months else (self.days, "day")
        return f"{count} {unit}{'' if count == 1 else 's'}"

    @property
    def is_nothing(self) -> bool:
        """Say whether adding it changes no date."""
        return not (self.months or self.days)

    def after(self, day: date) -> date:
        """Give the date one period after a date."""
        return add_months(day, self.months) + timedelta(days=self.days)

    def latest_start(self, until: date) -> date:
        """Give the latest date whose ``after`` is on or before ``until``.

        Adding months with clamping never changes the order of two dates, so every date up to
        this one has its period over by ``until``, and none after it has.
        """
        day = add_months(until - timedelta(days=self.days), -self.months)
        while self.after(day + timedelta(days=1)) <= until:
            day += timedelta(days=1)
        return day


def add_months(day: date, months: int) -> date:
    """Give the same day of the month some calendar months away, clamped to the month's end."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month0 + 1, min(day.day, calendar.monthrange(year, month0 + 1)[1]))


def read_period(written: object) -> Period:
    """Read ``6 months``; raises ValueError with what to write instead."""
    found = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(
            f"{written!r} is no period: write a number and a unit, as 6 months or 14 days"
        )
    count, unit = int(found[1]), found[2]
    match unit:
        case "day":
            return Period(days=count)
        case "week":
            return Period(days=7 * count)
        case "month":
            return Period(months=count)
        case _:
            return Period(months=12 * count)


def _before(value: Any) -> Any:
    return value if isinstance(value, Period) else read_period(value)


PeriodField = Annotated[Period, BeforeValidator(_before), PlainSerializer(str)]
"""A pydantic field that is written as ``6 months``."""
