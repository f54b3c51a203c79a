"""Evidence of doubts: asked for by a schedule, repairs the row, never sends anything (P1, P2)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from tests.delivery.shop import DAY, Shop
from winback.customers.privacy import erase_customer
from winback.database.tables import Event, Message, Move, TemplateVersion
from winback.delivery.doubting import LOOKS
from winback.delivery.evidence import EvidenceCounts, next_look, resolve_doubts
from winback.delivery.news import apply_news
from winback.delivery.queueing import queue_due
from winback.delivery.seeking import due_for_asking
from winback.enrollment.pausing import PauseScope, pause, resume
from winback.outcomes.needs import find_needs
from winback.providers.events import RawEvent
from winback.providers.lookups import CannotTell, Found, LookedUp, NotThere, Sought
from winback.providers.outgoing import OutgoingText, Unclear
from winback.states import Channel, EventKind, MessageState, Mode

S, K = MessageState, EventKind
MINUTE = timedelta(minutes=1)
Tell = Callable[[Sought, datetime], LookedUp]


@dataclass(slots=True)
class FakeLookup:
    """A provider that keeps what it was asked, and answers as told."""

    channel: Channel
    tell: Tell = lambda _sought, _now: NotThere("not in the list")
    asked: list[Sought] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name the provider."""
        return f"fake-{self.channel}"

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Keep the question and answer."""
        await asyncio.sleep(0)
        self.asked.append(sought)
        return self.tell(sought, now)

    async def close(self) -> None:
        """Close nothing."""


def found(kind: EventKind = K.ACCEPTED, *records: RawEvent, sid: str = "p-1") -> Tell:
    """Let the provider have everything that it is asked for."""

    def tell(sought: Sought, _now: datetime) -> Found:
        accepted_at = sought.claimed_at + timedelta(seconds=3)
        return Found(
            sid, accepted_at, kind, accepted_at + MINUTE, code="1", reason="why", records=records
        )

    return tell


def look(shop: Shop, *lookups: FakeLookup) -> EvidenceCounts:
    """Look for evidence once, at the shop's instant."""
    by_channel = {one.channel: one for one in lookups}
    return asyncio.run(resolve_doubts(shop.business, by_channel, now=shop.now))


def in_doubt(shop: Shop, **fields: Any) -> int:
    """Enroll somebody whose first message ends in doubt; gives the enrollment."""
    shop.mail.answer = shop.texts.answer = lambda _: Unclear("reply lost")
    enrollment_id = shop.enroll(**fields)
    shop.send()
    shop.mail.answer = shop.texts.answer = None
    return enrollment_id


def row(shop: Shop, enrollment_id: int) -> Message:
    """Read the one message of an enrollment."""
    (message,) = shop.messages(enrollment_id)
    return message


def test_what_is_found_repairs_the_row_and_sends_nothing(shop: Shop) -> None:
    """DS-5, DS-7: found at the provider is accepted, the step is passed, no second mail goes."""
    one = in_doubt(shop)
    claimed_at = shop.now
    shop.now += MINUTE
    lookup = FakeLookup(Channel.EMAIL, found(K.DELIVERED))

    counts = look(shop, lookup)
    shop.now += timedelta(hours=1)
    again = look(shop, lookup)
    sent = shop.send()

    message = row(shop, one)
    assert (counts.looked, counts.resolved) == (1, 1)
    assert again.looked == 0
    assert (message.state, message.provider_message_id) == (S.DELIVERED, "p-1")
    assert message.accepted_at == claimed_at + timedelta(seconds=3)
    assert (message.looks, message.look_at) == (0, None)
    assert sent.accepted == 0
    assert len(shop.mail.sent) == 1
    assert shop.passages(one) == {"concern": "accepted"}
    assert lookup.asked == [
        Sought(str(message.send_id), "ann1@example.com", claimed_at, markers=())
    ]


def test_the_history_tells_how_a_doubt_was_settled(shop: Shop) -> None:
    """Acceptance and what followed are two moves, and the first says where it was found."""
    one = in_doubt(shop)
    shop.now += MINUTE

    look(shop, FakeLookup(Channel.EMAIL, found(K.BOUNCED)))

    with Session(shop.engine) as session:
        moves = session.execute(
            select(Move.from_state, Move.to_state, Move.why)
            .where(Move.thing == "message", Move.thing_id == row(shop, one).id)
            .order_by(Move.id)
        ).all()
    assert [tuple(move) for move in moves][-2:] == [
        ("unconfirmed", "accepted", "found by asking the provider"),
        ("accepted", "bounced", "why"),
    ]
    assert row(shop, one).reason == "why"


