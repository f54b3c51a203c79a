"""What waits for a pace that others share: it is claimed late, so that every no is still heard."""

import asyncio
from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InternalError
from sqlalchemy.orm import Session

from tests.delivery.desks import LOCKED, claimed_at_desk, failing
from tests.delivery.shop import Shop
from winback.customers.suppression import suppress
from winback.database.tables import Move, Worker
from winback.delivery.pace import at_once
from winback.delivery.paces import free_from, take_turn
from winback.delivery.results import NotCalled
from winback.delivery.setback import LASTS
from winback.providers.outgoing import Accepted, OutgoingText
from winback.states import Channel, MessageState, SuppressionReason

S = MessageState
TEXTS = "fake-sms:sms"


def text_slowly(shop: Shop, *, per_second: float = 1.0) -> None:
    """Let texts keep a pace, in the sandbox too."""
    pace = shop.business.settings.policies.pace
    shop.limit(pace=pace.model_copy(update={"sms": per_second}))


def others_take(shop: Shop, amount: int, now: datetime) -> None:
    """Take what comes next of the texts' pace, as other workers do."""
    take_turn(shop.engine, TEXTS, amount, per_second=1.0, now=now)


def test_a_stop_is_heard_by_what_waits_for_its_turn(shop: Shop) -> None:
    """Behind the texts of other workers: a STOP stops all that waits (LAW-3)."""
    shop.now = shop.now.replace(hour=15)
    text_slowly(shop)
    people = [shop.enrollment(shop.enroll(next_step="check-in")).customer_id for _ in range(2)]
    others_take(shop, 150, shop.now)

    def look(at: float) -> None:
        if at == 5.0:
            with Session(shop.engine) as session, session.begin():
                for one in people:
                    suppress(
                        session,
                        key=f"stop {one}",
                        reason=SuppressionReason.STOPPED,
                        source="twilio",
                        at=shop.now + timedelta(seconds=5),
                        customer_id=one,
                    )

    counts = shop.send_in_time(look)

    assert (counts.accepted, counts.skipped) == (0, 2)
    assert shop.texts.sent == []


def test_a_text_whose_turn_comes_too_late_waits_for_the_next_window(shop: Shop) -> None:
    """Six minutes before the end of the hours, and four behind others: tomorrow (TW-4)."""
    shop.now = shop.now.replace(hour=19, minute=54)
    text_slowly(shop)
    for _ in range(3):
        shop.enroll(next_step="check-in")
    others_take(shop, 240, shop.now)

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (0, 3)
    tomorrow = (shop.now + timedelta(days=1)).replace(hour=9, minute=0)
    assert {one.due_at for one in shop.messages()} == {tomorrow}


def test_what_waited_leaves_with_what_is_left_of_its_hours(shop: Shop) -> None:
    """Behind a minute of others it leaves a minute later, with a validity that ends in time."""
    shop.now = shop.now.replace(hour=19, minute=45)
    text_slowly(shop)
    for _ in range(3):
        shop.enroll(next_step="check-in")
    others_take(shop, 60, shop.now)

    assert shop.send_in_time().accepted == 3

    for text, sent_at in zip(shop.texts.sent, shop.texts.sent_at, strict=True):
        assert isinstance(text, OutgoingText)
        assert 50 < sent_at < 80
        assert 600 < sent_at + text.valid_for_seconds <= 15 * 60


def test_it_drains_at_its_share_with_few_claims_in_vain(shop: Shop) -> None:
    """Others take half of the pace all the time: all of it leaves, and hardly any goes back."""
    text_slowly(shop)
    for _ in range(20):
        shop.enroll(next_step="check-in")

    def look(at: float) -> None:
        if at % 2 == 0:
            others_take(shop, 1, shop.now + timedelta(seconds=at))

    assert shop.send_in_time(look).accepted == 20

    with Session(shop.engine) as session:
        events = session.scalars(select(Move.event).where(Move.thing == "message")).all()
    assert events.count("give back") <= 2
    assert max(shop.texts.sent_at) < 80


async def test_nobody_waits_long_with_a_claim_in_hand(shop: Shop) -> None:
    """Others were faster: the message goes back at once, and takes no turn of the pace (LAW-3)."""
    text_slowly(shop)
    shop.enroll(next_step="check-in")
    desk, (one,) = claimed_at_desk(shop, Channel.SMS)
    others_take(shop, 100, shop.now)

    called = await desk.call(one)

    assert called.result == NotCalled("others go first at its pace", again=True)
    with Session(shop.engine) as session:
        assert free_from(session, TEXTS) == shop.now + timedelta(seconds=99)
        assert session.scalars(select(Worker.id)).all() == [desk.lease.worker_id]


async def test_a_claim_that_grew_old_is_looked_at_anew(shop: Shop) -> None:
    """However it came to wait: what was claimed long ago is not called (LAW-3)."""
    shop.enroll()
    desk, (one,) = claimed_at_desk(shop, Channel.EMAIL)
    call = desk.call(one)
    shop.clock.set_to(shop.now + timedelta(seconds=16))

    called = await call

    assert called.result == NotCalled("it waited too long for its turn", again=True)
    assert shop.mail.sent == []


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(LOCKED, id="locked"),
        pytest.param(
            InternalError(None, None, psycopg.errors.ReadOnlySqlTransaction()), id="a-standby"
        ),
    ],
)
async def test_a_pace_that_cannot_be_asked_is_asked_once_for_a_whole_batch(
    shop: Shop, error: DBAPIError
) -> None:
    """Each try may wait two seconds for a lock, and the loop with it: all others go back at once.

    A second later it is tried again, and nothing was lost (P2).
    """
    text_slowly(shop, per_second=100.0)
    for _ in range(8):
        shop.enroll(next_step="check-in")
    desk, batch = claimed_at_desk(shop, Channel.SMS)

    with failing(shop.engine, "paces", error) as tries:
        called = await asyncio.gather(*map(desk.call, batch))
    shop.clock.set_to(shop.now + LASTS)
    later = await asyncio.gather(*map(desk.call, batch))

    assert len(tries) == 1
    assert {one.result for one in called} == {
        NotCalled(f"not called with {type(error).__name__}", again=True)
    }
    assert {type(one.result) for one in later} == {Accepted}


def test_large_texts_are_claimed_one_by_one() -> None:
    """What is claimed at once is measured in segments, and by how far the pace is taken (TW-19)."""
    second = timedelta(seconds=1)
    assert at_once(4, most=32, each=4) == 2
    assert at_once(4, most=32, each=100) == 1
    assert at_once(4, most=32, ahead=second) == 4
    assert at_once(4, most=32, ahead=2 * second) == 0
