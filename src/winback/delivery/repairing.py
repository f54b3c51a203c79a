"""What else is put right when evidence proves that a message left, however late it comes.

Its cost, where the worker died before it could write it down; and its voucher, where an operator
had called it not sent: somebody holds a mail with that code, so it is issued again, by the day
that the mail names.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.clock import day_start
from winback.database.tables import Message, Voucher, table_of
from winback.delivery.marking import body_of
from winback.messages.keeping import read_context
from winback.messages.segments import count_segments
from winback.states import Channel, VoucherState
from winback.vouchers.machine import VoucherEvent
from winback.vouchers.moving import move_vouchers

_WHY: Final = "evidence shows that its message left"


def repair(session: Session, message_id: int, *, business: Business, now: datetime) -> None:
    """Put right what hangs on a message that was proven to have left; safe to repeat.

    What cannot be known any more, since the person was erased, stays as it is. So does a code
    that was freed, or issued by another message, in the meantime.
    """
    row = session.connection().execute(_PROVEN, {"b_id": message_id}).one_or_none()
    if row is None or row.accepted_at is None:
        return
    _price(session, row, business)
    if row.voucher_state is VoucherState.RESERVED and row.owner == row.enrollment_id:
        _issue_again(session, row, business, now)


def _price(session: Session, row: Row[Any], business: Business) -> None:
    """Write down the cost of what nobody wrote down; by today's prices."""
    if row.cost:
        return
    economics = business.settings.economics
    segments: int | None = None
    cost: Decimal = economics.email_cost
    if row.channel is Channel.SMS:
        context = read_context(session, row.context, row.shared_context_id)
        body = body_of(session, row.template_version_id, context)
        segments = row.segments or (count_segments(body).segments if body is not None else None)
        if segments is None:
            return
        cost = economics.sms_segment_cost * segments
    session.connection().execute(_SET, {"b_id": row.id, "cost": cost, "segments": segments})


def _issue_again(session: Session, row: Row[Any], business: Business, now: datetime) -> None:
    named = (row.context or {}).get("voucher") or {}
    if not named.get("expires_on"):
        return
    last_day = date.fromisoformat(named["expires_on"])
    move_vouchers(
        session,
        VoucherEvent.ISSUED,
        [
            {
                "id": row.voucher_id,
                "issued_at": row.claimed_at,
                "issued_by": row.id,
                "expires_at": day_start(last_day + timedelta(days=1), business.zone),
            }
        ],
        now=now,
        why=_WHY,
    )


_MESSAGES: Final = table_of(Message)
_PROVEN: Final = (
    select(
        Message.id,
        Message.channel,
        Message.accepted_at,
        Message.claimed_at,
        Message.enrollment_id,
        Message.template_version_id,
        Message.context,
        Message.shared_context_id,
        Message.cost,
        Message.segments,
        Message.voucher_id,
        Voucher.state.label("voucher_state"),
        Voucher.enrollment_id.label("owner"),
    )
    .outerjoin(Voucher, Voucher.id == Message.voucher_id)
    .where(Message.id == bindparam("b_id"))
)
_SET: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"))
    .values(cost=bindparam("cost"), segments=bindparam("segments"))
)
