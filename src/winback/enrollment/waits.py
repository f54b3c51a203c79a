"""Since when enrollments wait for their due day: what began the wait is in the histories."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select, union_all
from sqlalchemy.orm import Session

from winback.database.tables import Decision, Enrollment, Move, StepPassage
from winback.enrollment.machine import EnrollmentEvent

_CURSOR_MOVED: Final = ("went_to", "sooner")
"""Decisions that set the due day anew without a step that was passed (``progress``)."""


class Wait(NamedTuple):
    """One enrollment's wait."""

    id: int
    """The enrollment's."""
    next_step: str | None
    due_on: date
    began_at: datetime


def waits_begun_after(
    session: Session, instant: datetime, mine: Sequence[ColumnElement[bool]]
) -> list[Wait]:
    """Give the waits that began after an instant, of enrollments under these conditions.

    A wait begins with the enrollment, with the passage of the step before, with a jump or a click,
    and when an associate gives the customer back.
    """
    passages = StepPassage.enrollment_id == Enrollment.id
    # By the customer too: that is how decisions are found.
    decisions = and_(
        Decision.customer_id == Enrollment.customer_id, Decision.enrollment_id == Enrollment.id
    )
    moves = and_(Move.thing == "enrollment", Move.thing_id == Enrollment.id)
    given_back = Move.event == EnrollmentEvent.RESUMED
    began: list[Any] = [
        select(Enrollment.id, Enrollment.enrolled_at.label("at")).where(
            *mine, Enrollment.enrolled_at > instant
        ),
        select(Enrollment.id, StepPassage.at)
        .join(StepPassage, passages)
        .where(*mine, StepPassage.at > instant),
        select(Enrollment.id, Decision.at)
        .join(Decision, decisions)
        .where(*mine, Decision.what.in_(_CURSOR_MOVED), Decision.at > instant),
        select(Enrollment.id, Move.at)
        .join(Move, moves)
        .where(*mine, given_back, Move.at > instant),
    ]
    beginnings = union_all(*began).subquery()
    found = session.execute(
        select(Enrollment.id, Enrollment.next_step, Enrollment.due_on, func.max(beginnings.c.at))
        .join(beginnings, beginnings.c.id == Enrollment.id)
        .group_by(Enrollment.id, Enrollment.next_step, Enrollment.due_on)
    ).tuples()
    return [Wait(id_, step, due_on, at) for id_, step, due_on, at in found if due_on is not None]