def test_looks_follow_the_schedule_and_end(shop: Shop) -> None:
    """DS-6: 1 minute, 15 minutes, 2 hours, 24 hours; then it stays unconfirmed, and listed."""
    one = in_doubt(shop)
    claimed_at = shop.now
    lookup = FakeLookup(Channel.EMAIL)
    looked_after = []

    for minutes in (0, 1, 2, 14, 15, 16, 119, 120, 600, 24 * 60, 24 * 60 + 1, 48 * 60):
        shop.now = claimed_at + timedelta(minutes=minutes)
        if look(shop, lookup).looked:
            looked_after.append(shop.now - claimed_at)

    message = row(shop, one)
    assert tuple(looked_after) == LOOKS
    assert (message.state, message.looks, message.look_at) == (S.UNCONFIRMED, 4, None)
    assert message.reason == "reply lost; look 4: not in the list"


def test_a_late_look_stands_for_those_it_missed() -> None:
    """After downtime one look is enough: what matters is when the last one was."""
    claimed_at = datetime(2026, 3, 2, 10, 0).astimezone()

    assert next_look(claimed_at, claimed_at + timedelta(hours=3)) == claimed_at + DAY
    assert next_look(claimed_at, claimed_at + 30 * DAY) is None


def test_a_provider_that_is_away_is_asked_again_and_not_for_each(shop: Shop) -> None:
    """No answer is no look; the others of its channel wait, those of the other channel do not."""
    mails = [in_doubt(shop) for _ in range(20)]
    by_text = in_doubt(shop, next_step="check-in")
    shop.now += MINUTE
    lookup = FakeLookup(Channel.EMAIL, lambda _sought, _now: CannotTell("away", is_passing=True))
    texts = FakeLookup(Channel.SMS, found())

    first = look(shop, lookup, texts)

    asked = [row(shop, one) for one in mails if row(shop, one).look_at == shop.now + 15 * MINUTE]
    assert len(asked) == len(lookup.asked) < len(mails)
    assert first.resolved == 1
    assert row(shop, by_text).state is S.ACCEPTED
    assert {row(shop, one).looks for one in mails} == {0}
    shop.now += 15 * MINUTE
    lookup.tell = found(sid="p-2")
    lookup.asked.clear()
    look(shop, lookup, texts)
    assert len(lookup.asked) == len(mails)


def test_a_provider_that_stays_away_is_not_asked_for_ever(shop: Shop) -> None:
    """After three days a question without an answer counts as asked; the row stays listed."""
    one = in_doubt(shop)
    lookup = FakeLookup(Channel.EMAIL, lambda _sought, _now: CannotTell("away", is_passing=True))

    for _ in range(5):
        shop.now += DAY
        look(shop, lookup)

    message = row(shop, one)
    assert len(lookup.asked) == 3
    assert (message.state, message.looks, message.look_at) == (S.UNCONFIRMED, 1, None)


