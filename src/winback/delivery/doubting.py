"""What stays unknown: rows of dead workers, and doubts that nobody could settle in a day.

Neither is ever sent again (FACTS.md DS-4, DS-6): rather miss than duplicate. After a day the
enrollment goes on, the row stays ``unconfirmed`` and is listed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.tables import Enrollment, Message, StepPassage, Worker, table_of
from winback.delivery.leases import end_dead
from winback.delivery.machine import MessageEvent, move
from winback.delivery.run import Run
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.timeline import StepEnd
from winback.states import EnrollmentState, MessageState

GIVES_UP_AFTER: Final = timedelta(hours=24)
"""How long a step waits for its doubt to be settled."""

LOOKS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=15),
    timedelta(hours=2),
    timedelta(hours=24),
)
"""When evidence is looked for, counted from the claim (FACTS.md DS-6); then it stays listed."""

_WHY_DEAD: Final = "the worker died before it could note the result"
_WHY_PASSED: Final = "unconfirmed for 24 hours"
_WHY_FAILED: Final = "the provider could not deliver it"


def first_look(claimed_at: datetime) -> datetime:
    """Give when evidence of a message that is newly in doubt is looked for."""
    return claimed_at + LOOKS[0]


def settle_doubts(session: Session, run: Run, *, at: datetime) -> int:
    """Doubt the rows of dead workers and pass steps in doubt for a day; gives the former's count.

    Before that, what evidence has settled since passes its step. ``at`` is the machine's clock,
    by which workers live. Safe to repeat.
    """
    pass_proven(session, run)
    given_up = doubt_the_dead(session, run, at=at)
    waiting = session.execute(_GIVEN_UP, {"until": run.now - GIVES_UP_AFTER}).all()
    pass_steps(
        session,
        run,
        [
            # The wait counts from the end of the 24 hours, however late a run comes by.
            Done(id_, step, StepEnd.UNCONFIRMED, _WHY_PASSED, claimed_at + GIVES_UP_AFTER)
            for id_, step, claimed_at in waiting
        ],
    )
    return len(given_up)


_GIVEN_UP: Final = (
    select(Message.enrollment_id, Message.step, Message.claimed_at)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(
        Message.state == MessageState.UNCONFIRMED,
        Message.claimed_at <= bindparam("until"),
        Message.is_answer.is_(False),
        ~exists().where(
            StepPassage.enrollment_id == Message.enrollment_id,
            StepPassage.step == Message.step,
        ),
    )
)


def pass_proven(session: Session, run: Run) -> None:
    """Pass the steps of messages that late news proved to have been accepted or failed.

    The next step's wait counts from when that was, not from when this run hears of it.
    """
    proven = session.execute(_PROVEN, {"today": run.today}).all()
    pass_steps(
        session,
        run,
        [
            Done(id_, step, StepEnd.FAILED, _WHY_FAILED, settled_at)
            if state is MessageState.FAILED
            else Done(id_, step, StepEnd.ACCEPTED, at=accepted_at)
            for id_, step, state, accepted_at, settled_at in proven
        ],
    )


_PROVEN: Final = (
    select(Enrollment.id, Message.step, Message.state, Message.accepted_at, Message.settled_at)
    .join(Message, Message.enrollment_id == Enrollment.id)
    .where(
        Enrollment.state == EnrollmentState.ACTIVE,
        Enrollment.due_on <= bindparam("today"),
        Message.step == Enrollment.next_step,
        Message.accepted_at.is_not(None),
    )
)


def doubt_the_dead(session: Session, run: Run, *, at: datetime) -> Sequence[int]:
    """Turn claims of dead workers to ``unconfirmed``, never back to the queue; gives the ids.

    A claim's age says nothing: it is the worker's lease that holds it (FACTS.md DS-10). Rows that
    no worker stands for, or one that ended without a result, are in doubt, too.
    """
    end_dead(session, at)
    rows = session.connection().execute(_OF_THE_DEAD).all()
    if not rows:
        return []
    to_state = move(MessageState.SENDING, MessageEvent.DOUBT)
    session.connection().execute(
        _DOUBT, [{"b_id": id_, "look_at": first_look(claimed_at)} for id_, claimed_at in rows]
    )
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": id_,
                "from_state": MessageState.SENDING,
                "to_state": to_state,
                "event": MessageEvent.DOUBT,
                "why": _WHY_DEAD,
                "at": run.now,
            }
            for id_, _ in rows
        ],
    )
    return [id_ for id_, _ in rows]


_MESSAGES: Final = table_of(Message)
_WORKERS: Final = table_of(Worker)
_OF_THE_DEAD: Final = (
    select(_MESSAGES.c.id, _MESSAGES.c.claimed_at)
    .where(
        _MESSAGES.c.state == MessageState.SENDING,
        ~exists().where(_WORKERS.c.id == _MESSAGES.c.worker_id, _WORKERS.c.ended_at.is_(None)),
    )
    .order_by(_MESSAGES.c.id)
    .with_for_update(of=_MESSAGES)
)
_DOUBT: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.state == MessageState.SENDING)
    .values(
        state=move(MessageState.SENDING, MessageEvent.DOUBT),
        reason=_WHY_DEAD,
        look_at=bindparam("look_at"),
    )
)
