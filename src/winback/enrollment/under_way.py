"""What is on its way to two customers who become one: nothing of it is read before it is locked.

A message that is being called goes with the person, as everything does: how its call ends is then
told to the enrollment that goes on, which sends the step anew where it surely was not sent (P2),
and not where it was, or nobody knows (P1).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, Row, bindparam, or_, select, update
from sqlalchemy.orm import Session

from winback.campaign.versions import campaign_of_version
from winback.database.history import record_decision
from winback.database.tables import Customer, Enrollment, Message, Voucher, table_of
from winback.enrollment.circumstances import steps_on_their_way
from winback.states import MessageState

IN_FLIGHT_OR_IN_DOUBT: Final = (MessageState.SENDING, MessageState.UNCONFIRMED)


def lock_both(session: Session, one: int, other: int) -> None:
    """Lock two customers with what is on its way to them, and their enrollments, before any look.

    Whoever enrolls one of them, plans, claims or writes a result down is through before we look,
    or waits for us. In the order of results, messages before enrollments; what a claim took
    between the two is not called so soon that anybody would wait for it.
    """
    for lock in (_CUSTOMERS, _CALLED, _THEIRS):
        session.execute(lock, {"ids": (one, other)})


def called_for(session: Session, ended: Row[Any]) -> Row[Any] | None:
    """Give the message of the step that an enrollment stood at, if it is being called or in doubt.

    One of an earlier step counts as sent: its timeline went on.
    """
    asked = {"enrollment_id": ended.id, "step": ended.next_step}
    return session.execute(_CALLED_FOR, asked).one_or_none()


def may_take(session: Session, called: Row[Any], goes_on: Row[Any], got: Collection[str]) -> bool:
    """Say whether the enrollment that goes on may stand at the step that is being called.

    The timeline only goes forward: that step lies ahead, and what the person got before it. And
    its voucher, if any, is of the enrollment that goes on by now, so that nobody else gets it.
    """
    names = [step.step for step in campaign_of_version(session, goes_on.campaign_version_id).steps]
    if goes_on.next_step is None or called.step not in names:
        return False
    here, there = names.index(goes_on.next_step), names.index(called.step)
    if there < here or not set(names[there:]).isdisjoint(got):
        return False
    if called.step in steps_on_their_way(session, goes_on.id):
        return False
    return called.voucher_id is None or goes_on.id == session.scalar(
        select(Voucher.enrollment_id).where(Voucher.id == called.voucher_id)
    )


def take(session: Session, called: Row[Any], goes_on: Row[Any], *, now: datetime, why: str) -> None:
    """Let the message be of the enrollment that goes on: its result is written down there."""
    session.connection().execute(_TAKE, {"b_id": called.id, "to": goes_on.id})
    record_decision(
        session,
        goes_on.customer_id,
        what="took_over",
        why=f"{called.step}: on its way when {why}",
        at=now,
        campaign=goes_on.campaign,
        enrollment_id=goes_on.id,
    )


_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_CUSTOMERS: Final = (
    select(Customer.id)
    .where(Customer.id.in_(_IDS))
    .order_by(Customer.id)
    .with_for_update(key_share=True)
)
_CALLED: Final = (
    select(Message.id)
    .where(Message.customer_id.in_(_IDS), Message.state.in_(IN_FLIGHT_OR_IN_DOUBT))
    .order_by(Message.id)
    .with_for_update(key_share=True)
)
_PEOPLE: Final = select(Customer.id).where(
    or_(Customer.id.in_(_IDS), Customer.merged_into.in_(_IDS))
)
_THEIRS: Final = (
    select(Enrollment.id)
    .where(Enrollment.customer_id.in_(_PEOPLE))
    .order_by(Enrollment.id)
    .with_for_update(key_share=True)
)
_CALLED_FOR: Final = select(Message.id, Message.step, Message.voucher_id, Message.claimed_at).where(
    Message.enrollment_id == bindparam("enrollment_id"),
    Message.step == bindparam("step"),
    Message.is_answer.is_(False),
    Message.state.in_(IN_FLIGHT_OR_IN_DOUBT),
)
_MESSAGES: Final = table_of(Message)
_TAKE: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"))
    .values(enrollment_id=bindparam("to"))
)