def test_a_lookup_that_breaks_settles_nothing(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a look-up stops neither the others nor the run, and tells nobody's address."""
    first, second = in_doubt(shop), in_doubt(shop)

    def broken(sought: Sought, _now: datetime) -> LookedUp:
        if sought.address == "ann1@example.com":
            raise ValueError(sought.address)
        return found()(sought, _now)

    shop.now += MINUTE
    look(shop, FakeLookup(Channel.EMAIL, broken))

    assert row(shop, first).state is S.UNCONFIRMED
    assert row(shop, second).state is S.ACCEPTED
    assert "ValueError" in caplog.text
    assert "ann1" not in caplog.text


def test_without_a_lookup_a_doubt_waits(shop: Shop) -> None:
    """A channel that nobody can be asked about keeps its schedule for when somebody can."""
    one = in_doubt(shop)
    shop.now += MINUTE

    assert look(shop).looked == 0
    assert look(shop, FakeLookup(Channel.SMS)).looked == 0
    assert row(shop, one).looks == 0


def test_no_transaction_is_open_while_a_provider_is_asked(shop: Shop) -> None:
    """DS-2 holds for questions, too: a slow provider holds no lock."""
    in_doubt(shop)
    shop.now += MINUTE
    pool = shop.engine.pool
    assert isinstance(pool, QueuePool)
    open_meanwhile: list[int] = []

    def tell(_sought: Sought, _now: datetime) -> LookedUp:
        open_meanwhile.append(pool.checkedout())
        return NotThere("not in the list")

    look(shop, FakeLookup(Channel.EMAIL, tell))

    assert open_meanwhile == [0]


def test_news_that_comes_meanwhile_wins(shop: Shop) -> None:
    """A webhook between question and record is not written over by a list that lags."""
    one = in_doubt(shop)
    message_id = row(shop, one).id
    shop.now += MINUTE

    def tell(_sought: Sought, now: datetime) -> LookedUp:
        with Session(shop.engine) as session, session.begin():
            apply_news(session, message_id, K.DELIVERED, at=now)
        return NotThere("not in the list")

    look(shop, FakeLookup(Channel.EMAIL, tell))

    assert (row(shop, one).state, row(shop, one).reason) == (S.DELIVERED, "")


def test_what_stands_for_another_message_is_no_evidence(shop: Shop) -> None:
    """Two texts can say the same; one sid proves one message only."""
    known = shop.enroll(next_step="check-in")
    shop.send()
    one = in_doubt(shop, next_step="check-in")
    shop.now += MINUTE
    sid = str(row(shop, known).provider_message_id)

    counts = look(shop, FakeLookup(Channel.SMS, found(sid=sid)))

    assert counts.resolved == 0
    assert row(shop, one).state is S.UNCONFIRMED
    assert "belongs to another message" in row(shop, one).reason


def reminder_in_doubt(shop: Shop) -> Message:
    """Let a reminder, which carries the code of the mail before it, end in doubt."""
    one = shop.enroll(next_step="voucher")
    shop.send()
    shop.now += 17 * DAY
    shop.texts.answer = lambda _: Unclear("reply lost")
    shop.send()
    shop.now += MINUTE
    _, reminder = shop.messages(one)
    assert (reminder.step, reminder.state) == ("reminder", S.UNCONFIRMED)
    return reminder


def body_of(shop: Shop) -> str:
    """Give the words of the one text that was sent."""
    (text,) = shop.texts.sent
    assert isinstance(text, OutgoingText)
    return text.body


def test_a_text_is_sought_by_its_own_link(shop: Shop) -> None:
    """TW-34: the links of this very message, rather than a code that others carry, too."""
    reminder_in_doubt(shop)
    lookup = FakeLookup(Channel.SMS)

    look(shop, lookup)

    (sought,) = lookup.asked
    assert sought.markers
    assert all(marker.startswith("/l/") for marker in sought.markers)
    assert all(marker in body_of(shop) for marker in sought.markers)


def test_a_text_without_a_link_is_sought_by_its_code(shop: Shop) -> None:
    """TW-34: else the voucher's code."""
    reminder = reminder_in_doubt(shop)
    assert reminder.context is not None
    code = reminder.context["voucher"]["code"]
    with Session(shop.engine) as session, session.begin():
        session.execute(update(TemplateVersion).values(text="{{ voucher.code }} is yours"))
    lookup = FakeLookup(Channel.SMS)

    look(shop, lookup)

    assert [sought.markers for sought in lookup.asked] == [(code,)]


def test_a_text_with_neither_is_sought_by_its_words(shop: Shop) -> None:
    """The shipped check-in has no link on purpose: its whole words are rendered again."""
    in_doubt(shop, next_step="check-in")
    shop.now += MINUTE
    lookup = FakeLookup(Channel.SMS)

    look(shop, lookup)

    assert [sought.markers for sought in lookup.asked] == [(body_of(shop),)]


def test_a_text_whose_words_are_lost_is_not_guessed(shop: Shop) -> None:
    """What stood in it cannot be known without its template: nothing is sought by."""
    in_doubt(shop, next_step="check-in")
    shop.now += MINUTE
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Message).values(template_version_id=None))
        session.execute(delete(TemplateVersion))
    lookup = FakeLookup(Channel.SMS)

    look(shop, lookup)

    assert [sought.markers for sought in lookup.asked] == [()]


def test_nobody_is_asked_about_the_erased(shop: Shop) -> None:
    """LAW-39: the address is gone; the doubt stays, and says why it cannot be settled."""
    one = in_doubt(shop)
    with Session(shop.engine) as session, session.begin():
        customer_id = shop.enrollment(one).customer_id
        erase_customer(session, customer_id, now=shop.now, secret=shop.business.secret)
    shop.now += MINUTE
    lookup = FakeLookup(Channel.EMAIL, found())

    look(shop, lookup)

    assert lookup.asked == []
    assert row(shop, one).state is S.UNCONFIRMED
    assert "the address was erased" in row(shop, one).reason


