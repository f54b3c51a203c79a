"""What a written time means: instants and dates, in which zone, by which format.

Pure. A date that can be read in two ways is refused, never guessed. Reasons are for the person
who mends the file.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from winback.errors import SourceError

_AMBIGUOUS_DATE: Final = re.compile(r"\d{1,2}([/.\-])\d{1,2}\1(\d{4}|\d{2})\b.*")
_DAY_OR_MONTH_FIRST: Final = tuple(
    f"{first}{mark}{second}{mark}{year}{tail}"
    for tail in ("", " %H:%M", " %H:%M:%S")
    for mark in "/.-"
    for year in ("%Y", "%y")
    for first, second in (("%d", "%m"), ("%m", "%d"))
)
_DATE_LENGTH: Final = len("2026-03-01")
_HOUR: Final = re.compile(r"\d{4}-\d\d-\d\d[T ](?:[01]\d|2[0-3])", re.ASCII)
_TAILS: Final = {
    f":{minute:02}:{second:02}": f":{minute:02}:{second:02}.000000"
    for minute in range(60)
    for second in range(60)
}
"""Every minute and second of an hour, as written and as stored."""
_CACHED: Final = 100_000


class AmbiguousDate(ValueError):
    """A date of which nobody said whether day or month stands first: the file is refused."""

    def refusal(self, place: str, name: str) -> SourceError:
        """Give the sentence that refuses the file, with the formats that read this date."""
        written = str(self)
        formats = [form for form in _DAY_OR_MONTH_FIRST if _reads(form, written)]
        write = " or ".join(repr(form) for form in formats or _DAY_OR_MONTH_FIRST[:2])
        both = "which may be day-month or month-day"
        one = "and one date does not settle whether the day or the month stands first in all"
        advice = f"write date_format: {write} in the source"
        return SourceError(
            f"{place}: {name} holds {written!r}, {both if len(formats) > 1 else one}; {advice}",
            discreet=f"{place}: {name} is a date whose order nobody said; {advice}",
        )


def _reads(form: str, written: str) -> bool:
    try:
        datetime.strptime(written, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


Instant = tuple[str, str, int]
"""One time as it is stored: in UTC (``YYYY-MM-DD HH:MM:SS.ffffff``), the date in the business's
zone, and whether it is a date only. A plain tuple: a million of them are made in a pull."""


@dataclass(frozen=True, slots=True)
class _Day:
    """One local day in which no clock is changed."""

    near: tuple[str, ...]
    """The day before, the day, the day after."""
    ahead_of_utc: int
    ahead_of_business: int
    """In whole hours; negative where behind."""


class TimeReader:
    """Reads written times; remembers what it read, because dates repeat."""

    def __init__(
        self, *, source_zone: ZoneInfo, business_zone: ZoneInfo, date_format: str | None
    ) -> None:
        self._source_zone = source_zone
        self._business_zone = business_zone
        self._date_format = date_format
        self._known: dict[str, Instant] = {}
        self._hours: dict[str, tuple[str, str]] = {}
        self._days: dict[str, _Day | None] = {}

    def read(self, written: str) -> Instant:
        """Read a time: ISO 8601, or as ``date_format`` says; naive ones in the source's zone.

        A date alone stands at midnight of the business's zone. Raises AmbiguousDate for
        01/02/2026 without a format, ValueError for what is no time.
        """
        # The way of almost all rows, as 2026-03-01T10:20:30: two look-ups and no parsing.
        hour, tail = self._hours.get(written[:13]), _TAILS.get(written[13:])
        if hour is not None and tail is not None:
            return hour[0] + tail, hour[1], 0
        known = self._known.get(written)
        if known is not None:
            return known
        if tail is not None and self._date_format is None and self._knows_hour(written[:13]):
            return self.read(written)
        instant = self._read(written)
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known[written] = instant
        return instant

    def _knows_hour(self, hour: str) -> bool:
        """Learn what all times of a local hour have in common, if they have."""
        found = self._hour(hour)
        if found is None:
            return False
        if len(self._hours) >= _CACHED:
            self._hours.clear()
        self._hours[hour] = found
        return True

    def _hour(self, hour: str) -> tuple[str, str] | None:
        """Give the UTC hour and the business's date of a local hour; None where days differ."""
        day = hour[:10]
        if not _HOUR.fullmatch(hour):
            return None
        if day not in self._days:
            if len(self._days) >= _CACHED:
                self._days.clear()
            self._days[day] = self._whole_day(day)
        found = self._days[day]
        if found is None:
            return None
        utc_day, utc_hour = divmod(int(hour[11:]) - found.ahead_of_utc, 24)
        own_day = (int(hour[11:]) - found.ahead_of_business) // 24
        return f"{found.near[utc_day + 1]} {utc_hour:02}", found.near[own_day + 1]

    def _whole_day(self, written: str) -> "_Day | None":
        """Give how far a local day is ahead; None where that is no whole hour or changes."""
        try:
            day = date.fromisoformat(written)
            near = tuple((day + timedelta(days=shift)).isoformat() for shift in (-1, 0, 1))
            # A change within the hours around the day is a change of the day.
            noons = [
                datetime.combine(day, time(12), tzinfo=self._source_zone) + timedelta(hours=away)
                for away in (-36, 36)
            ]
        except (ValueError, OverflowError):
            return None
        ahead = {noon.utcoffset() for noon in noons}
        business = {noon.astimezone(self._business_zone).utcoffset() for noon in noons}
        if len(ahead) > 1 or len(business) > 1:
            return None
        utc, own = ahead.pop() or timedelta(), business.pop() or timedelta()
        hour = timedelta(hours=1)
        if utc % hour or own % hour:
            return None
        return _Day(near, utc // hour, (utc - own) // hour)

    def _read(self, written: str) -> Instant:
        value = self._parse(written)
        try:
            if not isinstance(value, datetime):
                midnight = datetime.combine(value, time.min, tzinfo=self._business_zone)
                return _stored(midnight), value.isoformat(), 1
            if value.tzinfo is None:
                value = value.replace(tzinfo=self._source_zone)
            on = value.astimezone(self._business_zone).date()
            return _stored(value), on.isoformat(), 0
        except OverflowError:
            raise ValueError("is out of the calendar") from None

    def _parse(self, written: str) -> datetime | date:
        text = written.strip()
        if not text:
            raise ValueError("is empty")
        if self._date_format is not None:
            return self._by_format(text)
        if _AMBIGUOUS_DATE.fullmatch(text):
            raise AmbiguousDate(text)
        try:
            if len(text) <= _DATE_LENGTH:
                return date.fromisoformat(text)
            return datetime.fromisoformat(text.removesuffix(" UTC"))
        except ValueError:
            raise ValueError("is no time; write 2026-03-01 or 2026-03-01T10:00:00") from None

    def _by_format(self, text: str) -> datetime | date:
        form = self._date_format or ""
        try:
            value = datetime.strptime(text, form)  # noqa: DTZ007 - its zone is given by the caller
        except ValueError:
            raise ValueError(f"is not written as {form}") from None
        has_time = any(sign in form for sign in ("%H", "%I", "%M", "%S", "%X", "%c", "%T"))
        return value if has_time else value.date()


def _stored(instant: datetime) -> str:
    # Not strftime: it writes years before 1000 without zeros.
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
