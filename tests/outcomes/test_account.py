"""The daily account comes out even, or names every message by which it does not (DS-17)."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from tests.outcomes.facts import SETTINGS, World
from winback.business import Business
from winback.database.tables import Event, Message
from winback.outcomes.account import Account, AccountDay, build_account
from winback.outcomes.artifacts import artifact_pages
from winback.outcomes.report import build_report
from winback.settings import Settings, SmsSender
from winback.states import Channel, EventKind, EventState, MessageState

NOW = datetime(2026, 3, 10, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
S = MessageState


@pytest.fixture
def with_texts(business: Business) -> Business:
    """Give the business, sending texts too."""
    return replace(business, settings=settings())


def settings(**changes: Any) -> Settings:
    """Give settings with texts; changes are keys of the business."""
    sms = SmsSender(messaging_service="MG" + "0" * 32)
    sender = SETTINGS.sender.model_copy(update={"sms": sms})
    about = SETTINGS.business.model_copy(update=changes)
    return SETTINGS.model_copy(update={"sender": sender, "business": about})


class Book(World):
    """Writes messages that were handed over at an instant, and what was reported of them."""

    def handed(self, state: MessageState, at: datetime, **fields: Any) -> Message:
        """Hand one message over; accepted unless its state says otherwise."""
        never = state in (S.UNCONFIRMED, S.QUEUED, S.SKIPPED)
        return self.message(
            self.enrollment(),
            **{
                "state": state,
                "claimed_at": None if state in (S.QUEUED, S.SKIPPED) else at,
                "accepted_at": None if never else at,
                "due_at": at,
                **fields,
            },
        )

    def heard(self, message: Message, kind: EventKind = EventKind.ACCEPTED) -> None:
        """Keep an event about a message."""
        self.session.add(
            Event(
                key=f"e{message.id}{kind}",
                origin="sendgrid.events",
                kind=kind,
                body={},
                received_at=NOW,
                state=EventState.APPLIED,
                message_id=message.id,
            )
        )


@pytest.fixture
def book(session: Session) -> Book:
    """Give a builder on a fresh database."""
    return Book(session)


def account(business: Business, book: Book, *, days: int = 7) -> Account:
    """Commit what was written, and build the account as another session sees it."""
    book.session.commit()
    with Session(business.engine) as session:
        return build_account(session, business, now=NOW, days=days)


def day_of(found: Account, day: date, channel: Channel = Channel.EMAIL) -> AccountDay:
    """Give one day of one channel."""
    (one,) = (one for one in found.days if (one.day, one.channel) == (day, channel))
    return one


def test_every_end_is_counted_once(with_texts: Business, book: Book) -> None:
    """Accepted is delivered, bounced, failed, waiting and unfinished; the rest stands beside it."""
    at = NOW - 5 * DAY
    for state in (S.DELIVERED, S.DELIVERED, S.BOUNCED, S.FAILED):
        book.handed(state, at)
    unfinished = book.handed(S.ACCEPTED, at)
    book.heard(unfinished)
    in_doubt = book.handed(S.UNCONFIRMED, at)
    book.handed(S.FAILED, at, accepted_at=None)
    book.handed(S.QUEUED, at)
    book.handed(S.SKIPPED, at)
    book.handed(S.DELIVERED, at, channel=Channel.SMS)

    found = account(with_texts, book)

    one = day_of(found, at.date())
    assert one.tally.plain() == {
        "accepted": 5,
        "processed": 5,
        "delivered": 2,
        "bounced": 1,
        "failed": 1,
        "waiting": 0,
        "unfinished": 1,
        "in_doubt": 1,
        "refused": 1,
        "unknown": 2,
    }
    assert one.gaps.by_kind() == {
        "in_doubt": [in_doubt.id],
        "unheard": [],
        "unfinished": [unfinished.id],
    }
    assert day_of(found, at.date(), Channel.SMS).tally.accepted == 1


def test_silence_is_a_gap_after_a_day_and_unknown_after_three(
    with_texts: Business, book: Book
) -> None:
    """DS-17, TW-16: accepted and never heard of; sent is not delivered."""
    new = book.handed(S.ACCEPTED, NOW - 23 * HOUR, channel=Channel.SMS)
    silent = book.handed(S.ACCEPTED, NOW - 25 * HOUR, channel=Channel.SMS)
    sent = book.handed(S.ACCEPTED, NOW - 71 * HOUR, channel=Channel.SMS)
    stuck = book.handed(S.ACCEPTED, NOW - 73 * HOUR, channel=Channel.SMS)
    lost = book.handed(S.ACCEPTED, NOW - 74 * HOUR, channel=Channel.SMS)
    for message in (sent, stuck):
        book.heard(message)

    found = account(with_texts, book)

    texts = [one for one in found.days if one.channel is Channel.SMS]
    totals = {
        name: sum(getattr(one.tally, name) for one in texts)
        for name in ("accepted", "processed", "waiting", "unfinished", "unknown")
    }
    assert totals == {
        "accepted": 5,
        "processed": 2,
        "waiting": 3,
        "unfinished": 2,
        "unknown": 2,
    }
    assert sorted(id_ for one in texts for id_ in one.gaps.unheard) == [silent.id, lost.id]
    assert [id_ for one in texts for id_ in one.gaps.unfinished] == [stuck.id]
    assert new.id not in {
        id_ for one in texts for ids in one.gaps.by_kind().values() for id_ in ids
    }


@pytest.mark.parametrize(
    ("zone", "at", "day", "hour"),
    [
        pytest.param(
            "Asia/Kolkata",
            datetime(2026, 3, 8, 18, 29, 59, tzinfo=UTC),
            date(2026, 3, 8),
            "2026-03-08T23:00:00+05:30",
            id="half an hour",
        ),
        pytest.param(
            "Asia/Kolkata",
            datetime(2026, 3, 8, 18, 30, tzinfo=UTC),
            date(2026, 3, 9),
            "2026-03-09T00:00:00+05:30",
            id="midnight",
        ),
        pytest.param(
            "Asia/Kathmandu",
            datetime(2026, 3, 8, 18, 14, 59, tzinfo=UTC),
            date(2026, 3, 8),
            "2026-03-08T23:00:00+05:45",
            id="a quarter",
        ),
        pytest.param(
            "America/New_York",
            datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
            date(2026, 3, 8),
            "2026-03-08T03:00:00-04:00",
            id="clocks went forward",
        ),
    ],
)
def test_days_and_hours_are_the_businesss_own(
    *, business: Business, book: Book, zone: str, at: datetime, day: date, hour: str
) -> None:
    """Local days and hours in any zone, on either database."""
    there = replace(business, settings=settings(time_zone=zone))
    book.handed(S.DELIVERED, at)

    found = account(there, book)

    assert day_of(found, day).tally.delivered == 1
    assert [one.isoformat() for one in day_of(found, day).hours] == [hour]


def test_an_hour_that_occurs_twice_is_two(business: Business, book: Book) -> None:
    """When clocks go back, the offset tells the two hours apart."""
    there = replace(business, settings=settings(time_zone="Europe/London"))
    for hour in (0, 1):
        book.handed(S.DELIVERED, datetime(2025, 10, 26, hour, 30, tzinfo=UTC))
    book.session.commit()

    with Session(there.engine) as session:
        now = datetime(2025, 10, 26, 12, 0, tzinfo=UTC)
        found = build_account(session, there, now=now, days=1)

    hours = day_of(found, date(2025, 10, 26)).plain()["hours"]
    assert [(one["hour"], one["delivered"]) for one in hours] == [
        ("2025-10-26T01:00:00+01:00", 1),
        ("2025-10-26T01:00:00+00:00", 1),
    ]


def test_every_day_and_channel_is_listed(
    with_texts: Business, business: Business, book: Book
) -> None:
    """Zeros too, the latest day first; what lies outside is not counted."""
    book.handed(S.DELIVERED, NOW - 3 * DAY)

    found = account(with_texts, book, days=2)

    assert [(one.day, one.channel) for one in found.days] == [
        (NOW.date(), Channel.EMAIL),
        (NOW.date(), Channel.SMS),
        (NOW.date() - DAY, Channel.EMAIL),
        (NOW.date() - DAY, Channel.SMS),
    ]
    assert {one.tally.accepted for one in found.days} == {0}
    assert {one.channel for one in account(business, book).days} == {Channel.EMAIL}


def test_the_account_is_two_statements(with_texts: Business, book: Book) -> None:
    """P12: set-based; the number of statements follows nothing."""
    for number in range(30):
        book.handed(S.ACCEPTED, NOW - number * 6 * HOUR)
    book.session.commit()
    statements: list[str] = []

    with Session(with_texts.engine) as session:
        event.listen(
            with_texts.engine,
            "before_cursor_execute",
            lambda *arguments: statements.append(arguments[2]),
        )
        build_account(session, with_texts, now=NOW, days=30)

    assert len([one for one in statements if one.lstrip().startswith("SELECT")]) == 2


def test_it_can_be_written_as_json(with_texts: Business, book: Book) -> None:
    """Every day with its hours and gaps, in plain values."""
    message = book.handed(S.UNCONFIRMED, NOW - DAY)

    plain = account(with_texts, book).plain()

    one = json.loads(json.dumps(plain, default=str))["days"][2]
    assert (one["day"], one["channel"], one["unknown"]) == ("2026-03-09", "email", 1)
    assert one["gaps"]["in_doubt"] == [message.id]
    assert [(hour["hour"], hour["in_doubt"]) for hour in one["hours"]] == [
        ("2026-03-09T10:00:00+00:00", 1)
    ]


def test_the_artifact_names_gaps_and_nobody(with_texts: Business, book: Book) -> None:
    """The page under its fixed key: the table, and each gap by its ids."""
    lost = book.handed(S.ACCEPTED, NOW - 2 * DAY)
    found = account(with_texts, book)
    with Session(with_texts.engine) as session:
        report = build_report(session, with_texts, now=NOW)

    pages = {page.key: page.text for page in artifact_pages(report, {}, found, web_url="x")}
    even = {
        page.key: page.text
        for page in artifact_pages(report, {}, Account(NOW, "UTC", ()), web_url="x")
    }

    assert (
        f"| 2026-03-08 | email | any word since a day | 1 | {lost.id} |" in pages["winback-account"]
    )
    assert "No gaps" in even["winback-account"]
    assert "@" not in pages["winback-account"]


def test_many_ids_are_cut_on_the_page_only(with_texts: Business, book: Book) -> None:
    """The page names the first fifty; the facts have all."""
    for _ in range(60):
        book.handed(S.UNCONFIRMED, NOW - DAY)
    found = account(with_texts, book)
    with Session(with_texts.engine) as session:
        report = build_report(session, with_texts, now=NOW)

    pages = {page.key: page.text for page in artifact_pages(report, {}, found, web_url="x")}

    assert len(day_of(found, NOW.date() - DAY).gaps.in_doubt) == 60
    assert "..." in pages["winback-account"]


def test_late_news_corrects_the_day_it_belongs_to(with_texts: Business, book: Book) -> None:
    """Nothing is kept: the account is counted anew each time."""
    day = (NOW - 4 * DAY).date()
    message = book.handed(S.ACCEPTED, NOW - 4 * DAY)
    before = day_of(account(with_texts, book), day)
    message.state = S.DELIVERED
    after = day_of(account(with_texts, book), day)

    assert (before.tally.unknown, after.tally.unknown) == (1, 0)
    assert after.tally.delivered == 1
