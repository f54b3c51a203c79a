"""A day in the present goes with the time, stage after stage; one that stands, stands."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.clock import ForwardClock, SetClock
from winback.database.tables import Enrollment, StageRun
from winback.day import Day, detect, measure, respond, send
from winback.states import EnrollmentState, MessageState

EVENING = datetime(2026, 3, 2, 19, 40, tzinfo=UTC)
"""Twenty minutes before texts must rest."""

SLOW_PULL = timedelta(minutes=30)


def open_shop(shop: Shop, clock: SetClock, *, is_present: bool) -> Day:
    """Give a day of the shop that begins when the clock says."""
    now = clock.now()
    senders = {one.channel: one for one in (shop.mail, shop.texts)}
    goes_by = ForwardClock(clock, now) if is_present else None
    return Day(shop.business, now, clock, senders, rng=shop.rng, goes_by=goes_by)


def test_a_slow_pull_takes_no_text_past_its_hours(shop: Shop) -> None:
    """P4: what is sent after half an hour of pulling keeps the hours of that moment."""
    shop.now = EVENING
    shop.enroll(next_step="check-in")
    clock = SetClock(EVENING)
    day = open_shop(shop, clock, is_present=True)

    clock.set_to(EVENING + SLOW_PULL)
    counts = asyncio.run(send(day))

    assert (counts["accepted"], counts["postponed"]) == (0, 1)
    assert shop.texts.sent == []


def test_a_purchase_that_was_just_pulled_stops_the_mail(shop: Shop) -> None:
    """Nobody who bought while we pulled is told that we miss them."""
    shop.now = EVENING
    bought = shop.enroll()
    with Session(shop.engine) as session, session.begin():
        customer_id = session.get_one(Enrollment, bought).customer_id
        shop.add_purchase(session, customer_id, EVENING + timedelta(minutes=5))
    clock = SetClock(EVENING)
    day = open_shop(shop, clock, is_present=True)

    clock.set_to(EVENING + SLOW_PULL)
    asyncio.run(send(day))
    asyncio.run(respond(day))

    assert shop.mail.sent == []
    assert shop.enrollment(bought).state is EnrollmentState.CONVERTED


def test_a_day_that_stands_sends_as_of_its_instant(shop: Shop) -> None:
    """``--as-of`` gives the same whatever time it takes: replays, the demo, the simulation."""
    shop.now = EVENING
    sent = shop.enroll(next_step="check-in")
    clock = SetClock(EVENING)
    day = open_shop(shop, clock, is_present=False)

    clock.set_to(EVENING + SLOW_PULL)
    counts = asyncio.run(send(day))

    assert counts["accepted"] == 1
    (message,) = shop.messages(sent)
    assert (message.state, message.claimed_at) == (MessageState.ACCEPTED, EVENING)


def test_each_stage_notes_its_own_instant(shop: Shop) -> None:
    """The record says when each stage happened, and a clock that is set back takes none back."""
    clock = SetClock(EVENING)
    day = open_shop(shop, clock, is_present=True)
    minute = timedelta(minutes=1)

    for stage, at in ((detect, minute), (send, 2 * minute), (respond, -minute), (measure, minute)):
        clock.set_to(EVENING + at)
        asyncio.run(stage(day))

    with Session(shop.engine) as session:
        happened = session.scalars(select(StageRun.as_of).order_by(StageRun.id)).all()
    assert [at - EVENING for at in happened] == [minute, 2 * minute, 2 * minute, 2 * minute]
