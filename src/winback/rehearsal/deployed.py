"""Read from ``prefect.yaml`` when winback runs, where it is deployed with Prefect."""

import re
from collections.abc import Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

from winback.rehearsal.schedule import Schedule

AS_SHIPPED: Final = Schedule(time(10), timedelta(minutes=15))
"""What the shipped ``prefect.yaml`` says."""

_DAY: Final = "flows/reactivate.py:reactivate"
_SEND: Final = "flows/send.py:send"
_DAILY: Final = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")
_EVERY: Final = re.compile(r"\*/(\d{1,2}) \* \* \* \*")


def deployed_schedule(home: Path) -> Schedule:
    """Give the schedule of a home folder's ``prefect.yaml``.

    What is missing there, or written in another form than the shipped one (``0 10 * * *`` for the
    day, ``*/15 * * * *`` for sends), is taken as shipped; a file without the send flow sends with
    the day alone.
    """
    path = home / "prefect.yaml"
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return AS_SHIPPED
    days = [found for cron in _crons(written, _DAY) if (found := _DAILY.fullmatch(cron))]
    sends = list(_crons(written, _SEND))
    every = [found for cron in sends if (found := _EVERY.fullmatch(cron))]
    return Schedule(
        time(int(days[0][2]), int(days[0][1])) if days else AS_SHIPPED.day_at,
        timedelta(minutes=int(every[0][1])) if every else AS_SHIPPED.send_every if sends else None,
    )


def _crons(written: Any, entrypoint: str) -> Iterator[str]:
    """Give the crons of the deployments of one flow, whatever else the file holds."""
    for deployment in _listed(written, "deployments"):
        if isinstance(deployment, dict) and deployment.get("entrypoint") == entrypoint:
            for schedule in _listed(deployment, "schedules"):
                if not isinstance(schedule, dict) or schedule.get("active") is False:
                    continue
                if isinstance(schedule.get("cron"), str):
                    yield schedule["cron"]


def _listed(written: Any, key: str) -> list[Any]:
    found = written.get(key) if isinstance(written, dict) else None
    return found if isinstance(found, list) else []
