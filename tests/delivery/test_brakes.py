"""Brakes: a campaign stops by itself when bounces or complaints go too high."""

from datetime import date, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, SECRET, Shop
from winback.customers.privacy import erase_customer
from winback.database.tables import Event, Message, table_of
from winback.delivery.brake_rules import DayOfMail, judge
from winback.delivery.brakes import apply_brakes
from winback.delivery.breaker import stays_open
from winback.delivery.news import apply_news
from winback.enrollment.pausing import PauseScope, resume, standing_pauses
from winback.policies import PaceSettings
from winback.states import Channel, EventKind, EventState, MessageState, Mode

MINUTES: Final = timedelta(minutes=5)
_DATE: Final = date(2026, 3, 2)
_MESSAGES: Final = table_of(Message)


@pytest.mark.parametrize(
    ("accepted", "bounced", "by_domain", "stops"),
    [
        (1000, 20, {}, None),
        (1000, 21, {}, True),
        (40, 9, {}, None),
        (40, 10, {}, True),
        (0, 0, {"mail.example": (3000, 3)}, False),
        (0, 0, {"mail.example": (3001, 3)}, None),
        (0, 0, {"mail.example": (1000, 3)}, True),
        (0, 0, {"mail.example": (1001, 3)}, False),
        (0, 0, {"small.example": (100, 3), "large.example": (100_000, 0)}, True),
        (0, 0, {"small.example": (2000, 3), "large.example": (100_000, 0)}, False),
        (0, 0, {"small.example": (2000, 2), "large.example": (100_000, 0)}, None),
        (0, 0, {"a.example": (10, 1), "b.example": (10, 1)}, None),
        (0, 0, {"a.example": (10, 2), "b.example": (10, 1)}, True),
        (0, 0, {"a.example": (0, 3)}, None),
        (0, 0, {None: (997, 1), "a.example": (1, 1), "b.example": (2, 1)}, True),
        (0, 0, {None: (3, 3), "a.example": (9000, 0)}, None),
        (0, 10, {}, None),
    ],
)
def test_the_thresholds(
    accepted: int, bounced: int, by_domain: dict[str | None, tuple[int, int]], *, stops: bool | None
) -> None:
    """Over 2 % bounces, from 0.3 % complaints, over all or at one domain; warn from 0.1 %.

    FACTS.md LAW-18 and LAW-21; ten bounces or three complaints at least: chance is no trend, and
    a whole of nought judges nothing.
    """
    verdict = judge(DayOfMail(_DATE, accepted, bounced, by_domain))
    assert (None if verdict is None else verdict.stops) is stops


_DOMAINS: Final = st.sampled_from(("a.example", "b.example", "c.example", None))
_FIGURES: Final = st.integers(0, 5000).flatmap(
    lambda good: st.tuples(st.just(good), st.integers(0, good))
)
_MAIL: Final = st.builds(
    lambda accepted, bounced, by_domain: DayOfMail(_DATE, accepted, bounced, by_domain),
    st.integers(0, 5000),
    st.integers(0, 200),
    st.dictionaries(_DOMAINS, _FIGURES),
)


@given(_MAIL)
def test_a_verdict_needs_numbers_and_a_share(mail: DayOfMail) -> None:
    """No small day stops anything, and whatever reaches a threshold is told (LAW-18, LAW-21)."""
    good, bad = (sum(one[of] for one in mail.by_domain.values()) for of in (0, 1))
    figures = [(good, bad), *(of for domain, of in mail.by_domain.items() if domain)]
    highest = max((part / whole for whole, part in figures if part >= 3), default=0.0)
    bounces = mail.bounced / mail.accepted if mail.bounced >= 10 and mail.accepted else 0.0

    verdict = judge(mail)

    assert (verdict is not None) is (bounces > 0.02 or highest >= 0.001)
    if verdict is not None:
        assert verdict.stops is (bounces > 0.02 or highest >= 0.003)


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
        found = apply_brakes(session, now=shop.now, settings=shop.business.settings)
    return {name: one.stops for name, one in found.items()}


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
    assert "10 of 12 mails of 2026-03-02 bounced" in _pauses(shop)["six-month"]


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
    with Session(shop.engine) as session, session.begin():
        _complain(session, shop, messages[3:])
    assert _brake(shop) == {}
    assert not _pauses(shop)
    later = _mailed_more(shop, messages[0], 12)
    _bounce(shop, later[:10])
    assert _brake(shop) == {"six-month": True}, "what left since then counts"


def _bounce(shop: Shop, message_ids: list[int]) -> None:
    with Session(shop.engine) as session, session.begin():
        for id_ in message_ids:
            apply_news(session, id_, EventKind.BOUNCED, at=shop.now, reason="550 no such user")


def _deliver(shop: Shop, message_ids: list[int]) -> None:
    with Session(shop.engine) as session, session.begin():
        for id_ in message_ids:
            apply_news(session, id_, EventKind.DELIVERED, at=shop.now)


def _mailed_more(shop: Shop, message_id: int, count: int) -> list[int]:
    """Let as many mails leave now as that one did, in the same state; gives their ids."""
    with Session(shop.engine) as session, session.begin():
        row = session.execute(select(_MESSAGES).where(_MESSAGES.c.id == message_id)).one()._asdict()
        del row["id"]
        rows = [
            row | {"claimed_at": shop.now, "step": f"{shop.now} {n}", "send_id": f"{shop.now} {n}"}
            for n in range(count)
        ]
        return list(session.scalars(insert(_MESSAGES).returning(_MESSAGES.c.id), rows))


