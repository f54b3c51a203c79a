"""What the days bring about by themselves: sleepers wake, and rests end."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from winback.database.tables import Enrollment
from winback.enrollment.conditions import Standpoint, campaigns_of
from winback.enrollment.cursors import CursorWrites, circumstances_for, read_cursors
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.enrollment.timeline import due_from
from winback.states import EnrollmentState

_CHUNK: Final = 500


def wake_due(session: Session, run: Standpoint, *, still: Collection[str] = ()) -> int:
    """Wake who was asleep until today or before; their next step is due today. Gives how many.

    ``still`` names campaigns that stand still: nobody of theirs wakes.
    """
    ids = sleepers(session, run, still=still)
    for some in _chunks(ids):
        wake(session, run, some)
    return len(ids)


def sleepers(session: Session, run: Standpoint, *, still: Collection[str] = ()) -> Sequence[int]:
    """Give the enrollments that were asleep until today or before, but for those standing still."""
    return session.scalars(_SLEEPERS, {"today": run.today, "still": still}).all()


def end_rests(session: Session, run: Standpoint, *, still: Collection[str] = ()) -> int:
    """Exhaust every enrollment whose rest after the last step is over; gives how many.

    ``still`` names campaigns that stand still: their rests are frozen.
    """
    rested = session.scalars(_RESTED, {"today": run.today, "still": still}).all()
    why = "the rest after the last step is over"
    return len(move_all(session, rested, EnrollmentEvent.RESTED, now=run.now, why=why))


def wake(session: Session, run: Standpoint, enrollment_ids: Sequence[int]) -> None:
    """Wake some of the sleepers; whoever is awake meanwhile is left as they are."""
    rows = read_cursors(session, enrollment_ids)
    campaigns = campaigns_of(session, run, (row.campaign_version_id for row in rows))
    given = circumstances_for(session, run, rows)
    writes = CursorWrites(run)
    for row in rows:
        if not row.is_asleep:
            continue  # Somebody else was quicker.
        if row.next_step is None:
            writes.move_cursor(row, is_asleep=False)
            continue
        campaign = campaigns[row.campaign_version_id]
        following = due_from(campaign, row.next_step, on=run.today, given=given(row))
        writes.pass_at_once(row, following.passed)
        writes.decide(row, "woke", f"{following.step or 'the rest'} comes next")
        writes.move_cursor(row, next_step=following.step, due_on=following.due_on, is_asleep=False)
    writes.write(session)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


_IS_DUE: Final = (
    Enrollment.state == EnrollmentState.ACTIVE,
    Enrollment.due_on <= bindparam("today"),
    Enrollment.campaign.not_in(bindparam("still", expanding=True)),
)
_SLEEPERS: Final = (
    select(Enrollment.id).where(*_IS_DUE, Enrollment.is_asleep).order_by(Enrollment.id)
)
_RESTED: Final = select(Enrollment.id).where(
    *_IS_DUE, Enrollment.next_step.is_(None), Enrollment.is_asleep.is_(False)
)
