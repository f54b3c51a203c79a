"""Whom a provider writes to no more is taken over, and nothing of ours is lost (FACTS.md SG-40)."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from tests.conftest import NOW
from tests.delivery.shop import SECRET
from tests.responses.ears import Ears
from winback.customers.identity import address_hash
from winback.customers.list_marks import find_refused, read_marks
from winback.database.tables import Alert, ContactPoint, Event, Suppression
from winback.providers.incoming import Origin
from winback.providers.sendgrid_lists import LISTS
from winback.providers.suppression_lists import Asked, Listed, NoPage, Page
from winback.responses.lists import take_lists
from winback.states import Channel, EventState, MessageState, SuppressionReason
from winback.watching import look_after

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(slots=True)
class FakeLists:
    """A provider whose lists a test writes; gives two entries a page, the newest first."""

    entries: list[Listed] = field(default_factory=list)
    answers: dict[str, NoPage] = field(default_factory=dict)
    busy_after: int = 10_000
    """How many pages it gives before it answers 429."""
    is_ready: bool = True
    is_stuck: bool = False
    asked: list[Asked] = field(default_factory=list)
    name: str = "sendgrid"
    channel: Channel = Channel.EMAIL
    origin: str = Origin.SENDGRID_LISTS
    names: tuple[str, ...] = tuple(LISTS)

    async def page(self, asked: Asked) -> Page | NoPage:
        """Give two entries."""
        self.asked.append(asked)
        if asked.name in self.answers:
            return self.answers[asked.name]
        if self.busy_after <= 0:
            return NoPage("SendGrid answered 429")
        self.busy_after -= 1
        since = asked.since or 0
        found = [
            one
            for one in sorted(self.entries, key=lambda one: -one.created)
            if one.name == asked.name and since <= one.created <= asked.until
        ]
        rest = found if self.is_stuck else found[asked.offset :]
        return Page(tuple(rest[:2]), len(rest[:2]), is_last=len(rest) <= 2)

    async def close(self) -> None:
        """Close nothing."""

    def add(self, name: str, *addresses: str, at: Any = NOW) -> None:
        """Put addresses on a list."""
        self.entries += [Listed(one, name, int(at.timestamp())) for one in addresses]


@pytest.fixture
def lists() -> FakeLists:
    """Give a provider with empty lists."""
    return FakeLists()


def take(shop: Ears, lists: FakeLists) -> int | None:
    """Read the lists at the shop's instant."""
    return asyncio.run(take_lists(shop.business, lists, now=shop.now))


def suppressions(shop: Ears) -> Sequence[Suppression]:
    """Read all suppressions."""
    with Session(shop.engine) as session:
        return session.scalars(select(Suppression).order_by(Suppression.id)).all()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unsubscribes", SuppressionReason.UNSUBSCRIBED),
        ("groups", SuppressionReason.UNSUBSCRIBED),
        ("spam_reports", SuppressionReason.COMPLAINED),
    ],
)
def test_a_no_that_only_a_list_knows_stops_what_is_under_way(
    shop: Ears, lists: FakeLists, name: str, reason: SuppressionReason
) -> None:
    """P3: as by the webhook's event, the person, on all channels; LAW-25."""
    enrollment_id, _ = shop.written()
    lists.add(name, "ANN1@example.com")

    assert take(shop, lists) == 1

    assert shop.state(enrollment_id) == "suppressed"
    assert shop.is_silenced(enrollment_id, Channel.EMAIL)
    assert shop.is_silenced(enrollment_id, Channel.SMS)
    assert {(row.reason, row.channel) for row in suppressions(shop)} == {(reason, None)}
    shop.now += 30 * DAY
    shop.send()
    assert len(shop.messages(enrollment_id)) == 1


@pytest.mark.parametrize("name", ["bounces", "invalid_emails"])
def test_a_dead_address_that_only_a_list_knows_is_written_to_no_more(
    shop: Ears, lists: FakeLists, name: str
) -> None:
    """SG-12b: the other channel takes over; who has none is unreachable. No message is touched."""
    with_phone, _ = shop.written()
    without, _ = shop.written(phones=[])
    lists.add(name, "ann1@example.com", "ann2@example.com")

    assert take(shop, lists) == 2

    assert shop.state(with_phone) == "active"
    assert shop.state(without) == "unreachable"
    assert not shop.is_silenced(with_phone, Channel.SMS)
    assert shop.messages(without)[0].state is MessageState.ACCEPTED
    assert {row.channel for row in suppressions(shop)} == {Channel.EMAIL}
    with Session(shop.engine) as session:
        points = session.execute(select(ContactPoint.channel, ContactPoint.is_reachable))
        assert set(points.tuples()) == {(Channel.EMAIL, False), (Channel.SMS, True)}


