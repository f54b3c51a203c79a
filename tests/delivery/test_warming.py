"""The warm-up: slower after a brake, and no more new people than mails can leave."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.tables import ChannelDay, Enrollment
from winback.delivery.admitting import mails_for_new
from winback.delivery.daily import limit_today
from winback.enrollment.detecting import DetectCounts, detect
from winback.enrollment.pausing import BRAKE, OPERATOR, PauseScope, pause, resume
from winback.policies import DailyLimits
from winback.states import Arm, Channel, EnrollmentState, Mode

E, T = Channel.EMAIL, Channel.SMS


@pytest.fixture
def live(shop: Shop) -> Shop:
    """Give a shop that writes for real: 50 mails on its first day."""
    shop.change(mode=Mode.LIVE)
    return shop


def mailed(shop: Shop, *days_ago: int) -> None:
    """Let mails have left on these days."""
    with Session(shop.engine) as session, session.begin():
        for back in days_ago:
            day = shop.now.date() - back * DAY
            session.execute(insert(ChannelDay).values(channel=E, day=day, claimed=5))


def braked(shop: Shop, *, days_ago: int, by: str = BRAKE, lasts: timedelta | None = None) -> None:
    """Let something have stopped the campaign at noon, and an operator let it go on later."""
    at = shop.now - days_ago * DAY
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.CAMPAIGN, "six-month", by=by, why="bounces", now=at)
        if lasts is not None:
            zone = shop.business.zone
            resume(session, PauseScope.CAMPAIGN, "six-month", now=at + lasts, zone=zone)


def under_way(shop: Shop, **fields: Any) -> None:
    """Let somebody have entered yesterday, whose next step is due today."""
    before = shop.now - DAY
    shop.enroll(enrolled_at=before, enrolled_on=before.date(), **fields)


def limit(shop: Shop) -> int:
    """Give how many mails may leave today."""
    with Session(shop.engine) as session, session.begin():
        return limit_today(session, shop.run(), E)


def room(shop: Shop) -> int | None:
    """Give how many may enter today by the warm-up."""
    with Session(shop.engine) as session, session.begin():
        return mails_for_new(session, shop.business, now=shop.now)


def found(shop: Shop) -> DetectCounts:
    """Detect as the day does."""
    return detect(
        shop.engine,
        shop.business.campaigns,
        settings=shop.business.settings,
        now=shop.now,
        mail_room=lambda session: mails_for_new(session, shop.business, now=shop.now),
    )


@pytest.mark.parametrize(
    ("lasts", "expected"),
    [
        # Four days with mails make 50 * 1.5^4; those that a brake stood on do not count.
        (timedelta(hours=1), 168),
        (timedelta(days=1), 112),
        (None, 75),
    ],
    ids=["an hour", "overnight", "still stands"],
)
def test_a_day_with_a_brake_does_not_grow(
    live: Shop, lasts: timedelta | None, expected: int
) -> None:
    """1.5 times each day *without a brake* (DESIGN.md, section 7; FACTS.md LAW-21)."""
    mailed(live, 4, 3, 2, 1)

    assert limit(live) == 253
    braked(live, days_ago=3, lasts=lasts)

    assert limit(live) == expected


def test_todays_brake_and_an_operators_pause_take_nothing_away(live: Shop) -> None:
    """What somebody stopped by hand says nothing about the mails; today's number stands."""
    mailed(live, 2, 1)
    braked(live, days_ago=1, by=OPERATOR, lasts=timedelta(hours=1))
    braked(live, days_ago=0)

    assert limit(live) == 112


def test_two_brakes_on_one_day_are_one_day(live: Shop) -> None:
    """Days are counted, not brakes."""
    mailed(live, 3, 2, 1)
    for _ in range(2):
        braked(live, days_ago=2, lasts=timedelta(hours=1))

    assert limit(live) == 112


def test_nobody_is_held_back_where_nothing_warms_up(shop: Shop) -> None:
    """In the sandbox, switched off, or warmed up: only the campaign's own limit holds."""
    sandbox = room(shop)
    shop.change(mode=Mode.LIVE)
    shop.limit(daily_limits=DailyLimits(email=50, sms=500))
    full = room(shop)
    shop.limit(daily_limits=DailyLimits(email=51, sms=500))
    warming = room(shop)
    shop.limit(warm_up="off")

    assert (sandbox, full, warming, room(shop)) == (None, None, 50, None)


def test_what_is_due_comes_before_whoever_is_new(live: Shop) -> None:
    """Due steps that may be mails, queued mails, claims and today's holdouts use up the number."""
    tomorrow = live.now.date() + DAY
    live.enroll()
    live.enroll(next_step="check-in")
    live.enroll(arm=Arm.HOLDOUT, state=EnrollmentState.HELD_OUT, next_step=None, due_on=tomorrow)
    live.enroll(due_on=tomorrow)
    under_way(live, due_on=tomorrow)
    before = room(live)

    # The mail is claimed; the text went as a text and used up no mail.
    live.send()

    assert (before, room(live)) == (46, 47)


def test_what_stands_still_takes_no_mails(live: Shop) -> None:
    """A braked campaign's due steps hold nobody else back; without mails nobody enters."""
    for _ in range(3):
        under_way(live)
    free = room(live)
    braked(live, days_ago=0)
    stopped = room(live)
    with Session(live.engine) as session, session.begin():
        pause(session, PauseScope.CHANNEL, "email", by=OPERATOR, why="", now=live.now)

    assert (free, stopped, room(live)) == (47, 50, 0)


def test_no_more_enter_than_mails_can_leave_and_newest_lapses_first(live: Shop) -> None:
    """Whatever the rank by value says, and however often detect runs in a day."""
    live.limit(daily_limits=DailyLimits(email=60, sms=500))
    rich = live.lapse(4, on=date(2025, 7, 1), spent=900)
    newest = live.lapse(48, on=date(2025, 8, 20))
    under_way(live)

    first, again = found(live), found(live)
    live.send()
    after_the_send = found(live)

    assert (first.enrolled, again.enrolled) == (49, 0)
    # A mail that could not leave would leave room; all of these left, or were held out.
    assert after_the_send.enrolled == 0
    assert len(live.mail.sent) == 50 - first.held_out
    with Session(live.engine) as session:
        entered = set(session.scalars(select(Enrollment.customer_id)))
    assert set(newest) <= entered
    assert len(set(rich) & entered) == 1

    # The next day has 60, its limit: nothing warms up any more.
    live.now += DAY
    assert found(live).enrolled == 3


def test_a_campaign_without_mails_is_not_held_back(live: Shop) -> None:
    """A warm-up is for mails; texts have limits of their own."""
    texts = [one for one in live.campaign.steps if one.channel is T]
    only = [one.model_copy(update={"otherwise": None, "before_expiry": None}) for one in texts]
    campaign = live.campaign.model_copy(update={"steps": (only[0],)})
    live.business = replace(live.business, campaigns=(campaign,))
    live.lapse(55)

    assert found(live).enrolled == 55
