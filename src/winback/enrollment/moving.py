"""Carry out what the machine allows: guarded updates, their history, and what an ending frees.

Every function takes a session and leaves the commit to the caller. A move that lost a race
touches no row, writes no history and says False.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from winback.customers.canceling import Which, cancel_queued
from winback.database.history import record_decisions, record_moves
from winback.database.tables import Enrollment, Refusal, table_of
from winback.enrollment.machine import FINAL, EnrollmentEvent, moves_of, next_state
from winback.states import OPEN_ENROLLMENTS, Arm, EnrollmentState
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
    state = session.connection().scalar(_STATE, {"enrollment_id": enrollment_id})
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
    # A plain statement is cheaper; it neither writes what the session still holds back, nor tells
    # the objects that the session gave out.
    session.flush()
    rows = session.connection().execute(_moving(event, *states), {"ids": ids, "at": now}).all()
    if not rows:
        return []
    session.expire_all()
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


@cache
def _moving(
    event: EnrollmentEvent, from_state: EnrollmentState, to_state: EnrollmentState
) -> ReturningUpdate[tuple[int, int, str, Arm]]:
    """Give the guarded update of one line of the machine's table."""
    row = table_of(Enrollment).c
    changes: dict[str, Any] = {"state": to_state}
    if to_state is not EnrollmentState.ACTIVE:
        # Nobody's calendar any more: resuming sets a new day.
        changes |= {"due_on": None, "is_asleep": False}
    if to_state in FINAL:
        changes["ended_at"] = bindparam("at")
    if event is EnrollmentEvent.BOUGHT_BEFORE:
        changes["is_left_out"] = True
    return (
        update(table_of(Enrollment))
        .where(row.id.in_(_IDS), row.state == from_state)
        .values(changes)
        .returning(row.id, row.customer_id, row.campaign, row.arm)
    )


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
            which = Which.ALL
        case EnrollmentEvent.RESTED:
            # The timeline ran out by itself: an answer that waits for its hour is still owed.
            which = Which.OF_THE_TIMELINE
        case _:
            which = Which.NOT_OF_NOW
    cancel_queued(session, ids, which=which, now=now, why=why)
    if to_state in FINAL:
        release_many(session, ids, now)


def _free_slots(session: Session, customer_ids: Sequence[int], now: datetime) -> None:
    """Let the next detect look again at who was refused for the slot that is free now."""
    # A day that is past in every zone.
    past = (now - timedelta(days=1)).date()
    session.connection().execute(_LOOK_AGAIN, {"people": customer_ids, "past": past})


def close_windows(session: Session, *, now: datetime) -> int:
    """Observe every holdout whose measured time is over; gives how many. Safe to repeat."""
    # The day after, since the business's day may be ahead of UTC's.
    asked = {"now": now, "by": now.date() + timedelta(days=1)}
    over = session.connection().scalars(_OVER, asked).all()
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
    found: int | None = session.connection().scalar(_OPEN, {"customer_id": customer_id})
    return found


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_STATE: Final = select(Enrollment.state).where(Enrollment.id == bindparam("enrollment_id"))
_OPEN: Final = select(Enrollment.id).where(
    Enrollment.customer_id == bindparam("customer_id"), Enrollment.state.in_(OPEN_ENROLLMENTS)
)
_REFUSALS: Final = table_of(Refusal)
_LOOK_AGAIN: Final = (
    update(_REFUSALS)
    .where(
        _REFUSALS.c.customer_id.in_(bindparam("people", expanding=True)),
        _REFUSALS.c.reason == OPEN_SLOT,
    )
    .values(look_again_on=bindparam("past"))
)