def test_somebody_who_is_known_later_is_suppressed_already(shop: Ears, lists: FakeLists) -> None:
    """SG-40, LAW-4: strangers of a list are kept as hashes only, and found by a later import."""
    for name in LISTS:
        lists.add(name, *(f"{name}{number}@example.com" for number in range(3)))

    assert take(shop, lists) == 15
    enrollments = [shop.enroll(emails=[f"{name}0@example.com"], phones=[]) for name in LISTS]
    shop.send()

    assert all(shop.messages(one) == [] for one in enrollments)
    assert shop.events() == []
    hashes = {row.address_hash for row in suppressions(shop)}
    known = address_hash(SECRET, Channel.EMAIL, "bounces0@example.com")
    assert (len(hashes), known in hashes) == (15, True)


def test_reading_again_changes_nothing_and_deletes_nothing(shop: Ears, lists: FakeLists) -> None:
    """A day of overlap is read twice, one fact is one row; what a list loses, we keep."""
    enrollment_id, _ = shop.written()
    lists.add("unsubscribes", "ann1@example.com", "stranger@example.com")
    take(shop, lists)
    before = [(row.id, row.key) for row in suppressions(shop)]

    shop.now += DAY
    again = take(shop, lists)
    lists.entries.clear()
    shop.now += DAY
    emptied = take(shop, lists)

    assert (again, emptied) == (0, 0)
    assert [(row.id, row.key) for row in suppressions(shop)] == before
    assert len(shop.events()) == 1
    assert [what for what, _ in shop.decisions(enrollment_id)].count("stopped") == 1


def test_what_the_webhook_told_is_no_second_fact(shop: Ears, lists: FakeLists) -> None:
    """The usual case: the list repeats the webhook, and the history has one no."""
    enrollment_id, message = shop.written()
    shop.hear(shop.report(message, "unsubscribe"))
    before = len(suppressions(shop))
    lists.add("unsubscribes", "ann1@example.com")

    take(shop, lists)

    assert len(suppressions(shop)) == before
    assert [what for what, _ in shop.decisions(enrollment_id)].count("stopped") == 1


def test_a_complaint_of_a_list_brakes_no_campaign(shop: Ears, lists: FakeLists) -> None:
    """Old complaints of an account are nobody's answer to what we send: no rate counts them."""
    shop.written()
    lists.add("spam_reports", "ann1@example.com")

    take(shop, lists)

    (event,) = shop.events()
    assert (event.kind, event.message_id, event.state) == ("listed", None, EventState.APPLIED)


def test_no_address_of_a_list_is_kept(
    shop: Ears, lists: FakeLists, caplog: pytest.LogCaptureFixture
) -> None:
    """LAW-39: neither known people's nor strangers' addresses are stored or logged."""
    shop.written()
    with caplog.at_level(logging.DEBUG, logger="winback"):
        for name in LISTS:
            lists.add(name, "ann1@example.com", "stranger@example.com")
        lists.answers["groups"] = NoPage("SendGrid answered 403", is_refused=True)
        take(shop, lists)

    with Session(shop.engine) as session:
        bodies = session.scalars(select(cast(Event.body, String))).all()
    assert bodies
    assert "@" not in "".join([*bodies, *(f"{one.key}{one.source}" for one in suppressions(shop))])
    assert "@example" not in caplog.text


def test_lists_are_asked_for_once_a_day(shop: Ears, lists: FakeLists) -> None:
    """Each run may ask, and only the first of a day does; from then on only for what is new."""
    assert take(shop, lists) == 0
    shop.now += 19 * HOUR
    assert take(shop, lists) is None
    shop.now += HOUR
    assert take(shop, lists) == 0

    first, second = lists.asked[:5], lists.asked[5:]
    assert {one.since for one in first} == {None}
    assert {one.since for one in second} == {int((NOW - DAY).timestamp())}
    assert {one.until for one in second} == {int(shop.now.timestamp())}