@pytest.mark.parametrize("later", [DAY - MINUTES, DAY + MINUTES, 7 * DAY + MINUTES, 40 * DAY])
def test_the_last_sending_is_judged_before_the_next(shop: Shop, later: timedelta) -> None:
    """Whatever the rhythm: a day that begins some minutes later is no way past it (LAW-21)."""
    messages = _mailed(shop, 12)
    _bounce(shop, messages[:10])
    shop.now += later
    assert _brake(shop) == {"six-month": True}


def test_a_day_that_ended_well_does_not_hide_the_one_before(shop: Shop) -> None:
    """A late bounce counts against the day of its mail: 72 hours a mailbox is tried (SG-19)."""
    messages = _mailed(shop, 12)
    shop.now += 3 * DAY
    _mailed_more(shop, messages[0], 600)
    _bounce(shop, messages[:10])
    assert _brake(shop) == {"six-month": True}
    assert "10 of 12 mails of 2026-03-02 bounced" in _pauses(shop)["six-month"]


def test_what_is_older_is_over(shop: Shop) -> None:
    """Rates are counted per day: what left long before the last mails speaks against nobody."""
    messages = _mailed(shop, 12)
    shop.now += 4 * DAY
    _mailed_more(shop, messages[0], 1)
    _bounce(shop, messages[:10])
    assert _brake(shop) == {}


def test_bounces_of_two_days_are_not_added_up(shop: Shop) -> None:
    """Nine and nine are two days of chance, each below the ten, where nothing warms up (LAW-21)."""
    first = _mailed(shop, 12)
    shop.now += DAY
    second = _mailed_more(shop, first[0], 12)
    _bounce(shop, first[:9] + second[:9])
    assert _brake(shop) == {}
    _bounce(shop, second[9:10])
    assert _brake(shop) == {"six-month": True}


def test_while_mails_warm_up_small_days_are_judged_together(shop: Shop) -> None:
    """LAW-21: days of fifty mails never have ten bounces each, though one in six is dead."""
    shop.change(mode=Mode.LIVE)
    first = _mailed(shop, 20)
    more = _mailed_more(shop, first[0], 30)
    _bounce(shop, [*first[:4], *more[:5]])
    assert _brake(shop) == {}, "nine are too few"
    shop.now += DAY
    second = _mailed_more(shop, first[10], 75)
    _bounce(shop, second[:1])

    assert _brake(shop) == {"six-month": True}

    why = "10 of 125 mails of 2026-03-02 to 2026-03-03 bounced; more than 2 %"
    assert why in _pauses(shop)["six-month"]
    shop.now += MINUTES
    with Session(shop.engine) as session, session.begin():
        zone = shop.business.zone
        resume(session, PauseScope.CAMPAIGN, "six-month", now=shop.now, zone=zone)
    shop.now += DAY
    third = _mailed_more(shop, first[10], 20)
    _bounce(shop, third[:9])
    assert _brake(shop) == {}, "what was let go on is over"


@pytest.mark.parametrize(
    ("days", "last", "stops"), [(3, 500, False), (3, 300, True), (4, 9, False)]
)
def test_the_days_together_need_the_same_share_and_the_same_time(
    shop: Shop, days: int, last: int, *, stops: bool
) -> None:
    """More than 2 % of all mails of the four days that are looked at, and none of a fifth."""
    shop.change(mode=Mode.LIVE)
    first = _mailed(shop, 9)
    _bounce(shop, first[:6])
    shop.now += days * DAY
    _bounce(shop, _mailed_more(shop, first[8], last)[:4])
    assert _brake(shop) == ({"six-month": True} if stops else {})


@pytest.mark.parametrize("later", [timedelta(hours=1), DAY + MINUTES, 3 * DAY])
def test_a_late_complaint_counts_by_the_mails_of_its_day(shop: Shop, later: timedelta) -> None:
    """3 of 1,200 mails are 0.25 %, a warning, on days without mails too (FACTS.md LAW-18)."""
    messages = _mailed(shop, 12)
    _deliver(shop, messages)
    _mailed_more(shop, messages[0], 1188)
    shop.now += later
    with Session(shop.engine) as session, session.begin():
        _complain(session, shop, messages[:3])
    assert _brake(shop) == {"six-month": False}
    assert not _pauses(shop)


@pytest.mark.parametrize(("nth", "stops"), [(1, True), (7, False)])
def test_a_long_send_stops_in_the_middle(shop: Shop, nth: int, *, stops: bool) -> None:
    """Hours at a pace bring bounces of their own: they stop what is left (FACTS.md LAW-21).

    Eight of sixty are a large share, and fewer than a brake takes.
    """
    shop.limit(pace=PaceSettings(email=1.0))
    for _ in range(60):
        shop.enroll()

    def bounce(seconds: float) -> None:
        if seconds % 5 == 0:
            sent = [one.id for one in shop.messages() if one.state is MessageState.ACCEPTED]
            _bounce(shop, [id_ for id_ in sent if id_ % nth == 0])

    counts = shop.send_in_time(bounce)

    assert (counts.accepted < 45) is stops, "half a minute, and a few that were claimed"
    assert counts.accepted + counts.postponed == 60
    assert ("six-month" in _pauses(shop)) is stops


def test_erasing_somebody_hides_no_complaint(shop: Shop) -> None:
    """LAW-18, LAW-39: the address goes, and with it its domain; that it was called spam stays."""
    messages = _mailed(shop, 12)
    _deliver(shop, messages)
    _mailed_more(shop, messages[0], 988)
    with Session(shop.engine) as session, session.begin():
        _complain(session, shop, messages[:3])
        customer_id = session.get_one(Message, messages[0]).customer_id
        erase_customer(session, customer_id, now=shop.now, secret=SECRET)

    assert _brake(shop) == {"six-month": True}
    assert "3 of 1,000 mails of 2026-03-02 delivered were called" in _pauses(shop)["six-month"]


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