def test_the_providers_events_are_kept_under_their_keys(shop: Shop) -> None:
    """What follows for the person takes the webhook's road; a webhook that comes later repeats."""
    one = in_doubt(shop)
    shop.now += MINUTE
    body = {"event": "delivered", "wb_send_id": row(shop, one).send_id}
    record = RawEvent("sendgrid.events:e1", "sendgrid.events", body)

    look(shop, FakeLookup(Channel.EMAIL, found(K.DELIVERED, record)))
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Message).values(state=S.ACCEPTED, looks=0))
    shop.now += 2 * DAY
    look(shop, FakeLookup(Channel.EMAIL, found(K.DELIVERED, record)))

    with Session(shop.engine) as session:
        events = session.scalars(select(Event)).all()
    assert [(event.key, event.body, event.message_id) for event in events] == [
        ("sendgrid.events:e1", body, row(shop, one).id)
    ]


@pytest.mark.parametrize(
    ("channel", "step"), [(Channel.EMAIL, "concern"), (Channel.SMS, "check-in")]
)
def test_lost_news_is_asked_for_once(shop: Shop, channel: Channel, step: str) -> None:
    """TW-33, SG-24: accepted a day ago and nothing final since: the provider is asked, once."""
    one = shop.enroll(next_step=step)
    shop.send()
    sent_at = shop.now
    lookup = FakeLookup(channel, found(sid="p-9"))

    looked = []
    for hours in (23, 24, 25, 72, 15 * 24):
        shop.now = sent_at + timedelta(hours=hours)
        looked.append(look(shop, lookup).looked)

    message = row(shop, one)
    assert looked == [0, 1, 0, 0, 0]
    assert (message.state, message.looks, message.look_at) == (S.ACCEPTED, 1, None)
    assert lookup.asked[0].provider_message_id == message.provider_message_id
    assert message.reason == ""


def test_lost_news_is_asked_for_after_a_long_pause(shop: Shop) -> None:
    """TW-33, SG-24: what counts is when it left, not when it was due before everything stood still.

    What stays without news is told of, too.
    """
    enrollment_id = shop.enroll()
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.ALL, by="operator", why="moving house", now=shop.now)
    shop.now += 16 * DAY
    with Session(shop.engine) as session, session.begin():
        resume(session, PauseScope.ALL, now=shop.now, zone=shop.business.zone)
    shop.send()
    lookup = FakeLookup(Channel.EMAIL)

    shop.now += DAY
    looked = look(shop, lookup).looked
    shop.now += 3 * DAY
    with Session(shop.engine) as session:
        needs = find_needs(session, shop.business, (), now=shop.now)

    assert [one.state for one in shop.messages(enrollment_id)] == [S.ACCEPTED]
    assert (looked, len(lookup.asked)) == (1, 1)
    assert [one.count for one in needs if one.what == "unfinished"] == [1]


def test_many_doubts_of_one_channel_keep_no_other_waiting(shop: Shop) -> None:
    """Each channel has a provider of its own: one that is away must not hide what the other has."""
    texts = [in_doubt(shop, next_step="check-in") for _ in range(3)]
    mail = in_doubt(shop)
    shop.now += MINUTE
    due = partial(due_for_asking, shop.engine, now=shop.now, mode=Mode.SANDBOX, most=2)

    asked = {one.row.id for one in due([Channel.SMS, Channel.EMAIL])}

    expected = [row(shop, one).id for one in (*texts[:2], mail)]
    assert asked == {*expected}


def test_lost_news_that_is_found_is_applied(shop: Shop) -> None:
    """A text that was delivered although the callback got lost is told as delivered."""
    one = shop.enroll(next_step="check-in")
    shop.send()
    shop.now += DAY
    sid = str(row(shop, one).provider_message_id)

    counts = look(shop, FakeLookup(Channel.SMS, found(K.DELIVERED, sid=sid)))

    assert (counts.looked, counts.resolved) == (1, 1)
    assert row(shop, one).state is S.DELIVERED


def test_what_is_heard_of_is_not_asked_about(shop: Shop) -> None:
    """The cost follows what is unknown: whatever was delivered is nobody's question."""
    one = shop.enroll()
    shop.send()
    with Session(shop.engine) as session, session.begin():
        apply_news(session, row(shop, one).id, K.DELIVERED, at=shop.now)
    shop.now += DAY

    assert look(shop, FakeLookup(Channel.EMAIL)).looked == 0
