"""What the runs of the stages say by themselves: one that failed, one that was killed, one missed.

Runs are dated by the machine's clock, and so is ``at``. A run that was killed has no end, as has
one that is still at work: the second has a worker that beats, or began not long ago.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from winback.database.tables import StageRun, Worker
from winback.states import Stage

LOST_AFTER: Final = timedelta(hours=3)
"""So long a run may be at work; a send run for as long as its worker lives."""
PATIENCE: Final = timedelta(hours=6)
"""By how much a stage of the day may be late, one day or the other."""

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7 * _DAY
_DAYS: Final = range(1, 8)
"""The next week; its last day is due by the run that is asked itself."""
_IN_A_ROW: Final = 2 * _DAY
"""Two days in a row that are over for longer make no daily stage."""
_BEATS: Final = timedelta(minutes=10)
"""Who beat since is taken to be alive; a lease is shorter."""
_BEFORE_ITS_WORKER: Final = timedelta(hours=1)
"""A run begins before its worker does, by much less than this."""


def find_failed(session: Session, stage: Stage, *, at: datetime) -> str | None:
    """Say how the latest run that is over failed; None where it ended well, or none is over.

    One that is still at work proves nothing yet, neither that it goes well nor that it fails.
    """
    over = session.execute(
        _LAST_OVER, {"stage": stage, "lost_before": _lost_before(session, stage, at=at)}
    ).one_or_none()
    if over is None:
        return None
    if over.ended_at is None:
        hours = hours_since(over.started_at, at)
        return f"a {stage} run began {hours} hours ago and never ended; was its process killed?"
    if over.error:
        return f"the last {stage} run ended early with {over.error}; see its log"
    return None


def last_well(session: Session, stage: Stage) -> datetime | None:
    """Give when a run of the stage last ended well; where none ever did, when the first began."""
    ended: datetime | None = session.scalar(_LAST_WELL, {"stage": stage})
    first: datetime | None = None
    if ended is None:
        first = session.scalar(_FIRST, {"stage": stage})
    return ended if ended is not None else first


def find_missed(session: Session, stage: Stage, *, at: datetime) -> int | None:
    """Give for how many hours a stage of the day was missed; None where it is not, or not yet."""
    last: datetime | None = session.scalar(_LAST_WELL, {"stage": stage})
    if last is None:
        return None
    # One that ran up to a week before the last may be the one to ask.
    asked = {"stage": stage, "since": last - 2 * _WEEK - PATIENCE}
    rest = usual_rest([ended for (ended,) in session.execute(_WELL_SINCE, asked)])
    return hours_since(last, at) if rest is not None and at - last > rest + PATIENCE else None


def usual_rest(ended: Sequence[datetime]) -> timedelta | None:
    """Give how long after the last run the next is due, a day at least; None where nobody can say.

    ``ended`` are the ends of the runs, the latest last. What ran a week ago tells a schedule of
    weekdays from one of all days. Before that, two days in a row make a daily stage: who ran it
    once, or by hand now and then, is not waited for. A run at an hour of its own tells nothing of
    the schedule, and hides nothing: the one before it is asked.
    """
    last = ended[-1]
    for one in reversed(ended):
        if last - one < _WEEK and _ran(ended, one - _WEEK):
            days = [day for day in _DAYS if _ran(ended, one + day * _DAY - _WEEK)]
        elif last - one < _IN_A_ROW and _ran(ended, one - _DAY):
            days = list(_DAYS)
        else:
            continue
        due = next(one + day * _DAY for day in days if one + day * _DAY > last)
        return max(due - last, _DAY)
    return None


def _ran(ended: Sequence[datetime], at: datetime) -> bool:
    return any(abs(one - at) <= PATIENCE for one in ended)


def hours_since(then: datetime, at: datetime) -> int:
    """Give whole hours."""
    return int((at - then).total_seconds() // 3600)


def _lost_before(session: Session, stage: Stage, *, at: datetime) -> datetime:
    """Give when a run without an end must have begun to be taken for killed."""
    lost = at - LOST_AFTER
    if stage is not Stage.SEND:
        return lost
    oldest: datetime | None = session.scalar(_OLDEST_WORKER, {"since": at - _BEATS})
    return lost if oldest is None else min(lost, oldest - _BEFORE_ITS_WORKER)


_OF_STAGE: Final = StageRun.stage == bindparam("stage")
_IS_WELL: Final = (_OF_STAGE, StageRun.ended_at.is_not(None), StageRun.error == "")
_LAST_OVER: Final = (
    select(StageRun.started_at, StageRun.ended_at, StageRun.error)
    .where(
        _OF_STAGE,
        StageRun.ended_at.is_not(None) | (StageRun.started_at < bindparam("lost_before")),
    )
    .order_by(StageRun.started_at.desc(), StageRun.id.desc())
    .limit(1)
)
_LAST_WELL: Final = (
    select(StageRun.ended_at)
    .where(*_IS_WELL)
    .order_by(StageRun.started_at.desc(), StageRun.id.desc())
    .limit(1)
)
_FIRST: Final = select(func.min(StageRun.started_at)).where(_OF_STAGE)
_WELL_SINCE: Final = (
    select(StageRun.ended_at)
    .where(*_IS_WELL, StageRun.started_at >= bindparam("since"))
    .order_by(StageRun.started_at, StageRun.id)
)
_OLDEST_WORKER: Final = select(func.min(Worker.started_at)).where(
    Worker.ended_at.is_(None), Worker.beat_at > bindparam("since")
)
