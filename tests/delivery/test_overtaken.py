"""A step is sent only while it is the one that its enrollment stands at, however it came about."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.delivery.queueing import queue_messages
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.enrollment.progress import go_to, resume, sleep
from winback.providers.outgoing import Busy, Outgoing, Refused, Result
from winback.states import Channel, MessageState

S = MessageState
SMS, EMAIL = Channel.SMS, Channel.EMAIL
BUSY = Busy(None, "429 busy")
NO_MOBILE = Refused("21614", "not a mobile number", "address_invalid")

Wish = Callable[[Session, Shop, int], Any]
"""What happens to an enrollment while its provider is being called."""


def falls_asleep(session: Session, shop: Shop, enrollment_id: int) -> None:
    """Let somebody ask to be left till later."""
    until = shop.now.date() + 90 * DAY
    zone = shop.business.zone
    assert sleep(session, enrollment_id, until=until, now=shop.now, zone=zone, why="a hard time")


def goes_on_to_voucher(session: Session, shop: Shop, enrollment_id: int) -> None:
    """Let somebody say that it was the price."""
    assert go_to(
        session, enrollment_id, "voucher", now=shop.now, zone=shop.business.zone, why="price"
    )


def is_handed_over(session: Session, shop: Shop, enrollment_id: int) -> None:
    """Let somebody write back."""
    move(session, enrollment_id, EnrollmentEvent.HANDED_OVER, now=shop.now, why="a reply")


def at_check_in(shop: Shop) -> int:
    """Give somebody whose text is due today."""
    return shop.enroll(next_step="check-in")


def send_meanwhile(shop: Shop, enrollment_id: int, wish: Wish, result: Result) -> None:
    """Send; while the text is being called, what somebody wishes is done."""

    def answer(_: Outgoing) -> Result:
        shop.texts.answer = None
        with Session(shop.engine) as session, session.begin():
            wish(session, shop, enrollment_id)
        return result

    shop.texts.answer = answer
    shop.send()


@pytest.mark.parametrize("result", [BUSY, NO_MOBILE])
def test_a_wish_to_wait_stops_what_was_being_called(shop: Shop, result: Result) -> None:
    """P10: what surely was not sent is not sent to a sleeper, and still due when they wake."""
    one = at_check_in(shop)

    send_meanwhile(shop, one, falls_asleep, result)

    (text,) = shop.messages(one)
    assert text.state is (S.CANCELED if result is BUSY else S.FAILED)
    for _ in range(3):
        shop.now += DAY
        shop.send()
    assert len(shop.messages(one)) == 1
    assert shop.passages(one) == {}
    shop.now += 90 * DAY
    shop.send()
    *_, last = shop.messages(one)
    by = SMS if result is BUSY else EMAIL
    assert (last.step, last.channel, last.state) == ("check-in", by, S.ACCEPTED)


@pytest.mark.parametrize("result", [BUSY, NO_MOBILE])
def test_who_went_on_does_not_get_the_step_before(shop: Shop, result: Result) -> None:
    """P1, P10: a step that was jumped over while it was called is over, and says why."""
    one = at_check_in(shop)

    send_meanwhile(shop, one, goes_on_to_voucher, result)

    for _ in range(3):
        shop.now += DAY
        shop.send()
    ended = (S.CANCELED, "skipped") if result is BUSY else (S.FAILED, "failed")
    assert shop.states(one) == [("check-in", SMS, ended[0]), ("voucher", EMAIL, S.ACCEPTED)]
    assert shop.passages(one) == {"check-in": ended[1], "voucher": "accepted"}


@pytest.mark.parametrize("result", [BUSY, NO_MOBILE])
def test_the_step_stands_for_whoever_resumes(shop: Shop, result: Result) -> None:
    """P7: nothing waits in the queue of somebody who waits for an associate, nor is it lost."""
    one = at_check_in(shop)

    send_meanwhile(shop, one, is_handed_over, result)

    (text,) = shop.messages(one)
    assert text.state is (S.CANCELED if result is BUSY else S.FAILED)
    assert (shop.enrollment(one).next_step, shop.passages(one)) == ("check-in", {})
    with Session(shop.engine) as session, session.begin():
        assert resume(session, one, now=shop.now, zone=shop.business.zone, why="answered")
    shop.now += DAY
    shop.send()
    assert [step for step, _, state in shop.states(one) if state is S.ACCEPTED] == ["check-in"]


def queue(shop: Shop, enrollment_id: int, step: str) -> None:
    """Queue a step as somebody does who looked at the enrollment before it went on."""
    row = shop.enrollment(enrollment_id)
    with Session(shop.engine) as session, session.begin():
        queue_messages(
            session,
            [
                {
                    "enrollment_id": row.id,
                    "customer_id": row.customer_id,
                    "step": step,
                    "is_answer": False,
                    "channel": EMAIL,
                    "voucher_id": None,
                    "state": S.QUEUED,
                    "queued_at": shop.now,
                    "due_at": shop.now,
                    "drop_at": shop.now + 7 * DAY,
                }
            ],
        )


def test_the_last_look_asks_whether_it_is_the_steps_turn(shop: Shop) -> None:
    """P1: whatever was queued by somebody who did not know, the claim knows.

    A sleeper's step is not passed by that: it stands for the waking.
    """
    passed, asleep = shop.enroll(next_step="voucher", due_on=shop.now.date() + DAY), shop.enroll()
    with Session(shop.engine) as session, session.begin():
        falls_asleep(session, shop, asleep)
    queue(shop, passed, "check-in")
    queue(shop, asleep, "concern")

    assert shop.send().accepted == 0

    assert [one.state for one in shop.messages()] == [S.CANCELED, S.CANCELED]
    assert (shop.passages(passed), shop.passages(asleep)) == ({"check-in": "skipped"}, {})
    assert shop.enrollment(passed).next_step == "voucher"
    assert shop.enrollment(asleep).next_step == "concern"
