"""The day's counters: what daily limits and the warm-up count by, exact under several workers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.engine import make_engine
from winback.database.tables import ChannelDay, Message
from winback.delivery.counts import SendCounts
from winback.delivery.daily import left_today, limit_today
from winback.providers.outgoing import Busy, Refused
from winback.states import Channel, Mode

E, T = Channel.EMAIL, Channel.SMS


def limit_mails(shop: Shop, to: int) -> None:
    """Let no more than so many mails leave in a day."""
    policies = shop.business.settings.policies
    limits = policies.daily_limits.model_copy(update={"email": to})
    shop.change(policies=policies.model_copy(update={"daily_limits": limits}))


def counters(shop: Shop) -> dict[tuple[Channel, date], int]:
    """Give the counters that are not zero."""
    with Session(shop.engine) as session:
        rows = session.execute(select(ChannelDay.channel, ChannelDay.day, ChannelDay.claimed))
        return {(channel, day): claimed for channel, day, claimed in rows if claimed}


def left(shop: Shop) -> dict[Channel, int]:
    """Ask as a claim does."""
    with Session(shop.engine) as session, session.begin():
        return left_today(session, shop.run())


def test_claims_are_counted_by_channel_and_day(shop: Shop) -> None:
    """Each claim counts on the business's local day of the run."""
    shop.enroll()
    shop.enroll()
    shop.enroll(next_step="check-in")
    shop.send()
    today = shop.now.date()
    shop.now += DAY
    shop.enroll()
    shop.send()

    assert counters(shop) == {(E, today): 2, (T, today): 1, (E, today + DAY): 1}


def test_what_goes_back_unsent_is_not_counted(shop: Shop) -> None:
    """A busy provider uses up nothing of the day, not even on the day after the claim."""
    shop.mail.answer = lambda _: Busy(90)
    shop.enroll()

    shop.send()

    assert counters(shop) == {}
    assert left(shop)[E] == shop.business.settings.policies.daily_limits.email


def test_a_refused_call_used_up_its_turn(shop: Shop) -> None:
    """What the provider looked at and refused was a call like any other."""
    shop.mail.answer = lambda _: Refused("400", "no", "message")
    shop.enroll()

    shop.send()

    assert counters(shop) == {(E, shop.now.date()): 1}


def test_a_missing_day_is_counted_from_its_messages(shop: Shop) -> None:
    """After an upgrade in the middle of a day the limit still holds."""
    limit_mails(shop, 5)
    for _ in range(3):
        shop.enroll()
    shop.send()
    with Session(shop.engine) as session, session.begin():
        session.execute(delete(ChannelDay))
    for _ in range(4):
        shop.enroll()

    counts = shop.send()

    assert (counts.accepted, counts.postponed) == (2, 2)
    assert counters(shop) == {(E, shop.now.date()): 5}


def test_days_before_the_counters_are_counted_once(shop: Shop) -> None:
    """An upgrade neither starts the warm-up anew nor asks the messages each day (LAW-21)."""
    for _ in range(3):
        shop.enroll()
        shop.send()
        shop.now += 2 * DAY
    with Session(shop.engine) as session, session.begin():
        session.execute(delete(ChannelDay))
    shop.change(mode=Mode.LIVE)

    at_first = left(shop)[E]
    first, third, fifth = (shop.now.date() - days * DAY for days in (6, 4, 2))
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Message).values(claimed_at=None))
    later = left(shop)[E]

    # 50, 75, 112: it is the fourth day with mails.
    assert at_first == later == 168
    assert counters(shop) == {(E, first): 1, (E, third): 1, (E, fifth): 1}


def test_a_day_without_mails_does_not_warm_up(shop: Shop) -> None:
    """The warm-up grows by days on which mails left, not by days that passed."""
    shop.change(mode=Mode.LIVE)
    run = shop.run()
    with Session(shop.engine) as session, session.begin():
        for back, claimed in ((1, 0), (2, 4), (3, 0)):
            day = shop.now.date() - back * DAY
            session.execute(insert(ChannelDay).values(channel=E, day=day, claimed=claimed))
        limit = limit_today(session, run, E)

    assert limit == 75


def test_several_workers_keep_to_one_limit(shop: Shop) -> None:
    """Whoever claims, and however many at once, no more leave than the day allows (P4, P12)."""
    limit_mails(shop, 25)
    for _ in range(60):
        shop.enroll()

    def work(_: int) -> SendCounts:
        return shop.send(E)

    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(work, range(3)))

    assert sum(one.accepted for one in counts) == len(shop.mail.sent) == 25
    assert counters(shop) == {(E, shop.now.date()): 25}


def test_claims_of_two_days_take_turns(shop: Shop, database_url: str) -> None:
    """Around midnight one worker stands in the old day and one in the new; caps hold for both."""
    left(shop)
    today, tomorrow = shop.run(), Shop(shop.business, now=shop.now + DAY).run()
    impatient = make_engine(database_url)
    is_shared = impatient.dialect.name == "postgresql"
    kept = impatient.raw_connection()
    kept.cursor().execute("SET lock_timeout = 20" if is_shared else "PRAGMA busy_timeout = 20")
    kept.commit()
    kept.close()

    with Session(shop.engine) as first, first.begin():
        left_today(first, today)
        with pytest.raises(OperationalError), Session(impatient) as second:
            left_today(second, tomorrow)
    impatient.dispose()


def test_the_day_ends_at_local_midnight(shop: Shop) -> None:
    """In summer London's day begins at 23:00 UTC; claims before it count for the day before."""
    shop.now = shop.now.replace(month=6, day=30, hour=22, minute=59)
    shop.enroll()
    shop.send()
    with Session(shop.engine) as session, session.begin():
        session.execute(delete(ChannelDay))
    shop.now += timedelta(minutes=1)

    everything = left(shop)[E]

    assert everything == shop.business.settings.policies.daily_limits.email
    assert counters(shop) == {(E, date(2026, 6, 30)): 1}
