"""When winback runs, pure: the day at its hour, and the sends between."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from winback.clock import at_local, day_start, local_date

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The whole day at one local time; with ``send_every`` also the send stage, around the clock.

    ``winback run`` once a day is the default; ``prefect.yaml`` as shipped adds a send each quarter
    of an hour, which is what lets a text leave as soon as its reader's hours begin.
    """

    day_at: time = time(10)
    send_every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant at which something runs: the whole day, or the send stage alone."""

    at: datetime
    is_day: bool


def moments(schedule: Schedule, *, now: datetime, days: int, zone: ZoneInfo) -> Iterator[Moment]:
    """Give what runs from ``now`` on, over so many local days of the business, in order.

    The first day is the one that still has a moment to come; it may be half over.
    """
    today = local_date(now, zone)
    left = [moment for moment in _of_day(schedule, today, zone) if moment.at >= now]
    first = today if left else today + _ONE_DAY
    for day in (first + timedelta(days=number) for number in range(days)):
        yield from (left if day == today else _of_day(schedule, day, zone))


def _of_day(schedule: Schedule, day: date, zone: ZoneInfo) -> list[Moment]:
    whole = Moment(at_local(day, schedule.day_at, zone), is_day=True)
    if schedule.send_every is None:
        return [whole]
    ends = day_start(day + _ONE_DAY, zone)
    at = day_start(day, zone)
    sends: list[Moment] = []
    while at < ends:
        # The day sends too: two at the same instant would be one.
        if at != whole.at:
            sends.append(Moment(at, is_day=False))
        at += schedule.send_every
    return sorted([whole, *sends], key=lambda moment: moment.at)
