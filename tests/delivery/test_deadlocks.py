"""Who is ended so that another one can go on begins again (DS-11). PostgreSQL's own."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.delivery.shop import Shop
from tests.delivery.test_evidence import FakeLookup, found, in_doubt, look
from tests.locks import in_each_others_way
from winback.database.retrying import transacted
from winback.database.tables import Enrollment, Message
from winback.delivery.queueing import queue_due
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.states import Channel, EventKind, MessageState

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_evidence_that_met_another_transaction_is_written_all_the_same(shop: Shop) -> None:
    """Two doubts are settled at once, and somebody locks their rows the other way round."""
    first, second = in_doubt(shop), in_doubt(shop)
    shop.now += timedelta(minutes=1)
    message = {id_: shop.messages(id_)[0].id for id_ in (first, second)}
    one_by_one = FakeLookup(
        Channel.EMAIL,
        lambda sought, now: found(EventKind.DELIVERED, sid=sought.send_id)(sought, now),
    )

    counts = in_each_others_way(
        shop.engine,
        select(Message.id).where(Message.id == message[first]),
        select(Message.id).where(Message.id == message[second]),
        lambda: look(shop, one_by_one),
    )

    assert (counts.looked, counts.resolved) == (2, 2)
    assert {shop.messages(id_)[0].state for id_ in message} == {MessageState.DELIVERED}


def test_a_stop_that_met_another_transaction_stops_all_the_same(shop: Shop) -> None:
    """A move locks the enrollment, then its messages; news and settling lock a message first."""
    one = shop.enroll()
    queue_due(shop.run())
    [mail] = shop.messages(one)

    moved = in_each_others_way(
        shop.engine,
        select(Enrollment.id).where(Enrollment.id == one),
        select(Message.id).where(Message.id == mail.id),
        lambda: transacted(
            shop.engine,
            "customer.by_hand",
            lambda session: move_all(
                session, [one], EnrollmentEvent.OPTED_OUT, now=shop.now, why="asked"
            ),
        ),
    )

    assert moved == [one]
    assert [row.state for row in shop.messages(one)] == [MessageState.CANCELED]