def test_who_is_not_there_is_not_asked(shop: Ears, lists: FakeLists) -> None:
    """Stand-ins that nothing needed yet, or an account without a key."""
    lists.is_ready = False

    assert take(shop, lists) is None

    assert lists.asked == []


def test_a_busy_provider_is_left_alone_till_tomorrow(shop: Ears, lists: FakeLists) -> None:
    """SG-15: after a 429 nothing is asked that day; reading goes on behind the last page."""
    lists.add("unsubscribes", *(f"old{number}@example.com" for number in range(5)))
    lists.add("bounces", "dead@example.com")
    lists.busy_after = 2

    assert take(shop, lists) == 4
    assert take(shop, lists) is None
    assert len(lists.asked) == 3
    lists.busy_after = 100
    shop.now += DAY
    lists.add("unsubscribes", "new@example.com", at=shop.now)

    assert take(shop, lists) == 3
    until, tomorrow = int(NOW.timestamp()), int(shop.now.timestamp())
    went_on, then = lists.asked[3:5]
    assert (went_on.since, went_on.until, went_on.offset) == (None, until, 4)
    assert (then.since, then.until, then.offset) == (until - 86_400, tomorrow, 0)
    assert {one.name for one in lists.asked[5:]} == set(LISTS)


def test_a_refused_list_is_told_once_and_stops_no_other(
    shop: Ears, lists: FakeLists, caplog: pytest.LogCaptureFixture
) -> None:
    """A key made for sending: one sentence for the operator, until the key may read."""
    refused = NoPage("SendGrid answered 403", is_refused=True)
    lists.answers = {"groups": refused, "bounces": refused}
    lists.add("spam_reports", "stranger@example.com")

    assert take(shop, lists) == 1
    told = look_after(shop.business, now=shop.now, at=shop.now)
    again = look_after(shop.business, now=shop.now, at=shop.now)
    lists.answers.clear()
    shop.now += DAY
    take(shop, lists)
    look_after(shop.business, now=shop.now, at=shop.now)

    assert ("bounces, groups" in told[0], len(told), again) == (True, 1, [])
    assert caplog.text.count("SendGrid answered 403") == 2
    with Session(shop.engine) as session:
        assert find_refused(session) == {}
        ended = session.scalars(select(Alert.ended_at).where(Alert.key == "lists:refused")).one()
    assert ended is not None


def test_a_list_that_does_not_move_is_given_up(shop: Ears, lists: FakeLists) -> None:
    """A server that knows no offset is not asked for ever."""
    lists.add("bounces", *(f"dead{number}@example.com" for number in range(4)))
    lists.is_stuck = True

    assert take(shop, lists) == 2

    assert [one.offset for one in lists.asked if one.name == "bounces"] == [0, 2]
    with Session(shop.engine) as session:
        marks = read_marks(session, "sendgrid")
    assert (marks["bounces"].known_until, marks["bounces"].taken) == (0, 2)


def test_a_long_list_without_pages_is_kept_in_parts(shop: Ears) -> None:
    """The list of groups comes at once: 1,200 strangers and one customer are all taken."""
    enrollment_id, _ = shop.written()
    entries = [Listed(f"p{number}@example.com", "groups", number + 1) for number in range(1200)]
    entries.insert(700, Listed("ann1@example.com", "groups", 5000))

    async def page(_asked: Asked) -> Page:
        return Page(tuple(entries), len(entries), is_last=True)

    whole = _Whole(page)
    assert asyncio.run(take_lists(shop.business, whole, now=shop.now)) == 1201

    assert shop.state(enrollment_id) == "suppressed"
    with Session(shop.engine) as session:
        hashes = select(func.count(Suppression.address_hash.distinct()))
        assert session.scalar(hashes.where(Suppression.source == "sendgrid.lists")) == 1202


@dataclass(slots=True)
class _Whole:
    page: Any
    is_ready: bool = True
    name: str = "sendgrid"
    channel: Channel = Channel.EMAIL
    origin: str = Origin.SENDGRID_LISTS
    names: tuple[str, ...] = ("groups",)

    async def close(self) -> None:
        """Close nothing."""
