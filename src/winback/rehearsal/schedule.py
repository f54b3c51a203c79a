"""When winback runs, pure: the day at its hour, and the sends between."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from winback.clock import at_local, day_start, local_date

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Times:
    """Instants that somebody else's schedules name, for as long as they were asked about."""

    says: str
    """How these schedules are written."""
    instants: Sequence[datetime]
    """In order, none twice."""

    def between(self, begins: datetime, ends: datetime) -> frozenset[datetime]:
        """Give those from ``begins`` on and before ``ends``."""
        first, end = bisect_left(self.instants, begins), bisect_left(self.instants, ends)
        return frozenset(self.instants[first:end])


@dataclass(frozen=True, slots=True)
class Schedule:
    """The whole day at one local time; with ``send_every`` also the send stage, around the clock.

    ``winback run`` once a day is the default; ``prefect.yaml`` as shipped adds a send each quarter
    of an hour, which is what lets a text leave as soon as its reader's hours begin. What runs by
    other schedules has their times in ``day_by`` and ``sends_by``, which win; ``day_at`` and
    ``send_every`` then only tell them in short, or are None. Without any the day does not run.
    """

    day_at: time | None = time(10)
    send_every: timedelta | None = None
    day_by: Times | None = None
    sends_by: Times | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant at which something runs: the whole day, or the send stage alone."""

    at: datetime
    is_day: bool


def dates_played(schedule: Schedule, *, now: datetime, days: int, zone: ZoneInfo) -> Sequence[date]:
    """Give so many local days of the business, also those on which nothing runs.

    The first is the one that still has a moment to come; it may be half over.
    """
    today = local_date(now, zone)
    first = today if _left(schedule, today, now, zone) else today + _ONE_DAY
    return [first + timedelta(days=number) for number in range(days)]


def moments(schedule: Schedule, *, now: datetime, days: int, zone: ZoneInfo) -> Iterator[Moment]:
    """Give what runs from ``now`` on, over so many local days of the business, in order."""
    for day in dates_played(schedule, now=now, days=days, zone=zone):
        yield from _left(schedule, day, now, zone)


def _left(schedule: Schedule, day: date, now: datetime, zone: ZoneInfo) -> list[Moment]:
    begins, ends = day_start(day, zone), day_start(day + _ONE_DAY, zone)
    whole = _days(schedule, begins, ends, zone)
    # The day sends too: two at the same instant would be one.
    found = [Moment(at, is_day=True) for at in whole]
    found += [Moment(at, is_day=False) for at in _sends(schedule, begins, ends) - whole]
    return sorted((one for one in found if one.at >= now), key=lambda one: one.at)


def _days(
    schedule: Schedule, begins: datetime, ends: datetime, zone: ZoneInfo
) -> frozenset[datetime]:
    if schedule.day_by is not None:
        return schedule.day_by.between(begins, ends)
    if schedule.day_at is None:
        return frozenset()
    return frozenset([at_local(local_date(begins, zone), schedule.day_at, zone)])


def _sends(schedule: Schedule, begins: datetime, ends: datetime) -> frozenset[datetime]:
    if schedule.sends_by is not None:
        return schedule.sends_by.between(begins, ends)
    if schedule.send_every is None:
        return frozenset()
    return frozenset(
        begins + number * schedule.send_every
        for number in range(-(-(ends - begins) // schedule.send_every))
    )
