"""Brakes: a campaign stops by itself when bounces or complaints go too high."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.tables import Event, Message
from winback.delivery.brake_rules import DayOfMail, judge
from winback.delivery.brakes import apply_brakes
from winback.delivery.breaker import stays_open
from winback.enrollment.pausing import PauseScope, resume, standing_pauses
from winback.states import Channel, EventKind, EventState, MessageState


@pytest.mark.parametrize(
    ("day", "stops"),
    [
        (DayOfMail(1000, 20, {}), None),
        (DayOfMail(1000, 21, {}), True),
        (DayOfMail(40, 9, {}), None),
        (DayOfMail(40, 10, {}), True),
        (DayOfMail(0, 0, {"mail.example": (3000, 3)}), False),
        (DayOfMail(0, 0, {"mail.example": (3001, 3)}), None),
        (DayOfMail(0, 0, {"mail.example": (1000, 3)}), True),
        (DayOfMail(0, 0, {"mail.example": (1001, 3)}), False),
        (DayOfMail(0, 0, {"small.example": (100, 3), "large.example": (100_000, 0)}), True),
        (DayOfMail(0, 0, {"a.example": (10, 1), "b.example": (10, 1)}), None),
        (DayOfMail(0, 0, {"a.example": (10, 2), "b.example": (10, 1)}), True),
    ],
)
def test_the_thresholds(day: DayOfMail, stops: bool | None) -> None:  # noqa: FBT001 - a table
    """Over 2 % bounces, from 0.3 % complaints, over all or at one domain, warn from 0.1 %.

    FACTS.md LAW-18 and LAW-21; ten bounces or three complaints at least: chance is no trend.
    """
    verdict = judge(day)
    assert (None if verdict is None else verdict.stops) is stops


def _mailed(shop: Shop, count: int) -> list[int]:
    ids = [shop.enroll(emails=[f"p{n}@mail.example"], phones=[]) for n in range(count)]
    shop.send(Channel.EMAIL)
    return [shop.messages(id_)[0].id for id_ in ids]


def _complain(session: Session, shop: Shop, message_ids: list[int]) -> None:
    for id_ in message_ids:
        session.execute(
            insert(Event).values(
                key=f"spam {id_}",
                origin="sendgrid.events",
                kind=EventKind.COMPLAINED,
                body={},
                received_at=shop.now,
                state=EventState.APPLIED,
                message_id=id_,
            )
        )


def _brake(shop: Shop) -> dict[str, bool]:
    with Session(shop.engine) as session, session.begin():
        return {name: one.stops for name, one in apply_brakes(session, now=shop.now).items()}


def _pauses(shop: Shop) -> dict[str, str]:
    with Session(shop.engine) as session:
        return standing_pauses(session).campaigns


def test_bounces_pause_the_campaign(shop: Shop) -> None:
    """Ten of twelve bounced: nothing more leaves until a person lets it go on."""
    messages = _mailed(shop, 12)
    assert _brake(shop) == {}
    with Session(shop.engine) as session, session.begin():
        session.execute(
            update(Message)
            .where(Message.id.in_(messages[:10]))
            .values(state=MessageState.BOUNCED, settled_at=shop.now)
        )
    shop.now += timedelta(hours=1)
    assert _brake(shop) == {"six-month": True}
    assert _brake(shop) == {"six-month": True}, "safe to repeat"
    assert "10 of 12 mails bounced" in _pauses(shop)["six-month"]


def test_complaints_at_one_domain_pause_and_do_not_pause_again(shop: Shop) -> None:
    """What an operator has seen and let go on does not stop the campaign a second time."""
    messages = _mailed(shop, 4)
    with Session(shop.engine) as session, session.begin():
        _complain(session, shop, messages[:3])
    shop.now += timedelta(hours=1)
    assert _brake(shop) == {"six-month": True}
    with Session(shop.engine) as session, session.begin():
        zone = shop.business.settings.business.zone
        resume(session, PauseScope.CAMPAIGN, "six-month", now=shop.now, zone=zone)
    shop.now += timedelta(minutes=15)
    assert _brake(shop) == {}
    assert not _pauses(shop)


def test_yesterdays_complaints_are_over(shop: Shop) -> None:
    """Rates are counted per day: what is older speaks against nobody."""
    messages = _mailed(shop, 4)
    with Session(shop.engine) as session, session.begin():
        _complain(session, shop, messages)
    shop.now += DAY + timedelta(minutes=1)
    assert _brake(shop) == {}


def test_one_angry_person_is_no_trend(shop: Shop) -> None:
    """One of four is a large share: that person is suppressed, the campaign goes on."""
    messages = _mailed(shop, 4)
    with Session(shop.engine) as session, session.begin():
        _complain(session, shop, messages[:1])
    assert _brake(shop) == {}
    assert not _pauses(shop)


def test_a_channel_stays_closed_for_longer_each_time() -> None:
    """1, 4, 16 minutes, then an hour: a provider that is down is not asked all the time."""
    minutes = [stays_open(strikes) / timedelta(minutes=1) for strikes in (1, 2, 3, 4, 50)]
    assert minutes == [1, 4, 16, 60, 60]
