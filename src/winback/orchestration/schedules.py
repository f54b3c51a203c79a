"""When deployed flows run, as Prefect reckons it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

_DATES_AT_ONCE = 500


async def scheduled_dates(
    written: Mapping[str, Any], start: datetime, end: datetime
) -> Sequence[datetime]:
    """Give when a schedule, as ``prefect.yaml`` has it, runs: start inclusive, end exclusive.

    Prefect itself reckons, so that zones and changes of the clocks are those of the runs to come.
    An interval without an anchor counts from ``start``. Raises ValueError for what Prefect would
    not deploy.
    """
    # The server's part of Prefect; no flow needs it.
    from prefect.server.schemas import schedules  # noqa: PLC0415

    kinds: dict[str, type[schedules.SCHEDULE_TYPES]] = {
        "cron": schedules.CronSchedule,
        "interval": schedules.IntervalSchedule,
        "rrule": schedules.RRuleSchedule,
    }
    kind = next((kind for kind in kinds if written.get(kind)), None)
    if kind is None:
        raise ValueError("a schedule has a cron, an interval or an rrule")
    model, known = kinds[kind], {"anchor_date": start, **written}
    keys = [key for key in model.model_fields if known.get(key) is not None]
    schedule = model.model_validate({key: known[key] for key in keys})
    found: list[datetime] = []
    while some := await schedule.get_dates(_DATES_AT_ONCE, start, end):
        found += [datetime.fromtimestamp(one.timestamp(), UTC) for one in some]
        start = found[-1] + timedelta(seconds=1)
    return [at for at in found if at < end]
