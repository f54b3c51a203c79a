"""The circuit breaker: a provider in trouble is left alone, then tried with one message."""

from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop, make_business
from winback.database.tables import ChannelPause
from winback.delivery.breaker import UNCLEAR_IN_A_ROW
from winback.delivery.closing import channels_to_try, close_channel
from winback.policies import Policies
from winback.providers.outgoing import Accepted, Outgoing, OutgoingEmail, Refused, Result, Unclear
from winback.states import Channel, MessageState

MINUTE = timedelta(minutes=1)


def _close(shop: Shop) -> timedelta:
    with Session(shop.engine) as session, session.begin():
        return close_channel(session, Channel.EMAIL, why="timeouts", now=shop.now) - shop.now


def test_it_stays_closed_for_longer_each_time_in_a_row(engine: Engine) -> None:
    """1, then 4, then 16 minutes; what was in flight together is one time."""
    shop = Shop(make_business(engine))
    assert _close(shop) == MINUTE
    assert _close(shop) == MINUTE
    shop.now += 2 * MINUTE
    assert _close(shop) == 4 * MINUTE
    with Session(engine) as session:
        assert channels_to_try(session, shop.now) == set()
        assert channels_to_try(session, shop.now + 5 * MINUTE) == {Channel.EMAIL}


def _unclear(_message: Outgoing) -> Result:
    return Unclear("no answer in time")


def test_a_provider_that_times_out_costs_few_doubts(engine: Engine) -> None:
    """P2: each doubt is a step that may be lost, so calls stop after a few in a row.

    Sixty are due; the rest waits, goes one by one at first, and all of it leaves in the end.
    """
    shop = Shop(make_business(engine, policies=Policies(in_flight=2)))
    for _ in range(60):
        shop.enroll(phones=[])
    shop.mail.answer = _unclear
    doubts = shop.send(Channel.EMAIL).unconfirmed
    assert UNCLEAR_IN_A_ROW <= doubts <= UNCLEAR_IN_A_ROW + 2, "and those in flight"
    with Session(engine) as session:
        assert session.scalars(select(ChannelPause.strikes)).all() == [1]

    shop.now += 2 * MINUTE
    assert shop.send(Channel.EMAIL).unconfirmed == 1, "one message tries it"

    shop.now += 5 * MINUTE
    shop.mail.answer = lambda message: Accepted(message.send_id)
    assert shop.send(Channel.EMAIL).accepted == 60 - doubts - 1
    with Session(engine) as session:
        assert session.scalars(select(ChannelPause.strikes)).all() == [], "open again"
    states = [message.state for message in shop.messages()]
    assert states.count(MessageState.UNCONFIRMED) == doubts + 1, "never sent again"


def test_a_refused_probe_lets_another_one_try(engine: Engine) -> None:
    """What one message alone meets starves the others for no longer than two hours."""
    shop = Shop(make_business(engine, policies=Policies(in_flight=1)))
    first, *others = [shop.enroll(phones=[]) for _ in range(4)]
    met: list[str] = []

    def answer(message: Outgoing) -> Result:
        assert isinstance(message, OutgoingEmail)
        met.append(message.to_address)
        is_first = message.to_address == met[0]
        return Refused("403", "no", "channel") if is_first else Accepted(message.send_id)

    shop.mail.answer = answer
    assert shop.send(Channel.EMAIL).postponed == 4, "the channel is closed"
    shop.now += 61 * MINUTE
    assert shop.send(Channel.EMAIL).accepted == 0, "the same one tries it"
    shop.now += 61 * MINUTE

    assert shop.send(Channel.EMAIL).accepted == 3

    assert met.count(met[0]) == 2
    assert shop.messages(first)[0].state is MessageState.QUEUED
    assert {shop.messages(one)[0].state for one in others} == {MessageState.ACCEPTED}
