"""Which messages a pace kept past their hours: a batch longer than its window (FACTS.md TW-19c)."""

from datetime import datetime
from random import Random
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.tables import Message
from winback.delivery.gate import OUTSIDE_HOURS
from winback.delivery.looking import look
from winback.delivery.opening import keeps_hours, opening_for
from winback.delivery.run import Run
from winback.states import Channel, MessageState

Late = dict[Channel, set[int]]
"""Ids of messages on the copy, by channel."""


def put_off(business: Business, *, begun: datetime, ended: datetime) -> Late:
    """Give what waits for its next hours after a send, and could have left when it began."""
    # Neither chance nor providers nor variants have a say in hours.
    run = Run(business, begun, Random(), {}, salt="")  # noqa: S311 - see above
    late: Late = {}
    with Session(run.reads) as session:
        rows = session.execute(_SHUT, {"ended": ended}).all()
        sight = look(session, {row.customer_id for row in rows}, now=begun)
    for row in rows:
        point = sight.point(row.customer_id, row.channel)
        if point is None or not keeps_hours(run, row.channel):
            continue
        opening = opening_for(run, sight.persons[row.customer_id], row.channel, point)
        if opening is not None and opening.opens_at <= begun:
            late.setdefault(row.channel, set()).add(row.id)
    return late


_SHUT: Final = select(Message.id, Message.channel, Message.customer_id).where(
    Message.state == MessageState.QUEUED,
    Message.reason == OUTSIDE_HOURS,
    Message.due_at > bindparam("ended"),
)
