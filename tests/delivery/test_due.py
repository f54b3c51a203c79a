"""What a run takes up again by itself, and when it leaves a message to the next run."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.database.tables import Enrollment, Message
from winback.delivery.due import MOST_TIMES, Due
from winback.delivery.queueing import queue_due
from winback.enrollment.pausing import Pauses, PauseScope, pause, resume
from winback.states import Channel, MessageState

S = MessageState


def keep_pace(shop: Shop, per_second: float) -> None:
    """Let so many mails leave a second."""
    pace = shop.business.settings.policies.pace
    shop.limit(pace=pace.model_copy(update={"email": per_second}))


def claims(shop: Shop) -> list[str]:
    """Give the list to which each claim from now on is added."""
    made: list[str] = []

    @event.listens_for(shop.engine, "before_cursor_execute")
    def _note(*said: Any) -> None:
        if "priority, enrollments.lapsed_on DESC" in said[2] and "drop_at" in said[2]:
            made.append(said[2])

    return made


def send_while_held(shop: Shop, enrollment_id: int, *, until: float) -> int:
    """Send while another transaction holds an enrollment for so many seconds; gives the accepted.

    Whoever moves one holds it so.
    """
    with Session(shop.engine) as other, ExitStack() as held:
        other.execute(select(Enrollment.id).where(Enrollment.id == enrollment_id).with_for_update())
        held.callback(other.rollback)

        def look(at: float) -> None:
            if at == until:
                held.close()

        return shop.send_in_time(look).accepted


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_transaction_held_at_the_claim_leaves_in_the_same_run(shop: Shop) -> None:
    """A response that moves nothing makes nobody wait for the next run."""
    keep_pace(shop, 1.0)
    held, *_ = [shop.enroll() for _ in range(15)]
    queue_due(shop.run())

    assert send_while_held(shop, held, until=3.0) == 15

    assert {one.state for one in shop.messages()} == {S.ACCEPTED}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_last_one_that_is_held_is_waited_for_a_moment(shop: Shop) -> None:
    """Where nothing else is left to do, too: such transactions are over soon."""
    held = shop.enroll()
    queue_due(shop.run())

    assert send_while_held(shop, held, until=2.0) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_holds_a_message_for_long_holds_up_no_run(shop: Shop) -> None:
    """It is asked for a few times, and left to the next run."""
    held = shop.enroll()
    queue_due(shop.run())
    made = claims(shop)

    assert send_while_held(shop, held, until=600.0) == 0

    assert len(made) == 1 + MOST_TIMES
    assert shop.send().accepted == 1


def test_what_our_switch_stopped_leaves_in_the_same_run_when_it_goes_on(shop: Shop) -> None:
    """Paused and resumed in the middle of a long pass: nothing waits for the next run."""
    keep_pace(shop, 1.0)
    texts = [shop.enroll(next_step="check-in") for _ in range(3)]
    for _ in range(20):
        shop.enroll(phones=[])
    switch = {"scope": PauseScope.CHANNEL, "name": Channel.SMS.value}
    with Session(shop.engine) as session, session.begin():
        pause(session, **switch, by="operator", why="", now=shop.now)  # type: ignore[arg-type]

    def look(at: float) -> None:
        if at == 4.0:
            with Session(shop.engine) as session, session.begin():
                resume(session, PauseScope.CHANNEL, "sms", now=shop.now, zone=shop.business.zone)

    counts = shop.send_in_time(look)

    assert (counts.accepted, counts.postponed) == (23, 0)
    assert {shop.states(one)[0][2] for one in texts} == {S.ACCEPTED}


def test_a_switch_that_was_changed_twice_lets_go_what_it_stopped_first() -> None:
    """Mails were stopped, then texts instead: what waits for the former is asked about again."""
    mails, texts = (Pauses(channels={one: ""}) for one in (Channel.EMAIL, Channel.SMS))
    for second, is_free in ((mails, False), (texts, True)):
        due = Due()
        due.stop([1], mails)
        due.stop([2], second)
        due.stop([], Pauses())
        assert due.is_switched(second) is is_free


def test_what_stands_still_is_claimed_once_a_run(shop: Shop) -> None:
    """However long the pass takes: only a change of the switch is a reason to ask anew."""
    keep_pace(shop, 1.0)
    shop.enroll(next_step="check-in")
    for _ in range(20):
        shop.enroll(phones=[])
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.CHANNEL, "sms", by="operator", why="", now=shop.now)
    alone = claims(shop)

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (20, 1)
    assert len(alone) <= 21


def test_a_message_that_cannot_be_called_comes_back_a_few_times_and_no_more(shop: Shop) -> None:
    """A pace that nobody can ask for turns: no hot loop, and the next run sends it."""
    keep_pace(shop, 1.0)
    shop.enroll()
    made, is_locked = claims(shop), True

    @event.listens_for(shop.engine, "before_cursor_execute")
    def _lock(*said: Any) -> None:
        if is_locked and said[2].startswith("INSERT INTO paces"):
            assert len(made) < 100, "it turns round and round"
            raise OperationalError(None, None, Exception("the row is locked"))

    took: list[float] = []
    counts = shop.send_in_time(took.append)
    first = len(made)
    is_locked = False
    shop.now += timedelta(minutes=1)
    again = shop.send()

    assert (counts.accepted, counts.postponed, again.accepted) == (0, 1, 1)
    assert first == 1 + MOST_TIMES
    assert 10 < max(took) < 30, "each try comes later than the one before"


def test_others_leave_though_one_channel_comes_back(shop: Shop) -> None:
    """While texts wait a moment for another try, mails go on."""
    pace = shop.business.settings.policies.pace
    shop.limit(pace=pace.model_copy(update={"sms": 1.0}))
    shop.enroll(next_step="check-in")
    for _ in range(5):
        shop.enroll(phones=[])

    @event.listens_for(shop.engine, "before_cursor_execute")
    def _lock(*said: Any) -> None:
        if said[2].startswith("INSERT INTO paces"):
            raise OperationalError(None, None, Exception("the row is locked"))

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (5, 1)
    assert max(shop.mail.sent_at) < 1
    with Session(shop.engine) as session:
        assert set(session.scalars(select(Message.state))) == {S.ACCEPTED, S.QUEUED}
