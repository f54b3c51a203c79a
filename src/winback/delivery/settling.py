"""Settle by hand what no evidence settled: an operator says what became of a message in doubt.

The one way out of ``unconfirmed`` besides evidence (FACTS.md DS-4). Neither word sends anything:
what was not sent is failed, its step is passed, and no channel is tried again.
"""

from datetime import datetime
from enum import StrEnum
from random import SystemRandom
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.engine import salt_of
from winback.database.history import record_move
from winback.database.tables import Message, table_of
from winback.delivery.machine import MessageEvent, move
from winback.delivery.repairing import repair
from winback.delivery.run import Run
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.timeline import StepEnd
from winback.errors import ConfigError
from winback.states import MessageState
from winback.vouchers.reserving import return_unsent


class Verdict(StrEnum):
    """What an operator found out."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"


def settle_by_hand(
    session: Session,
    business: Business,
    message_id: int,
    verdict: Verdict,
    *,
    now: datetime,
    note: str = "",
) -> str:
    """Settle one message in doubt in the caller's transaction; gives a sentence that says so.

    ``note`` is kept with the message. Raises ConfigError for a message that is not in doubt.
    """
    row = session.execute(_DOUBT, {"b_id": message_id}).one_or_none()
    if row is None or row.state is not MessageState.UNCONFIRMED:
        raise ConfigError(_why_not(message_id, row))
    is_accepted = verdict is Verdict.ACCEPTED
    event = MessageEvent.SETTLE_ACCEPTED if is_accepted else MessageEvent.SETTLE_NOT_SENT
    to_state = move(row.state, event, message_id=message_id)
    why = "an operator says it was accepted" if is_accepted else "an operator says it was not sent"
    session.connection().execute(
        _SETTLE,
        {
            "b_id": message_id,
            "state": to_state,
            "reason": f"{why}: {note}" if note else why,
            # If it left at all, then at the call.
            "accepted_at": row.claimed_at if is_accepted else None,
            "settled_at": None if is_accepted else now,
        },
    )
    record_move(
        session,
        "message",
        message_id,
        from_state=row.state,
        to_state=to_state,
        event=event,
        at=now,
        why=why,
    )
    if is_accepted:
        repair(session, message_id, business=business, now=now)
    has_code_back = False
    if not is_accepted and row.voucher_id is not None:
        has_code_back = return_unsent(session, row.voucher_id, message_id, now)
    if not row.is_answer:
        _pass(session, business, row, is_accepted=is_accepted, why=why, now=now)
    return _told(message_id, row.step, is_accepted=is_accepted, has_code_back=has_code_back)


_MESSAGES: Final = table_of(Message)
_DOUBT: Final = (
    select(
        _MESSAGES.c.state,
        _MESSAGES.c.step,
        _MESSAGES.c.is_answer,
        _MESSAGES.c.claimed_at,
        _MESSAGES.c.voucher_id,
        _MESSAGES.c.enrollment_id,
    )
    .where(_MESSAGES.c.id == bindparam("b_id"))
    .with_for_update()
)
_SETTLE: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.state == MessageState.UNCONFIRMED)
    .values(
        looks=0,
        look_at=None,
        **{name: bindparam(name) for name in ("state", "reason", "accepted_at", "settled_at")},
    )
)


def _why_not(message_id: int, row: Row[Any] | None) -> str:
    if row is None:
        return f"there is no message {message_id}; winback status lists those in doubt"
    return f"message {message_id} is {row.state}, not in doubt: nothing is left to settle"


def _pass(
    session: Session,
    business: Business,
    row: Row[Any],
    *,
    is_accepted: bool,
    why: str,
    now: datetime,
) -> None:
    """Pass the step, unless it was passed when its day of doubt was over."""
    run = Run(business, now, SystemRandom(), {}, salt_of(session))
    done = (
        Done(row.enrollment_id, row.step, StepEnd.ACCEPTED, at=row.claimed_at)
        if is_accepted
        else Done(row.enrollment_id, row.step, StepEnd.FAILED, why)
    )
    pass_steps(session, run, [done])


def _told(message_id: int, step: str, *, is_accepted: bool, has_code_back: bool) -> str:
    if is_accepted:
        return f"message {message_id} ({step}) counts as accepted"
    code = ", and its code is reserved again" if has_code_back else ""
    return f"message {message_id} ({step}) is failed; it is not sent again on any channel{code}"
