"""Answers: the same row and the same gate as steps, at most once."""

from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.customers.suppression import suppress
from winback.database.tables import Enrollment, Voucher
from winback.delivery.answers import queue_answer
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.merging import merge_customers
from winback.enrollment.moving import move
from winback.states import Arm, Channel, MessageState, SuppressionReason, VoucherState

S, E = MessageState, Channel.EMAIL


def answer(shop: Shop, enrollment_id: int, name: str, event: EnrollmentEvent | None = None) -> bool:
    """Queue an answer, and move the enrollment as the response that caused it does."""
    with Session(shop.engine) as session, session.begin():
        queued = queue_answer(session, enrollment_id, name, now=shop.now)
        if event is not None:
            move(session, enrollment_id, event, now=shop.now, why="a response")
    return queued


def test_thanks_follow_the_purchase_that_they_thank_for(shop: Shop) -> None:
    """Neither the final state nor the purchase refuses the thanks for it."""
    one = shop.enroll()
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Enrollment.customer_id)).one()
        shop.add_purchase(session, customer_id, shop.now - DAY)

    assert answer(shop, one, "purchase", EnrollmentEvent.PURCHASED)
    counts = shop.send()

    assert counts.accepted == 1
    assert shop.states(one) == [("purchase", E, S.ACCEPTED)]


def test_another_answer_is_refused_by_a_purchase(shop: Shop) -> None:
    """The gate applies whole to an answer that the purchase did not cause."""
    one = shop.enroll()
    assert answer(shop, one, "hours")
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Enrollment.customer_id)).one()
        shop.add_purchase(session, customer_id, shop.now)

    shop.send()

    assert ("hours", E, S.SKIPPED) in shop.states(one)


def test_an_answer_is_given_once(shop: Shop) -> None:
    """At most once per enrollment, however often the reason is tapped."""
    one = shop.enroll()

    first = answer(shop, one, "hours")
    second = answer(shop, one, "hours")
    shop.send()
    third = answer(shop, one, "hours")

    assert (first, second, third) == (True, False, False)


def test_an_answer_is_given_once_to_who_was_two_customers(shop: Shop) -> None:
    """P1: what they got through the enrollment that ended is not given by the one that goes on."""
    older = shop.enroll(due_on=shop.now.date() + 9 * DAY)
    shop.now += DAY
    younger = shop.enroll()
    other_lapse = shop.enroll(lapsed_on=date(2025, 8, 9))
    assert answer(shop, younger, "hours")
    assert answer(shop, other_lapse, "hours")
    shop.send()
    ids = [shop.enrollment(id_).customer_id for id_ in (older, younger)]
    with Session(shop.engine) as session, session.begin():
        merge_customers(session, *ids, now=shop.now, zone=shop.business.zone, currency="GBP")

    assert not answer(shop, older, "hours")
    assert not answer(shop, younger, "hours")
    assert answer(shop, older, "another")
    assert not answer(shop, younger, "another")


@pytest.mark.parametrize("is_sent_first", [True, False])
@pytest.mark.parametrize("event", [None, EnrollmentEvent.PURCHASED])
def test_a_queued_answer_is_given_once_to_who_was_two_customers(
    shop: Shop, event: EnrollmentEvent | None, *, is_sent_first: bool
) -> None:
    """P1: both asked before anybody knew that they are one person, open or through with it."""
    name = "hours" if event is None else "purchase"
    older = shop.enroll(due_on=shop.now.date() + 90 * DAY)
    shop.now += DAY
    younger = shop.enroll(due_on=shop.now.date() + 90 * DAY)
    assert answer(shop, younger, name, event)
    if is_sent_first:
        shop.send()
    assert answer(shop, older, name, event)
    ids = [shop.enrollment(id_).customer_id for id_ in (older, younger)]
    with Session(shop.engine) as session, session.begin():
        merge_customers(session, *ids, now=shop.now, zone=shop.business.zone, currency="GBP")

    for _ in range(8):
        shop.now += DAY
        shop.send()

    given = [one for one in shop.messages() if one.accepted_at is not None]
    assert [one.step for one in given] == [name]


def test_the_suppressed_get_no_answer(shop: Shop) -> None:
    """A no between queueing and sending stops the answer too (P3)."""
    one = shop.enroll()
    assert answer(shop, one, "hours")
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Enrollment.customer_id)).one()
        suppress(
            session,
            key="test",
            reason=SuppressionReason.UNSUBSCRIBED,
            source="page",
            at=shop.now,
            customer_id=customer_id,
        )

    shop.send()

    assert shop.mail.sent == []


def test_a_holdout_gets_no_answer(shop: Shop) -> None:
    """The holdout arm is left alone."""
    one = shop.enroll(arm=Arm.HOLDOUT)

    assert not answer(shop, one, "hours")
    assert not answer(shop, one, "no-such-answer")


def test_an_answer_may_carry_a_voucher(shop: Shop) -> None:
    """The apology brings its gift, after the enrollment was handed over (P6)."""
    one = shop.enroll()
    assert answer(shop, one, "service", EnrollmentEvent.HANDED_OVER)

    counts = shop.send()

    assert counts.accepted == 1
    with Session(shop.engine) as session:
        (voucher,) = session.scalars(select(Voucher).where(Voucher.enrollment_id == one))
    assert (voucher.offer, voucher.state) == ("sorry", VoucherState.ISSUED)
    assert shop.passages(one) == {}


def test_answers_count_against_the_cap(shop: Shop) -> None:
    """Caps are over all that is sent, answers included (P4)."""
    one = shop.enroll()
    shop.send()
    assert answer(shop, one, "hours")
    assert answer(shop, one, "another")

    counts = shop.send()

    assert (counts.accepted, counts.postponed) == (1, 1)
