"""How the loop spends its time: pace, hours in a long run, results soon, channels side by side."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.database.tables import Message
from winback.delivery.answers import queue_answer
from winback.providers.outgoing import Accepted, Outgoing, OutgoingText, Result
from winback.states import Channel, MessageState

E, T = Channel.EMAIL, Channel.SMS
S = MessageState


def keep_pace(shop: Shop, **per_second: float) -> None:
    """Let so many leave a second, by channel."""
    pace = shop.business.settings.policies.pace
    shop.limit(pace=pace.model_copy(update=per_second))


def test_a_paced_channel_leaves_evenly(shop: Shop) -> None:
    """Two mails a second, one second's worth at once, whatever the calls take (TW-19)."""
    keep_pace(shop, email=2.0)
    shop.mail.takes = lambda _: 3.0
    for _ in range(8):
        shop.enroll()

    assert shop.send_in_time().accepted == 8

    # Three: the two that a second had gathered, and the one that was due.
    assert sorted(shop.mail.sent_at) == pytest.approx([0, 0, 0, 0.5, 1, 1.5, 2, 2.5])


def test_texts_are_paced_by_their_segments(shop: Shop) -> None:
    """A text of two segments takes two turns at the sender's queue (TW-19)."""
    keep_pace(shop, sms=1.0)
    for _ in range(3):
        shop.enroll(next_step="check-in")

    shop.send_in_time()

    segments = [one.segments for one in shop.messages()]
    assert all(segments)
    gaps = [b - a for a, b in pairwise(sorted(shop.texts.sent_at))]
    # A second's worth had gathered before the first.
    assert sum(gaps) == pytest.approx(sum(filter(None, segments[:-1])) - 1)


def test_a_slow_channel_keeps_no_other_waiting(shop: Shop) -> None:
    """Texts at one a second and mails as fast as they go leave side by side."""
    keep_pace(shop, sms=1.0)
    shop.limit(in_flight=4)
    for _ in range(5):
        shop.enroll(next_step="check-in")
        for _ in range(4):
            shop.enroll()

    counts = shop.send_in_time()

    assert counts.accepted == 25
    assert max(shop.mail.sent_at) < 1
    assert max(shop.texts.sent_at) == pytest.approx(3)


def test_a_slow_provider_keeps_no_other_waiting(shop: Shop) -> None:
    """Mails that take long fill their half of the calls, and texts go through the other."""
    shop.limit(in_flight=8)
    shop.mail.takes = lambda _: 10.0
    shop.texts.takes = lambda _: 0.1
    for _ in range(12):
        shop.enroll()
        shop.enroll(next_step="check-in")

    shop.send_in_time()

    assert max(shop.texts.sent_at) < 1
    assert max(shop.mail.sent_at) == pytest.approx(10)
    assert max(shop.mail.most_at_once, shop.texts.most_at_once) <= 8


@pytest.mark.parametrize("in_flight", [1, 2, 7, 64])
def test_no_more_calls_are_on_their_way_than_the_setting_says(shop: Shop, in_flight: int) -> None:
    """What a killed worker leaves in doubt is bounded by ``policies.in_flight``."""
    shop.limit(in_flight=in_flight)
    shop.mail.takes = lambda _: 1.0
    for _ in range(20):
        shop.enroll()
    most = 0

    def answer(_: Outgoing) -> Result:
        nonlocal most
        with Session(shop.engine) as session:
            claimed = session.scalars(select(Message.id).where(Message.state == S.SENDING)).all()
        most = max(most, len(claimed))
        return Accepted("id")

    shop.mail.answer = answer
    counts = shop.send_in_time()

    assert counts.accepted == 20
    assert shop.mail.most_at_once <= in_flight
    # Claimed is what is called, and what came back within the last half second.
    assert most <= 2 * in_flight


