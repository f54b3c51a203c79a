"""Read from ``prefect.yaml`` when winback runs, where it is deployed with Prefect."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from winback.clock import day_start, local_date
from winback.errors import ConfigError, FileMistakes, Mistake
from winback.rehearsal.schedule import Schedule, Times
from winback.yaml_files import read_nodes

AS_SHIPPED: Final = Schedule(time(10), timedelta(minutes=15))
"""What the shipped ``prefect.yaml`` says, in the business's own time."""

Dates = Callable[[Mapping[str, Any], datetime, datetime], Awaitable[Iterable[datetime]]]
"""Gives when one schedule, as it is written, runs between two instants; ValueError: never."""

_FILE: Final = "prefect.yaml"
_DAY: Final = "flows/reactivate.py:reactivate"
_SEND: Final = "flows/send.py:send"
_DAILY: Final = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")
_EVERY: Final = re.compile(r"\*/(\d{1,2}) \* \* \* \*")


async def deployed_schedule(
    home: Path, *, now: datetime, days: int, zone: ZoneInfo, dates: Dates
) -> Schedule:
    """Give when the schedules of a home folder's ``prefect.yaml`` run, for so many days to come.

    All active schedules of the day's flow and of the send flow are followed, of whatever kind and
    in their own time zones. A file that is missing, or has ``deployment_mistakes``, is taken as
    shipped. Raises ConfigError for a schedule that Prefect would refuse.
    """
    try:
        written = _read(home)
    except FileMistakes:
        return AS_SHIPPED
    today = local_date(now, zone)
    span = day_start(today, zone), day_start(today + timedelta(days=days + 1), zone)
    whole, sends = _schedules(written, _DAY), _schedules(written, _SEND)
    daily, every = _plain(whole, _DAILY, zone), _plain(sends, _EVERY, zone)
    return Schedule(
        time(int(daily[2]), int(daily[1])) if daily else None,
        timedelta(minutes=int(every[1])) if every else None,
        day_by=await _times(whole, _DAY, span, dates),
        sends_by=await _times(sends, _SEND, span, dates),
    )


def deployment_mistakes(home: Path) -> list[Mistake]:
    """Give what keeps ``prefect.yaml`` from being followed; nothing where there is no file."""
    try:
        if (home / _FILE).exists():
            _read(home)
    except FileMistakes as found:
        return found.mistakes
    return []


def deployed_zones(home: Path) -> set[str]:
    """Give the time zones of all schedules; raises FileMistakes for a file that cannot be read."""
    return {
        str(schedule.get("timezone") or "UTC")
        for deployment in _listed(_read(home), "deployments")
        for schedule in _listed(deployment, "schedules")
        if isinstance(schedule, dict)
    }


def _read(home: Path) -> Any:
    """Read the file; raises FileMistakes where it is missing, no YAML, or lists are none."""
    written, root = read_nodes(home / _FILE, _FILE)
    if root is None:
        return None
    if not isinstance(root, yaml.MappingNode):
        raise FileMistakes([Mistake(_FILE, 1, "this has no keys", "write deployments:")])
    for deployment in _nodes(root, "deployments"):
        _nodes(deployment, "schedules")
    return written


def _nodes(parent: yaml.Node, key: str) -> Sequence[yaml.Node]:
    """Give what is listed under a key, if it is there; raises FileMistakes for another form."""
    found = [node for name, node in parent.value if name.value == key]
    if not found or found[0].tag == "tag:yaml.org,2002:null":
        return []
    if not isinstance(found[0], yaml.SequenceNode):
        what = f"{key}: no list stands here"
        raise FileMistakes([Mistake(_FILE, found[0].start_mark.line + 1, what, "begin it with -")])
    for one in found[0].value:
        if not isinstance(one, yaml.MappingNode):
            what = f"{key}: this has no keys"
            raise FileMistakes([Mistake(_FILE, one.start_mark.line + 1, what, "write key: value")])
    return list(found[0].value)


def _schedules(written: Any, entrypoint: str) -> Sequence[Mapping[str, Any]]:
    """Give the active schedules of one flow's deployments that are not paused.

    Whatever else the file holds: what Prefect would not schedule is no schedule.
    """
    return [
        schedule
        for deployment in _listed(written, "deployments")
        if isinstance(deployment, dict) and deployment.get("entrypoint") == entrypoint
        if deployment.get("paused") is not True
        for schedule in _listed(deployment, "schedules")
        if isinstance(schedule, dict) and schedule.get("active") is not False
    ]


def _listed(written: Any, key: str) -> list[Any]:
    found = written.get(key) if isinstance(written, dict) else None
    return found if isinstance(found, list) else []


def _plain(
    schedules: Sequence[Mapping[str, Any]], form: re.Pattern[str], zone: ZoneInfo
) -> re.Match[str] | None:
    """Give what can be told in a word: a single schedule of the shipped form, in our time."""
    if len(schedules) != 1 or schedules[0].get("timezone", "UTC") != zone.key:
        return None
    return form.fullmatch(str(schedules[0].get("cron")))


async def _times(
    schedules: Sequence[Mapping[str, Any]],
    entrypoint: str,
    span: tuple[datetime, datetime],
    dates: Dates,
) -> Times | None:
    instants: set[datetime] = set()
    for schedule in schedules:
        try:
            instants.update(await dates(schedule, *span))
        except ValueError:
            raise ConfigError(
                f"prefect.yaml: the schedule {_says(schedule)} of {entrypoint} cannot be followed, "
                "nor deployed"
            ) from None
    says = " and ".join(dict.fromkeys(map(_says, schedules)))
    return Times(says, sorted(instants)) if schedules else None


def _says(schedule: Mapping[str, Any]) -> str:
    kind = next((kind for kind in ("cron", "interval", "rrule") if schedule.get(kind)), None)
    how = f'{kind} "{schedule[kind]}"' if kind else "without a kind"
    return f"{how} ({schedule.get('timezone', 'UTC')})"
