"""P9 on a real shop: the rehearsed fortnight is the fortnight that happens, to the last text."""

import csv
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.delivery.fakes import FakeSender
from tests.rehearsal.played import Record, fingerprint, play, rehearsed
from winback import day as stages
from winback.business import Business
from winback.clock import SetClock, SystemClock, ten_in_the_morning
from winback.database.tables import Installation
from winback.day import Day
from winback.house import open_business
from winback.listening import open_sandbox
from winback.providers.outgoing import Accepted, Outgoing, OutgoingText, Refused, Result, Unclear
from winback.providers.registry import open_senders
from winback.rehearsal.schedule import Schedule, moments
from winback.rehearsal.walking import rehearse
from winback.states import Channel
from winback.town.founding import found_home
from winback.town.shop import Shop
from winback.town.walk import ZONE

FIRST: Final = date(1997, 12, 8)
BUILT_DAYS: Final = 17
"""By then there are enrollments at every early step, vouchers in hands, and texts that wait."""

SCHEDULES: Final = [
    pytest.param(Schedule(), id="daily"),
    pytest.param(Schedule(send_every=timedelta(hours=3)), id="with sends between"),
]


def answer(message: Outgoing) -> Result:
    """Accept nearly everything; some calls end unclear, some numbers do not exist."""
    lot = int(message.send_id[:4], 16) % 40
    if lot == 0:
        return Unclear("the reply was lost")
    if lot == 1 and isinstance(message, OutgoingText):
        return Refused("21211", "no such number", "address_invalid")
    return Accepted(message.send_id[:16])


@pytest.fixture
def business(tmp_path: Path, database_url: str) -> Iterator[Business]:
    """Give the shop of the demo with one customer in twelve, before Christmas.

    Few may enter each day, so that those who wait compete on every day that is rehearsed.
    """
    home = tmp_path / "home"
    found_home(home)
    campaign = home / "config" / "campaigns" / "six-month.yaml"
    written = campaign.read_text(encoding="utf-8")
    campaign.write_text(written.replace("daily_limit: 500", "daily_limit: 5"), encoding="utf-8")
    shop = Shop(home, 1997, ZONE)
    shop.open(FIRST)
    for name in ("customers", "orders"):
        _keep_one_in_twelve(home / "data" / f"{name}.csv")
    environ = {"WINBACK_SECRET": "a secret", "WINBACK_DATABASE_URL": database_url}
    with open_business(writes=True, home=home, environ=environ) as (business, _):
        with Session(business.engine) as session, session.begin():
            session.execute(update(Installation).values(salt="always the same"))
        yield business


def _keep_one_in_twelve(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        kept = [row for row in rows if int(row[0]) % 12 == 0]
        csv.writer(file, lineterminator="\n").writerows([header, *kept])


async def _build(business: Business) -> datetime:
    """Run the days up to the one that is rehearsed; gives its morning."""
    senders = {channel: FakeSender(channel, answer) for channel in (Channel.EMAIL, Channel.SMS)}
    for number in range(BUILT_DAYS):
        now = ten_in_the_morning(FIRST + timedelta(days=number), ZONE)
        rng = Random(number)  # noqa: S311 - the test replays
        await stages.run(Day(business, now, SystemClock(), senders, rng=rng))
    return ten_in_the_morning(FIRST + timedelta(days=BUILT_DAYS), ZONE)


@asynccontextmanager
async def _silent_town(business: Business, clock: SetClock) -> AsyncIterator[Day]:
    """Give days whose messages the stand-ins take and deliver, and that nobody answers."""
    with open_sandbox(business, clock, seed=7) as sandboxed:
        within = sandboxed.business
        async with open_senders(within.settings, within.environment, clock=clock) as senders:
            yield Day(
                within,
                clock.now(),
                SystemClock(),
                senders,
                deliver_news=sandboxed.deliver_news,
                rng=Random(99),  # noqa: S311 - the test replays
            )


@pytest.mark.parametrize("schedule", SCHEDULES)
async def test_what_is_rehearsed_is_what_happens(business: Business, schedule: Schedule) -> None:
    """P9: the same (local day, customer, step, channel, arm), exactly, and nothing is written."""
    now = await _build(business)
    before = fingerprint(business.engine)

    done = await rehearse(business, now=now, days=14, schedule=schedule, clock=SystemClock())

    assert fingerprint(business.engine) == before
    record, clock = Record(business), SetClock(now)

    def day_at(at: datetime) -> Day:
        clock.set_to(at)
        return replace(day, opened_at=at)

    async with _silent_town(business, clock) as day:
        await play(moments(schedule, now=now, days=14, zone=business.zone), day_at)
    assert rehearsed(done) == record.since()
    entered = [(one.day, one.customer_id, one.campaign, one.arm) for one in done.entries]
    assert sorted(entered) == record.entered()
    assert {one.channel for one in done.sendings} >= {Channel.EMAIL, Channel.SMS}
    assert len(done.sendings) > 50
    assert len({one.day for one in done.entries}) > 3
