"""The only place that asks the machine for the time, and the arithmetic of local days.

Everything else takes ``now``, an aware UTC instant, as an argument.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from winback.errors import ConfigError


class Clock(Protocol):
    """What gives the present instant."""

    def now(self) -> datetime:
        """Give the present instant, aware, in UTC."""


Wait = Callable[[float], Awaitable[None]]
"""Lets so many seconds go by, none where they are negative."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the machine's present instant in UTC."""
        return datetime.now(UTC)


@dataclass(slots=True)
class SetClock:
    """A clock that stands still until it is set: replays, the demo, tests."""

    instant: datetime

    def now(self) -> datetime:
        """Give the instant it was set to."""
        return self.instant

    def set_to(self, instant: datetime) -> None:
        """Set it to another instant, aware, in UTC."""
        self.instant = instant


@dataclass(slots=True)
class ForwardClock:
    """A clock that follows another, and waits where that one is set back."""

    follows: Clock
    latest: datetime

    def now(self) -> datetime:
        """Give the followed clock's instant, never one before the latest it gave."""
        self.latest = max(self.latest, self.follows.now())
        return self.latest


def to_utc(instant: datetime) -> datetime:
    """Give the same instant in UTC; a naive one raises ValueError."""
    if instant.tzinfo is None:
        raise ValueError("a naive time has no meaning here: give it a zone")
    return instant.astimezone(UTC)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Give the calendar date of an aware instant in a zone."""
    return instant.astimezone(zone).date()


def at_local(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Give the UTC instant of a wall-clock time.

    A time that a clock change skips is read with the offset from before the change; one that
    occurs twice is the first (PEP 495, fold=0).
    """
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Give the UTC instant at which a local day begins."""
    return at_local(day, time.min, zone)


def day_end(day: date, zone: ZoneInfo) -> datetime:
    """Give the last microsecond of a local day, in UTC."""
    return day_start(day + timedelta(days=1), zone) - timedelta(microseconds=1)


_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999


def read_as_of(
    text: str, zone: ZoneInfo, when_only_a_date: Callable[[date, ZoneInfo], datetime]
) -> datetime:
    """Read ``--as-of``: with an offset that instant, without local time, a bare date as asked.

    Raises ConfigError with a sentence for the terminal when the text is neither, or a time so far
    away that days before or after it are in no calendar.
    """
    try:
        is_date = len(text) <= len("YYYY-MM-DD")
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--as-of {text!r} is not a time; write 2026-03-01 or 2026-03-01T10:00+00:00"
        ) from None
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ConfigError(
            f"--as-of {text!r} is too far away; write a day of the years {_FIRST_YEAR} to "
            f"{_LAST_YEAR}"
        )
    if is_date:
        return when_only_a_date(instant.date(), zone)
    return to_utc(instant if instant.tzinfo else instant.replace(tzinfo=zone))


def ten_in_the_morning(day: date, zone: ZoneInfo) -> datetime:
    """Give 10:00 of a local day in UTC: what a bare date means to commands that write."""
    return at_local(day, time(10), zone)
