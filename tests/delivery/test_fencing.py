"""A worker that lost its lease, and our own switch: asked in the claim and before each call."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session

from tests.delivery.desks import claimed_at_desk, failing
from tests.delivery.shop import Shop
from winback.database.engine import make_engine
from winback.database.tables import Message, Voucher, Worker
from winback.delivery.calling import POLL, Desk
from winback.delivery.claiming import claim
from winback.delivery.composing import Claimed
from winback.delivery.counts import SendCounts
from winback.delivery.doubting import LOOKS, settle_doubts
from winback.delivery.due import due_messages
from winback.delivery.isolating import Isolation
from winback.delivery.leases import LEASE, LeaseLost, begin_worker, end_worker
from winback.delivery.queueing import queue_due
from winback.delivery.recording import record_results
from winback.delivery.results import Called, NotCalled
from winback.delivery.setback import LASTS
from winback.delivery.settling import Verdict, settle_by_hand
from winback.enrollment.pausing import PauseScope, pause, resume
from winback.providers.outgoing import Accepted, Busy, Outgoing, Refused, Result
from winback.states import Channel, MessageState, VoucherState

S = MessageState
DAY = timedelta(days=1)


def others_take_over(shop: Shop) -> None:
    """Let the worker stand still for a minute, and another one come by meanwhile."""
    shop.clock.set_to(shop.now + LEASE)
    with Session(shop.engine) as session:
        session.execute(update(Worker).values(place="elsewhere"))
        session.commit()
    settle_doubts(shop.run(), Isolation("message"), at=shop.clock.now())


def taking_over(shop: Shop, result: Result) -> Callable[[Outgoing], Result]:
    """Answer with a result that comes after others took over."""

    def answer(_: Outgoing) -> Result:
        others_take_over(shop)
        return result

    return answer


def test_a_worker_that_lost_its_lease_calls_nobody_and_its_acceptance_counts(shop: Shop) -> None:
    """Stopped for a minute: what it had called is in doubt until its late word (DS-10)."""
    shop.limit(in_flight=1)
    for _ in range(3):
        shop.enroll()
    shop.mail.answer = taking_over(shop, Accepted("late"))

    counts = shop.send()

    assert counts == SendCounts(accepted=1)
    assert len(shop.mail.sent) == 1
    first, second, third = shop.messages()
    assert (first.state, first.provider_message_id, first.look_at) == (S.ACCEPTED, "late", None)
    assert (second.state, third.state) == (S.QUEUED, S.QUEUED)
    shop.mail.answer = None
    assert shop.send().accepted == 2


def test_a_late_acceptance_repairs_what_an_operator_called_not_sent(shop: Shop) -> None:
    """Late evidence repairs the row and its code and sends nothing: the customer has both (P1)."""

    def answer(_: Outgoing) -> Result:
        others_take_over(shop)
        (message,) = shop.messages()
        with Session(shop.engine) as session, session.begin():
            settle_by_hand(session, shop.business, message.id, Verdict.NOT_SENT, now=shop.now)
        return Accepted("late")

    shop.mail.answer = answer
    one = shop.enroll(next_step="voucher")

    shop.send()
    shop.mail.answer = None
    shop.send()

    (message,) = shop.messages(one)
    assert (message.state, message.reason, message.settled_at) == (S.ACCEPTED, "", None)
    assert (message.accepted_at, message.provider_message_id) == (shop.now, "late")
    assert message.cost == shop.business.settings.economics.email_cost
    with Session(shop.engine) as session:
        code = session.scalars(select(Voucher).where(Voucher.id == message.voucher_id)).one()
    assert (code.state, code.issued_by) == (VoucherState.ISSUED, message.id)
    assert len(shop.mail.sent) == 1


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(Busy(5), id="busy"),
        pytest.param(Refused("400", "no", "message"), id="refused"),
        pytest.param(Refused("401", "no", "channel"), id="account"),
    ],
)
def test_a_late_word_that_is_no_evidence_of_sending_changes_nothing(
    shop: Shop, result: Result
) -> None:
    """What others took for lost is never queued again, and its step is not tried elsewhere (P1)."""
    shop.mail.answer = taking_over(shop, result)
    one = shop.enroll()

    shop.send()

    (message,) = shop.messages(one)
    assert message.state is S.UNCONFIRMED
    assert message.reason == "the worker died before it could note the result"
    assert shop.passages(one) == {}


def add_claimed(shop: Shop, worker_id: int | None, claimed_at: datetime) -> int:
    """Add a message that a worker claimed and has no result of."""
    enrollment_id = shop.enroll(due_on=(shop.now + DAY).date())
    values: dict[str, Any] = {
        "enrollment_id": enrollment_id,
        "customer_id": shop.enrollment(enrollment_id).customer_id,
        "step": "concern",
        "channel": Channel.EMAIL,
        "state": S.SENDING,
        "queued_at": claimed_at,
        "due_at": claimed_at,
        "drop_at": claimed_at + 7 * DAY,
        "claimed_at": claimed_at,
        "send_id": f"send-{enrollment_id}",
        "worker_id": worker_id,
    }
    with Session(shop.engine) as session, session.begin():
        return session.execute(insert(Message).values(values).returning(Message.id)).scalar_one()


def test_a_claim_is_as_good_as_its_worker_and_not_as_its_age(shop: Shop) -> None:
    """Of a slow worker that lives nothing is taken, of one that is gone everything (DS-10)."""
    with Session(shop.engine) as session, session.begin():
        lives, ended = begin_worker(session, shop.now), begin_worker(session, shop.now)
        session.execute(update(Worker).where(Worker.id == ended).values(ended_at=shop.now))
    hours_ago = shop.now - timedelta(hours=3)
    slow = add_claimed(shop, lives, hours_ago)
    gone = add_claimed(shop, ended, shop.now)
    before_leases = add_claimed(shop, None, hours_ago)
    forgotten = add_claimed(shop, 4711, shop.now)

    counts = shop.send()

    assert counts.unconfirmed == 3
    found = {one.id: (one.state, one.look_at) for one in shop.messages()}
    assert found[slow] == (S.SENDING, None)
    assert found[gone] == found[forgotten] == (S.UNCONFIRMED, shop.now + LOOKS[0])
    assert found[before_leases] == (S.UNCONFIRMED, hours_ago + LOOKS[0])


@pytest.fixture
def claimed(shop: Shop) -> tuple[Desk, Claimed]:
    """Give a claimed message, and the desk that would call for it."""
    shop.enroll()
    desk, (one,) = claimed_at_desk(shop, Channel.EMAIL)
    return desk, one


async def test_no_call_is_made_after_the_lease_is_lost(
    shop: Shop, claimed: tuple[Desk, Claimed]
) -> None:
    """Right before the call the last written beat must be less than a minute old (DS-10)."""
    desk, one = claimed
    others_take_over(shop)

    called = await desk.call(one)

    assert called.result == NotCalled("the worker stood still too long to call")
    assert shop.mail.sent == []


async def test_who_stood_still_unnoticed_beats_and_goes_on(
    shop: Shop, claimed: tuple[Desk, Claimed]
) -> None:
    """A laptop that slept need not give back what nobody has taken from it."""
    desk, one = claimed
    shop.clock.set_to(shop.now + LEASE)

    called = await desk.call(one)

    assert isinstance(called.result, Accepted)
    assert desk.lease.holds(shop.now + 2 * LEASE - timedelta(seconds=1))


async def test_a_beat_that_fails_is_tried_once_for_a_whole_batch(shop: Shop) -> None:
    """Each try may wait two seconds for a lock, and the loop with it: the others go back at once.

    A second later it beats again, and nothing was lost (P2).
    """
    for _ in range(8):
        shop.enroll()
    desk, batch = claimed_at_desk(shop, Channel.EMAIL)
    shop.clock.set_to(shop.now + LEASE)

    with failing(shop.engine, "workers") as tries:
        called = await asyncio.gather(*map(desk.call, batch))
    shop.clock.set_to(shop.now + LEASE + LASTS)
    later = await asyncio.gather(*map(desk.call, batch))

    assert len(tries) == 1
    assert {one.result for one in called} == {
        NotCalled("not called with OperationalError", again=True)
    }
    assert {type(one.result) for one in later} == {Accepted}


async def test_our_switch_is_seen_before_the_call(
    shop: Shop, claimed: tuple[Desk, Claimed]
) -> None:
    """Between claim and call a pause stops the message, within one poll (DS-15)."""
    desk, one = claimed
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.ALL, by="operator", why="a fire", now=shop.now)
    shop.clock.set_to(shop.now + POLL)

    called = await desk.call(one)

    assert called.result == NotCalled("paused: a fire", again=True)
    assert shop.mail.sent == []


def test_a_country_that_is_paused_is_seen_before_the_call(shop: Shop) -> None:
    """A text in line for the pace is stopped by the pause of its country, too (DS-15, TW-17)."""
    pace = shop.business.settings.policies.pace.model_copy(update={"sms": 0.1})
    shop.limit(pace=pace)
    for number in ("+447400123451", "+447400123452", "+447400123453"):
        shop.enroll(next_step="check-in", phones=[number])

    def look(at: float) -> None:
        if at == 8.0:
            with Session(shop.engine) as session, session.begin():
                pause(session, PauseScope.COUNTRY, "GB", by="operator", why="", now=shop.now)

    shop.send_in_time(look)

    assert shop.texts.sent_at == [0.0]
    assert S.SENDING not in {one.state for one in shop.messages()}


async def test_the_switch_is_asked_once_a_second_for_all_calls(
    shop: Shop, claimed: tuple[Desk, Claimed]
) -> None:
    """However many calls are made, the database is asked once a poll."""
    desk, one = claimed
    asked: list[str] = []

    @event.listens_for(shop.engine, "before_cursor_execute")
    def _note(*said: Any) -> None:
        asked.append(said[2])

    for _ in range(3):
        await desk.call(one)
        shop.clock.set_to(shop.clock.now() + POLL / 2)

    assert len(shop.mail.sent) == 3
    assert len([one for one in asked if "FROM pauses" in one]) == 1


def test_a_pause_in_the_middle_stops_the_rest_and_loses_nothing(shop: Shop) -> None:
    """What was claimed and not called goes back as it was, and leaves when it goes on (P2)."""
    shop.limit(in_flight=2)

    def answer(_: Outgoing) -> Result:
        if len(shop.mail.sent) == 3:
            with Session(shop.engine) as session, session.begin():
                pause(session, PauseScope.CHANNEL, "email", by="operator", why="", now=shop.now)
        return Accepted("id")

    shop.mail.answer = answer
    for _ in range(6):
        shop.enroll()

    counts = shop.send()
    with Session(shop.engine) as session, session.begin():
        resume(session, PauseScope.CHANNEL, "email", now=shop.now, zone=shop.business.zone)
    shop.mail.answer = None
    again = shop.send()

    assert counts.accepted + counts.postponed == 6
    assert 3 <= counts.accepted <= 4
    assert again.accepted == counts.postponed
    assert len(shop.mail.sent) == 6


def test_what_stands_still_does_not_turn_stale(shop: Shop) -> None:
    """While it is paused nothing is dropped, and the wait is told once (DS-15)."""
    shop.enroll()
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.ALL, by="operator", why="holidays", now=shop.now)

    first = shop.send()
    shop.now += 30 * DAY
    second = shop.send()
    with Session(shop.engine) as session, session.begin():
        resume(session, PauseScope.ALL, now=shop.now, zone=shop.business.zone)
    third = shop.send()

    assert (first.postponed, second.postponed, second.skipped) == (1, 1, 0)
    assert third.accepted == 1
    (message,) = shop.messages()
    assert shop.decisions(message.enrollment_id) == [("postponed", "concern: paused: holidays")]


def test_an_interrupted_wait_for_the_pace_is_no_doubt(shop: Shop) -> None:
    """Stopped while it stood in line, a message was surely not sent: it is owed again (P2)."""
    pace = shop.business.settings.policies.pace.model_copy(update={"email": 0.5})
    shop.limit(pace=pace)
    for _ in range(3):
        shop.enroll()

    def answer(_: Outgoing) -> Result:
        raise KeyboardInterrupt

    shop.mail.answer = answer
    with pytest.raises(KeyboardInterrupt):
        shop.send_in_time()

    assert sorted(one.state for one in shop.messages()) == [S.QUEUED, S.QUEUED, S.UNCONFIRMED]


async def test_an_error_before_the_call_is_no_doubt(
    claimed: tuple[Desk, Claimed], caplog: pytest.LogCaptureFixture
) -> None:
    """What broke while nobody was called leaves the message owed, and only its kind is told."""
    desk, one = claimed
    nowhere = make_engine("sqlite://")
    run = replace(desk.run, business=replace(desk.run.business, engine=nowhere))
    without_database = Desk(run, desk.senders, desk.lease, desk.clock)

    called = await without_database.call(one)
    nowhere.dispose()

    assert called.result == NotCalled("not called with OperationalError", again=True)
    assert caplog.messages == [f"message {one.message_id}: not called with OperationalError"]


def test_the_claim_itself_asks_whether_its_worker_still_lives(shop: Shop) -> None:
    """Between the last look at the lease and the claim others may have ended it (DS-10)."""
    shop.enroll()
    run = shop.run()
    queue_due(run)
    with Session(shop.engine) as session, session.begin():
        worker = begin_worker(session, shop.now)
        end_worker(session, worker, shop.now)
        ids = due_messages(session, shop.now)[Channel.EMAIL]

    with Session(shop.engine) as session, pytest.raises(LeaseLost):
        claim(session, run, ids, resting={}, worker_id=worker)

    assert [one.state for one in shop.messages()] == [S.QUEUED]


def test_a_claim_that_did_not_count_gives_back_nobody_elses(shop: Shop) -> None:
    """Whose commit was undone unseen has no say over who claimed since (DS-10, DS-23)."""
    shop.enroll()
    run = shop.run()
    queue_due(run)
    with Session(shop.engine) as session, session.begin():
        worker = begin_worker(session, shop.now)
        ids = due_messages(session, shop.now)[Channel.EMAIL]
    claims = []
    for counts in (False, True):
        with Session(shop.engine) as session:
            claims += claim(session, run, ids, resting={}, worker_id=worker).claimed
            if counts:
                session.commit()
    undone, held = claims

    with Session(shop.engine) as session, session.begin():
        record_results(session, run, [Called(undone, NotCalled("interrupted"))])

    row = shop.messages()[0]
    assert (row.state, row.send_id) == (S.SENDING, held.send_id)


def test_a_send_id_is_fresh_for_each_claim(shop: Shop) -> None:
    """The send id is the row's fencing token: an old claim's word never fits a new one (DS-10)."""
    shop.rng = Random(1)  # noqa: S311 - tests replay
    shop.mail.answer = lambda _: Busy(0)
    shop.enroll()
    sent = []
    for _ in range(3):
        shop.send()
        with Session(shop.engine) as session:
            sent.append(session.scalars(select(Message.send_id)).one())
        shop.now += timedelta(minutes=5)

    assert len(set(sent)) == 3
