"""SendGrid's lists from the stand-in's own record to the last look before a send (SG-40, LAW-2)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.conftest import NOW
from tests.responses.ears import Ears
from tests.shop import make_shop
from winback import day
from winback.clock import SetClock, SystemClock
from winback.customers.suppression import is_suppressed
from winback.database.tables import Customer, Suppression
from winback.day import Day
from winback.house import open_business, open_day
from winback.providers.list_registry import open_lists
from winback.providers.registry import open_senders
from winback.sandbox.entries import Entry
from winback.sandbox.faults import FaultPlan
from winback.sandbox.stand_ins import MailEvent, Sandbox, stand_ins
from winback.states import Channel

DAY = timedelta(days=1)


@dataclass(slots=True)
class World:
    """A shop that sends through stand-ins over real HTTP, and hears no webhook."""

    shop: Ears
    stand: Sandbox
    today: Day
    clock: SetClock

    def after(self, days: int) -> Day:
        """Stand later; the stand-ins' clock goes along."""
        self.shop.now = NOW + days * DAY
        self.clock.set_to(self.shop.now)
        return replace(self.today, opened_at=self.shop.now)


@pytest.fixture
async def world(shop: Ears) -> AsyncIterator[World]:
    """Give the shop, its senders and lists led to stand-ins whose webhooks nobody takes."""
    clock = SetClock(NOW)
    with stand_ins(clock=clock, seed=7) as stand:
        environment = stand.lend_to(shop.business.environment)
        business = replace(shop.business, environment=environment)
        async with (
            open_senders(business.settings, environment, clock=clock) as senders,
            open_lists(environment) as lists,
        ):
            today = Day(business, NOW, SystemClock(), senders, lists=lists)
            yield World(shop, stand, today, clock)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ({"event": "unsubscribe"}, "suppressed"),
        ({"event": "group_unsubscribe"}, "suppressed"),
        ({"event": "spamreport"}, "suppressed"),
        ({"event": "bounce", "status": "5.1.1"}, "unreachable"),
        ({"event": "dropped", "reason": "Invalid"}, "unreachable"),
        ({"event": "bounce", "status": "4.2.2"}, "active"),
        ({"event": "bounce", "type": "blocked", "status": "5.7.1"}, "active"),
    ],
)
async def test_what_no_webhook_told_is_learned_from_the_list(
    world: World, event: dict[str, str], state: str
) -> None:
    """A receiver that was away too long: the next day's round finds it, and nothing more goes."""
    enrollment_id = world.shop.enroll(phones=[])
    await day.send(world.today)
    (mail,) = world.stand.record.mails()
    fields = dict(event)
    told = MailEvent(mail, fields.pop("event"), NOW, fields)
    await asyncio.to_thread(world.stand.report, [told])

    counts = await day.respond(world.after(1))
    again = await day.respond(world.after(1))

    assert world.shop.state(enrollment_id) == state
    assert counts["listed"] == (0 if state == "active" else 1)
    assert "listed" not in again
    if state != "active":
        await day.send(world.after(60))
        assert len(world.stand.record.mails()) == 1


async def test_a_long_list_is_read_page_by_page(world: World) -> None:
    """SG-40: 1,234 strangers over three pages are suppressed by their hashes, each once."""
    at = int(NOW.timestamp())
    world.stand.record.add_listed(
        Entry("bounces", f"dead{number}@example.com", at - number, {"status": "5.1.1"})
        for number in range(1234)
    )

    counts = await day.respond(world.today)

    assert counts["listed"] == 1234
    with Session(world.shop.engine) as session:
        kept = session.scalars(select(Suppression)).all()
    assert len({row.address_hash for row in kept}) == 1234
    assert {(row.channel, row.customer_id) for row in kept} == {(Channel.EMAIL, None)}


async def test_a_key_that_may_not_read_lists_fails_no_day(world: World) -> None:
    """The stage ends well, and what could not be read is one alert."""
    world.stand.faults = FaultPlan(has_lists=False)

    counts = await day.respond(world.today)
    told = await day.watch(world.today)

    assert counts["listed"] == 0
    assert [one for one in told if "may not read suppression lists of sendgrid" in one] == told
    assert len(told) == 1


async def test_the_pull_finds_the_person_behind_a_listed_address(tmp_path: Path) -> None:
    """Lists are read behind the customers: a no of the first day stops the person's texts, too."""
    home = make_shop(tmp_path / "shop", customers=2, lapsed_on=date(2026, 3, 2))
    with stand_ins(clock=SetClock(NOW), seed=7) as stand:
        at = int(NOW.timestamp()) - 60
        listed = Entry("unsubscribes", "ann.oakley.1@example.com", at)
        stand.record.add_listed([listed])
        with open_business("2026-03-02", writes=True, home=home, environ={}) as (business, now):
            async with open_lists(stand.lend_to(business.environment)) as lists:
                counts = await day.pull(Day(business, now, SystemClock(), lists=lists))
            with Session(business.engine) as session:
                people = session.scalars(select(Customer.id).order_by(Customer.id)).all()
                silenced = [is_suppressed(session, one, Channel.SMS) for one in people]

    assert counts["listed"] == 1
    assert sorted(silenced) == [False, True]


async def test_a_day_of_the_sandbox_asks_only_stand_ins_that_run(tmp_path: Path) -> None:
    """What starts a server is a message, never a list; once it runs its lists are read."""
    home = make_shop(tmp_path / "shop", customers=10, lapsed_on=date(2026, 3, 2))
    async with open_day("2026-03-02", home=home) as idle:
        pulled = await day.pull(idle)
        before = await day.respond(idle)
        await day.detect(idle)
        sent = await day.send(idle)
        after = await day.respond(idle)

    assert "listed" not in pulled | before
    assert sent["accepted"] > 0
    assert after["listed"] == 0
