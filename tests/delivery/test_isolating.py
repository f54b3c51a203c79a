"""One message or enrollment that nobody can work at stops nobody else's."""

import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.tables import Message, Voucher
from winback.delivery.isolating import MOST
from winback.delivery.queueing import queue_due
from winback.outcomes.needs import find_urgent
from winback.states import Channel, MessageState

WHY = "cannot be prepared: KeyError"


def enroll(shop: Shop) -> int:
    """Add a customer to whom a mail with a code is due."""
    return shop.enroll(next_step="voucher")


def name_offers(shop: Shop, offer: str, *enrollment_ids: int) -> None:
    """Queue what is due, and let the codes of these be of another offer.

    A message with the code of an offer that its campaign does not know cannot be prepared.
    """
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        session.execute(
            update(Voucher).where(Voucher.enrollment_id.in_(enrollment_ids)).values(offer=offer)
        )


def break_messages(shop: Shop, *enrollment_ids: int) -> None:
    """Queue what is due, and let the messages of these be such that nobody can prepare them."""
    name_offers(shop, "gone", *enrollment_ids)


def rename_steps(shop: Shop) -> None:
    """Queue what is due, and let it be of a step that its campaign does not know."""
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Message).values(step="gone"))


def test_a_message_that_cannot_be_prepared_waits_and_stops_nobody(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """One of many is postponed to the next day, counted and logged; all others leave."""
    fine = [enroll(shop) for _ in range(5)]
    broken = enroll(shop)
    fine += [enroll(shop) for _ in range(5)]
    break_messages(shop, broken)

    counts = shop.send()

    [waiting] = shop.messages(broken)
    assert (counts.accepted, counts.postponed) == (10, 1)
    assert {one.state for id_ in fine for one in shop.messages(id_)} == {MessageState.ACCEPTED}
    assert (waiting.state, waiting.reason) == (MessageState.QUEUED, WHY)
    assert waiting.due_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert shop.decisions(broken) == [("postponed", f"voucher: {WHY}")]
    errors = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert [f"message {waiting.id} is put aside: KeyError" in one.message for one in errors] == [
        True
    ]


def test_what_cannot_be_prepared_is_told_to_the_operator_while_it_waits(shop: Shop) -> None:
    """It must not wait for somebody to look: an alert stands until the message is gone."""
    broken = enroll(shop)
    break_messages(shop, broken)
    shop.send()
    [waiting] = shop.messages(broken)

    with Session(shop.engine) as session:
        [need] = find_urgent(session, shop.business, (), now=shop.now)

    assert (need.what, need.count) == ("unprepared", 1)
    assert f"1 message cannot be prepared ({waiting.id})" in need.says


def test_the_order_of_sending_holds_around_a_broken_message(shop: Shop) -> None:
    """Halves are called as the whole would have been: first come, first called."""
    shop.limit(in_flight=32)
    ones = [enroll(shop) for _ in range(12)]
    break_messages(shop, ones[4])

    shop.send()

    sent = [one.send_id for one in shop.mail.sent]
    claimed = [shop.messages(id_)[0].send_id for id_ in ones if id_ != ones[4]]
    assert sent == claimed


def test_a_broken_message_is_dropped_when_it_is_stale(shop: Shop) -> None:
    """Tried again each day, and told once; never kept past its ``drop_at``."""
    broken = enroll(shop)
    break_messages(shop, broken)

    for _ in range(10):
        shop.send()
        shop.now += DAY

    stale = f"voucher: stale, it could not leave in time: {WHY}"
    assert shop.messages(broken)[0].state is MessageState.SKIPPED
    assert shop.decisions(broken)[:2] == [("postponed", f"voucher: {WHY}"), ("stale", stale)]


def test_what_not_even_the_gate_can_be_asked_about_is_dropped_too(shop: Shop) -> None:
    """A message of a step that its campaign does not know goes the same way."""
    broken = enroll(shop)
    rename_steps(shop)

    for _ in range(10):
        shop.send()
        shop.now += DAY

    first, *others = shop.messages(broken)
    assert (first.step, first.state) == ("gone", MessageState.SKIPPED)
    assert first.reason == f"stale, it could not leave in time: {WHY}"
    assert MessageState.ACCEPTED in {one.state for one in others}


def test_what_is_broken_about_all_stops_the_run(shop: Shop) -> None:
    """More than a few are no fault of single messages: the run ends, and its failure is told."""
    for _ in range(MOST + 5):
        shop.enroll()
    rename_steps(shop)

    with pytest.raises(KeyError):
        shop.send()

    reasons = [one.reason for one in shop.messages() if one.step == "gone"]
    assert (reasons.count(WHY), reasons.count("")) == (MOST, 5)


def test_a_mended_message_leaves_on_the_next_day(shop: Shop) -> None:
    """What was put aside is owed: it leaves once what was broken is mended."""
    broken = enroll(shop)
    break_messages(shop, broken)
    shop.send()

    name_offers(shop, "welcome-back", broken)
    shop.now += DAY
    shop.send()

    assert shop.states(broken) == [("voucher", Channel.EMAIL, MessageState.ACCEPTED)]
    with Session(shop.engine) as session:
        assert find_urgent(session, shop.business, (), now=shop.now) == ()
