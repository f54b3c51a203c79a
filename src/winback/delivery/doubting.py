"""What stays unknown: rows of dead workers, and doubts that nobody could settle in a day.

Neither is ever sent again (FACTS.md DS-4, DS-6): rather miss than duplicate. After a day the
enrollment goes on, the row stays ``unconfirmed`` and is listed.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.orm import Session

from winback.database.among import among
from winback.database.history import record_moves
from winback.database.retrying import transacted
from winback.database.tables import Enrollment, Message, StepPassage, Worker, table_of
from winback.delivery.isolating import Isolation, transacted_rows
from winback.delivery.leases import end_dead
from winback.delivery.machine import MessageEvent, move
from winback.delivery.run import Run
from winback.delivery.telling import tell_unplanned
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


def settle_doubts(run: Run, messages: Isolation, *, at: datetime) -> int:
    """Doubt the rows of dead workers and pass steps in doubt for a day; gives the former's count.

    Before that, what evidence has settled since passes its step. ``at`` is the machine's clock,
    by which workers live. A message at which nobody can work is left as it is, and keeps no other
    from it; where these are too many, ``messages`` is left to tell. Safe to repeat.
    """
    _pass(run, messages, _proven)
    doubted = _doubt_the_dead(run, messages, at=at)
    _pass(run, messages, _given_up)
    return doubted


def _pass(run: Run, messages: Isolation, find: Callable[[Session, Run], dict[int, Done]]) -> None:
    """Pass steps, each for the sake of a message; whose step cannot be passed is told of."""
    with Session(run.reads) as session:
        done = find(session, run)

    def at_once(ids: Sequence[int]) -> None:
        passed = [done[id_] for id_ in ids]
        work = partial(pass_steps, run=run, done=passed)
        transacted_rows(run.business.engine, "send.settle", work)

    def put_aside(id_: int, kind: str) -> None:
        tell = partial(tell_unplanned, run=run, enrollment_id=done[id_].enrollment_id, kind=kind)
        transacted_rows(run.business.engine, "send.settle", tell)

    if done:
        messages.work([*done], at_once, put_aside)


def _given_up(session: Session, run: Run) -> dict[int, Done]:
    """Give the steps that have waited long enough for their doubt to be settled, by message."""
    return {
        # The wait counts from the end of the 24 hours, however late a run comes by.
        row.id: Done(
            row.enrollment_id,
            row.step,
            StepEnd.UNCONFIRMED,
            _WHY_PASSED,
            row.claimed_at + GIVES_UP_AFTER,
        )
        for row in session.execute(_GIVEN_UP, {"until": run.now - GIVES_UP_AFTER})
    }


_GIVEN_UP: Final = (
    select(Message.id, Message.enrollment_id, Message.step, Message.claimed_at)
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


def _proven(session: Session, run: Run) -> dict[int, Done]:
    """Give the steps of messages that late news proved to be accepted or failed, by message.

    The next step's wait counts from when that was, not from when this run hears of it.
    """
    return {
        row.id: Done(row.enrollment_id, row.step, StepEnd.FAILED, _WHY_FAILED, row.settled_at)
        if row.state is MessageState.FAILED
        else Done(row.enrollment_id, row.step, StepEnd.ACCEPTED, at=row.accepted_at)
        for row in session.execute(_PROVEN, {"today": run.today})
    }


_PROVEN: Final = (
    select(
        Message.id,
        Message.enrollment_id,
        Message.step,
        Message.state,
        Message.accepted_at,
        Message.settled_at,
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(
        Enrollment.state == EnrollmentState.ACTIVE,
        Enrollment.due_on <= bindparam("today"),
        Message.step == Enrollment.next_step,
        Message.accepted_at.is_not(None),
    )
)


def _doubt_the_dead(run: Run, messages: Isolation, *, at: datetime) -> int:
    """Turn claims of dead workers to ``unconfirmed``, never back to the queue; gives how many.

    A claim's age says nothing: it is the worker's lease that holds it (FACTS.md DS-10). Rows that
    no worker stands for, or one that ended without a result, are in doubt, too.
    """
    engine, doubted = run.business.engine, 0

    def at_once(ids: Sequence[int]) -> None:
        nonlocal doubted
        doubted += transacted_rows(engine, "send.settle", partial(_doubt, run=run, ids=ids))

    ids = transacted(engine, "send.settle", partial(_of_the_dead, at=at))
    if ids:
        # One that cannot be doubted stays claimed: nobody sends it, and the next run tries again.
        messages.work(ids, at_once)
    return doubted


def _of_the_dead(session: Session, at: datetime) -> Sequence[int]:
    """End the leases of the dead, and give the messages that they, or nobody, stood for."""
    end_dead(session, at)
    return session.scalars(_OF_THE_DEAD).all()


def _doubt(session: Session, run: Run, ids: Sequence[int]) -> int:
    """Doubt these, where no worker stands for them still; gives how many."""
    rows = session.connection().execute(_THESE_OF_THE_DEAD, {"ids": ids}).all()
    if not rows:
        return 0
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
    return len(rows)


_MESSAGES: Final = table_of(Message)
_WORKERS: Final = table_of(Worker)
_OF_THE_DEAD: Final = (
    select(_MESSAGES.c.id, _MESSAGES.c.claimed_at)
    .where(
        _MESSAGES.c.state == MessageState.SENDING,
        ~exists().where(_WORKERS.c.id == _MESSAGES.c.worker_id, _WORKERS.c.ended_at.is_(None)),
    )
    .order_by(_MESSAGES.c.id)
)
_THESE_OF_THE_DEAD: Final = _OF_THE_DEAD.where(among(_MESSAGES.c.id, "ids")).with_for_update(
    of=_MESSAGES
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