def test_results_are_written_down_within_a_second(shop: Shop) -> None:
    """A call that hangs keeps no other result waiting: a crash then would doubt them all."""
    shop.mail.takes = lambda message: 30.0 if "ann1@" in str(message) else 0.1
    for _ in range(6):
        shop.enroll()
    seen: list[tuple[float, int]] = []

    def look(at: float) -> None:
        with Session(shop.engine) as session:
            states = session.scalars(select(Message.state)).all()
        seen.append((at, states.count(S.ACCEPTED)))

    shop.send_in_time(look)

    assert seen[0] == (1.0, 5)


def test_a_long_run_keeps_the_hours(shop: Shop) -> None:
    """What would leave after the window's end waits for tomorrow, though the run began in time."""
    keep_pace(shop, sms=0.05)
    shop.now = shop.now.replace(hour=19, minute=45)
    for _ in range(50):
        shop.enroll(next_step="check-in")

    counts = shop.send_in_time()

    assert counts.accepted + counts.postponed == 50
    assert 20 < counts.accepted < 40
    # London closes at 20:00 on a Monday; nothing may even lie in the provider's queue then.
    for text, sent_at in zip(shop.texts.sent, shop.texts.sent_at, strict=True):
        assert isinstance(text, OutgoingText)
        assert sent_at + text.valid_for_seconds <= 15 * 60
    tomorrow = (shop.now + timedelta(days=1)).replace(hour=9, minute=0, second=0)
    waiting = {one.due_at for one in shop.messages() if one.state is S.QUEUED}
    assert waiting == {tomorrow}


def test_answers_go_first_then_campaigns_by_priority_then_newest_lapses(shop: Shop) -> None:
    """Who goes first when a limit is near is a setting, not chance (DESIGN.md, section 7)."""
    shop.limit(in_flight=2)
    later = shop.campaign.model_copy(update={"priority": 5})
    lapsed_on = shop.now.date() - timedelta(days=200)
    last = shop.enroll(campaign=later, lapsed_on=lapsed_on + timedelta(days=9))
    old = shop.enroll(lapsed_on=lapsed_on)
    new = shop.enroll(lapsed_on=lapsed_on + timedelta(days=1))
    answered = shop.enroll(campaign=later, due_on=None, next_step=None, lapsed_on=lapsed_on)
    with Session(shop.engine) as session, session.begin():
        queue_answer(session, answered, "hours", now=shop.now)

    shop.send_in_time()

    by_send_id = {one.send_id: one.enrollment_id for one in shop.messages()}
    assert [by_send_id[mail.send_id] for mail in shop.mail.sent] == [answered, new, old, last]


def test_an_answer_does_not_wait_for_the_end_of_a_slow_drain(shop: Shop) -> None:
    """Queued in the middle of a long pass it leaves within seconds, before all that waits."""
    keep_pace(shop, email=1.0)
    for _ in range(60):
        shop.enroll()
    asks = shop.enroll(due_on=None, next_step=None)

    def look(at: float) -> None:
        if at == 10.0:
            with Session(shop.engine) as session, session.begin():
                queue_answer(session, asks, "hours", now=shop.now + timedelta(seconds=10))

    assert shop.send_in_time(look).accepted == 61

    by_send_id = {one.send_id: one.enrollment_id for one in shop.messages()}
    sent = zip(shop.mail.sent, shop.mail.sent_at, strict=True)
    (at,) = [at for mail, at in sent if by_send_id[mail.send_id] == asks]
    assert 10 < at < 22


def test_what_others_claim_meanwhile_is_not_taken_up_again(shop: Shop) -> None:
    """A look in the middle finds what is new, and each message is still called once (P1)."""
    keep_pace(shop, email=1.0)
    for _ in range(20):
        shop.enroll()
    asks = [shop.enroll(due_on=None, next_step=None) for _ in range(3)]

    def look(at: float) -> None:
        if at in (3.0, 8.0, 13.0):
            with Session(shop.engine) as session, session.begin():
                now = shop.now + timedelta(seconds=at)
                queue_answer(session, asks.pop(), "hours", now=now)

    assert shop.send_in_time(look).accepted == 23

    assert len({mail.send_id for mail in shop.mail.sent}) == len(shop.mail.sent) == 23
    assert {one.state for one in shop.messages()} == {S.ACCEPTED}
