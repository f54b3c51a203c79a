"""A lost reply, from the call to its end: the stages, the clients and the stand-ins' own record."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.conftest import NOW
from tests.delivery.shop import Shop
from winback import day
from winback.clock import SetClock, SystemClock
from winback.database.tables import Event
from winback.day import Day
from winback.providers.lookup_registry import open_lookups
from winback.providers.registry import open_senders
from winback.sandbox.faults import Fault, FaultPlan, by_chance
from winback.sandbox.stand_ins import Sandbox, stand_ins
from winback.states import Channel, MessageState

S = MessageState
MINUTE = timedelta(minutes=1)


class World:
    """A shop that sends through stand-ins over real HTTP."""

    def __init__(self, shop: Shop, stand: Sandbox, today: Day, clock: SetClock) -> None:
        self.shop = shop
        self.stand = stand
        self._day = today
        self._clock = clock

    def at(self, after: timedelta) -> Day:
        """Stand later; the stand-ins' clock goes along."""
        self._clock.set_to(NOW + after)
        self.shop.now = NOW + after
        return replace(self._day, opened_at=NOW + after)

    def states(self) -> Counter[MessageState]:
        """Count messages by state."""
        return Counter(message.state for message in self.shop.messages())

    def taken(self) -> Counter[str]:
        """Count what the stand-ins accepted, by address."""
        record = self.stand.record
        return Counter(
            [mail.to_address for mail in record.mails()]
            + [text.to_number for text in record.texts()]
        )


@pytest.fixture
async def world(shop: Shop) -> AsyncIterator[World]:
    """Give the shop, its senders and look-ups led to stand-ins."""
    clock = SetClock(NOW)
    with stand_ins(clock=clock, seed=7) as stand:
        environment = stand.lend_to(shop.business.environment)
        business = replace(shop.business, environment=environment)
        settings = business.settings
        async with (
            open_senders(settings, environment, clock=clock) as senders,
            open_lookups(settings, environment) as lookups,
        ):
            today = Day(business, NOW, SystemClock(), senders, lookups)
            yield World(shop, stand, today, clock)


def lose_replies(world: World, *faults: Fault) -> None:
    """Let every call that sends end in one of these ways."""
    world.stand.faults = FaultPlan(choose=by_chance(world.shop.rng, 1.0, *faults))


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER])
@pytest.mark.parametrize(
    ("channel", "step"), [(Channel.EMAIL, "concern"), (Channel.SMS, "check-in")]
)
async def test_what_was_accepted_without_a_word_is_found(
    world: World, fault: Fault, channel: Channel, step: str
) -> None:
    """P1, P2: the reply is lost, the provider has it: found a minute later, and sent once."""
    ids = [world.shop.enroll(next_step=step) for _ in range(3)]
    lose_replies(world, fault)
    sent = await day.send(world.at(timedelta()))
    world.stand.faults = FaultPlan()

    heard = await day.respond(world.at(MINUTE))
    again = await day.send(world.at(2 * MINUTE))

    assert (sent["unconfirmed"], heard["resolved"], again["accepted"]) == (3, 3, 0)
    assert world.states() == {S.ACCEPTED: 3}
    assert {message.channel for message in world.shop.messages()} == {channel}
    assert set(world.taken().values()) == {1}
    assert len(world.taken()) == 3
    assert all(world.shop.passages(one) == {step: "accepted"} for one in ids)


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.ERROR_BEFORE])
async def test_what_never_arrived_stays_listed_and_is_never_sent(
    world: World, fault: Fault
) -> None:
    """DS-4, DS-6: nothing is found at any look; the rows stay unknown, nothing goes again."""
    world.shop.enroll()
    world.shop.enroll(next_step="check-in")
    lose_replies(world, fault)
    await day.send(world.at(timedelta()))
    world.stand.faults = FaultPlan()

    for minutes in (1, 15, 120, 24 * 60, 25 * 60):
        await day.respond(world.at(timedelta(minutes=minutes)))
        await day.send(world.at(timedelta(minutes=minutes)))

    doubts = [one for one in world.shop.messages() if one.state is S.UNCONFIRMED]
    assert [(one.looks, one.look_at) for one in doubts] == [(4, None)] * 2
    assert "not in SendGrid's email logs" in doubts[0].reason
    assert "not in Twilio's message list" in doubts[1].reason
    assert world.taken() == {}


async def test_a_key_without_logs_leaves_mails_to_webhooks(world: World) -> None:
    """SG-43: where logs were not bought the doubt waits, and a webhook still settles it."""
    world.shop.enroll()
    lose_replies(world, Fault.DROP_AFTER)
    await day.send(world.at(timedelta()))
    world.stand.faults = FaultPlan(has_logs=False)

    heard = await day.respond(world.at(MINUTE))

    (message,) = world.shop.messages()
    assert (heard["looked"], heard["resolved"]) == (1, 0)
    assert message.state is S.UNCONFIRMED
    assert "may not read" in message.reason


async def test_a_lost_callback_is_asked_for_after_a_day(world: World) -> None:
    """TW-33: a text that was delivered although nobody told us is told as delivered in the end."""
    world.shop.enroll(next_step="check-in")
    await day.send(world.at(timedelta()))
    (text,) = world.stand.record.texts()
    # Nobody receives webhooks here: Twilio's are lost.
    await asyncio.to_thread(world.stand.report_status, text.sid, "delivered")

    early = await day.respond(world.at(timedelta(hours=23)))
    late = await day.respond(world.at(timedelta(hours=24)))

    assert (early["looked"], late["resolved"]) == (0, 1)
    assert world.states() == {S.DELIVERED: 1}
    with Session(world.shop.engine) as session:
        kept = session.scalars(select(Event)).one()
    assert kept.key == f"twilio.status:{text.sid}:delivered"
