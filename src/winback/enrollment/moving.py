"""Carry out what the machine allows: guarded updates, their history, and what an ending frees.

Every function takes a session and leaves the commit to the caller. A move that lost a race
touches no row, writes no history and says False.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.orm import Session

from winback.database.history import record_decisions, record_moves
from winback.database.tables import Enrollment, Message, Refusal
from winback.enrollment.machine import FINAL, EnrollmentEvent, moves_of, next_state
from winback.states import OPEN_ENROLLMENTS, Arm, EnrollmentState, MessageState
from winback.vouchers.reserving import release_many

OPEN_SLOT: Final = "open_slot"
"""Reason of a refusal that ends when the customer's other enrollment ends."""

_CHUNK: Final = 500


def move(
    session: Session, enrollment_id: int, event: EnrollmentEvent, *, now: datetime, why: str
) -> bool:
    """Move one enrollment; says whether its state changed.

    Ending it cancels what is queued, gives reserved codes back, and lets other campaigns look
    at the customer again; handing it over cancels what is queued. An answer that was queued at
    this very instant belongs to the response that moves it, and stays, unless the event is a no.
    Raises IllegalTransition for an event that the state does not know.
    """
    if move_all(session, [enrollment_id], event, now=now, why=why):
        return True
    state = session.scalars(
        select(Enrollment.state).where(Enrollment.id == enrollment_id)
    ).one_or_none()
    if state is not None:
        next_state(state, event, enrollment_id=enrollment_id)
    return False


def move_all(
    session: Session,
    enrollment_ids: Sequence[int],
    event: EnrollmentEvent,
    *,
    now: datetime,
    why: str,
) -> list[int]:
    """Move many enrollments by one event; gives the ids of those whose state changed.

    What the event does not change, or what somebody else moved meanwhile, is left as it is.
    """
    moved: list[int] = []
    for ids in _chunks(enrollment_ids):
        for from_state, to_state in moves_of(event):
            moved += _move_chunk(session, ids, event, (from_state, to_state), now=now, why=why)
    return moved


def _move_chunk(
    session: Session,
    ids: Sequence[int],
    event: EnrollmentEvent,
    states: tuple[EnrollmentState, EnrollmentState],
    *,
    now: datetime,
    why: str,
) -> list[int]:
    from_state, to_state = states
    rows = session.execute(
        update(Enrollment)
        .where(Enrollment.id.in_(ids), Enrollment.state == from_state)
        .values(_changes(event, to_state, now))
        .returning(Enrollment.id, Enrollment.customer_id, Enrollment.campaign, Enrollment.arm)
    ).all()
    if not rows:
        return []
    moved = [row.id for row in rows]
    record_moves(
        session,
        [
            {
                "thing": "enrollment",
                "thing_id": enrollment_id,
                "from_state": from_state,
                "to_state": to_state,
                "event": event,
                "why": why,
                "at": now,
            }
            for enrollment_id in moved
        ],
    )
    record_decisions(
        session,
        [
            {
                "customer_id": row.customer_id,
                "campaign": row.campaign,
                "enrollment_id": row.id,
                "what": to_state.value,
                "why": why,
                "at": now,
            }
            for row in rows
        ],
    )
    treated = [row.id for row in rows if row.arm is Arm.TREATED]
    _settle(session, treated, event, to_state, now=now, why=why)
    if to_state in FINAL:
        _free_slots(session, [row.customer_id for row in rows], now)
    return moved


def _changes(event: EnrollmentEvent, to_state: EnrollmentState, now: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {"state": to_state}
    if to_state is not EnrollmentState.ACTIVE:
        # Nobody's calendar any more: resuming sets a new day.
        changes |= {"due_on": None, "is_asleep": False}
    if to_state in FINAL:
        changes["ended_at"] = now
    if event is EnrollmentEvent.BOUGHT_BEFORE:
        changes["is_left_out"] = True
    return changes


def _settle(
    session: Session,
    ids: Sequence[int],
    event: EnrollmentEvent,
    to_state: EnrollmentState,
    *,
    now: datetime,
    why: str,
) -> None:
    """Cancel what is queued, and give back what an ending no longer needs."""
    if not ids or to_state is EnrollmentState.ACTIVE:
        return
    match event:
        case EnrollmentEvent.OPTED_OUT:
            which: ColumnElement[bool] | None = None
        case EnrollmentEvent.RESTED:
            # The timeline ran out by itself: an answer that waits for its hour is still owed.
            which = Message.is_answer.is_(False)
        case _:
            which = or_(Message.is_answer.is_(False), Message.queued_at < now)
    cancel_queued(session, ids, which=which, now=now, why=why)
    if to_state in FINAL:
        release_many(session, ids, now)


def cancel_queued(
    session: Session,
    enrollment_ids: Sequence[int],
    *,
    now: datetime,
    why: str,
    which: ColumnElement[bool] | None = None,
) -> int:
    """Cancel queued messages of enrollments, all or which; gives how many.

    One that is being sent is left alone: whether it went is decided by the provider.
    """
    condition = and_(
        Message.enrollment_id.in_(enrollment_ids),
        Message.state == MessageState.QUEUED,
        *(() if which is None else (which,)),
    )
    canceled = session.scalars(
        update(Message)
        .where(condition)
        .values(state=MessageState.CANCELED, reason=why, settled_at=now)
        .returning(Message.id)
    ).all()
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": message_id,
                "from_state": MessageState.QUEUED,
                "to_state": MessageState.CANCELED,
                "event": "canceled",
                "why": why,
                "at": now,
            }
            for message_id in canceled
        ],
    )
    return len(canceled)


def _free_slots(session: Session, customer_ids: Sequence[int], now: datetime) -> None:
    """Let the next detect look again at who was refused for the slot that is free now."""
    session.execute(
        update(Refusal)
        .where(Refusal.customer_id.in_(customer_ids), Refusal.reason == OPEN_SLOT)
        # A day that is past in every zone.
        .values(look_again_on=(now - timedelta(days=1)).date())
        .execution_options(synchronize_session=False)
    )


def close_windows(session: Session, *, now: datetime) -> int:
    """Observe every holdout whose measured time is over; gives how many. Safe to repeat."""
    # The day after, since the business's day may be ahead of UTC's.
    over = session.scalars(_OVER, {"now": now, "by": now.date() + timedelta(days=1)}).all()
    return len(
        move_all(
            session,
            over,
            EnrollmentEvent.WINDOW_ENDED,
            now=now,
            why="the measured time is over",
        )
    )


_OVER: Final = select(Enrollment.id).where(
    Enrollment.state == EnrollmentState.HELD_OUT,
    # Implied by the next line, as a holdout waits for its window's end; it is what the index knows.
    Enrollment.due_on <= bindparam("by"),
    Enrollment.measure_until <= bindparam("now"),
)


def open_enrollment_of(session: Session, customer_id: int) -> int | None:
    """Give the id of the enrollment that holds the customer's one open slot, if any."""
    return session.scalar(
        select(Enrollment.id).where(
            Enrollment.customer_id == customer_id, Enrollment.state.in_(OPEN_ENROLLMENTS)
        )
    )


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
