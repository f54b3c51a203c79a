"""Whom detect looks at again: by what changed, and with the same result as looking at everyone."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from tests.enrollment.shop import (
    LONDON,
    SETTINGS,
    add_customer,
    add_purchase,
    make_campaign,
)
from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.clock import at_local
from winback.customers.consent import record_consent
from winback.customers.sums import recompute_sums
from winback.customers.suppression import suppress
from winback.database.tables import Customer, Enrollment, Refusal, Waiting
from winback.enrollment.detecting import DetectCounts, detect
from winback.enrollment.eligibility import judge_lapsed
from winback.enrollment.finding import Look, read_mark, to_judge
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.enrollment.value import set_threshold, spends_of
from winback.states import OPEN_ENROLLMENTS, Channel, ConsentState, PurchaseKind, SuppressionReason

LAPSED = date(2025, 9, 2)
"""Six months before the tests' today, 2 March 2026: lapses today."""
TODAY = date(2026, 3, 2)
DAY = timedelta(days=1)
LONG_AGO = datetime.fromisoformat("2020-01-01T00:00Z")


def _detect(engine: Engine, now: datetime, campaign: Campaign) -> DetectCounts:
    return detect(engine, [campaign], settings=SETTINGS, now=now)


def _judged(session: Session, campaign: Campaign, now: datetime) -> list[int]:
    """Give whom a detect would judge."""
    look = Look(campaign, keep_version(session, campaign, now), SETTINGS, now)
    found = [id_ for ids in to_judge(session, look, read_mark(session, look)) for id_ in ids]
    session.commit()
    return sorted(found)


def _waiting(session: Session) -> Sequence[int]:
    found = session.scalars(select(Waiting.customer_id).order_by(Waiting.customer_id)).all()
    session.commit()
    return found


def _enrolled(session: Session) -> Sequence[int]:
    found = session.scalars(select(Enrollment.customer_id).order_by(Enrollment.id)).all()
    session.commit()
    return found


def test_an_unchanged_day_judges_nobody_again(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Neither the backlog, nor refusals that stand, nor who is enrolled (promise P12)."""
    for _ in range(3):
        add_customer(session, [LAPSED])
    add_customer(session, [LAPSED], consents=())
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 1})
    assert len(_judged(session, campaign, now)) == 4

    _detect(engine, now, campaign)

    assert _judged(session, campaign, now + DAY) == []
    assert len(_waiting(session)) == 2


def test_the_newly_lapsed_of_all_days_since_are_judged(
    engine: Engine, session: Session, now: datetime
) -> None:
    """After days of downtime nobody is missed (promise P10)."""
    add_customer(session, [LAPSED])
    session.commit()
    campaign = make_campaign()
    _detect(engine, now, campaign)
    new = [add_customer(session, [LAPSED + n * DAY]) for n in (1, 2, 3, 4)]
    session.commit()

    assert _judged(session, campaign, now + 3 * DAY) == new[:3]


def test_who_changed_is_judged_again_unless_seen_as_it_is(
    engine: Engine, session: Session, now: datetime
) -> None:
    """A pull commits later than it says, so a day back is looked at; what was seen is not."""
    refused = add_customer(session, [LAPSED], consents=(), changed_at=now)
    waits = add_customer(session, [LAPSED], amount=Decimal(1), changed_at=now)
    add_customer(session, [LAPSED], changed_at=now)
    add_customer(session, [TODAY], changed_at=now)
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 1})
    _detect(engine, now, campaign)
    later = now + timedelta(hours=3)
    assert _judged(session, campaign, later) == []

    # Written by a pull that had begun before the detect and was committed after it.
    session.execute(update(Customer).values(changed_at=now - timedelta(hours=1)))
    session.commit()

    assert _judged(session, campaign, later) == [refused, waits]


def test_who_waits_and_came_back_waits_no_more(
    engine: Engine, session: Session, now: datetime
) -> None:
    """A purchase ends the lapse: the place is given up, and not only when the turn comes."""
    add_customer(session, [LAPSED])
    back = add_customer(session, [LAPSED], amount=Decimal(1))
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 1})
    _detect(engine, now, campaign)
    assert _waiting(session) == [back]
    add_purchase(session, back, TODAY)
    recompute_sums(session, select(Customer.id).where(Customer.id == back), currency="GBP")
    session.execute(update(Customer).where(Customer.id == back).values(changed_at=now))
    session.commit()

    _detect(engine, now + timedelta(hours=3), campaign)

    assert _waiting(session) == []


def test_who_may_enter_no_more_is_refused_when_the_turn_comes(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Who waits is judged once more; the next one takes the place (promise P3)."""
    first, second, third = (
        add_customer(session, [LAPSED], amount=Decimal(amount)) for amount in (30, 20, 10)
    )
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 1})
    _detect(engine, now, campaign)
    suppress(
        session,
        key="1",
        reason=SuppressionReason.ASSOCIATE,
        source="associate",
        at=now,
        customer_id=second,
    )
    session.commit()

    assert _detect(engine, now + DAY, campaign) == DetectCounts(enrolled=1, refused=1)

    assert _enrolled(session) == [first, third]
    assert session.scalars(select(Refusal.reason)).one() == "suppressed"


def test_ranks_move_with_the_days(engine: Engine, session: Session, now: datetime) -> None:
    """A purchase that leaves the 24 months no longer counts, though nothing changed."""
    first = add_customer(session, [LAPSED], amount=Decimal(99))
    fading = add_customer(session, [TODAY - timedelta(days=730), LAPSED], amount=Decimal(30))
    steady = add_customer(session, [LAPSED], amount=Decimal(40))
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 1})
    _detect(engine, now, campaign)
    assert _judged(session, campaign, now + DAY) == [fading]

    _detect(engine, now + DAY, campaign)

    assert _enrolled(session) == [first, steady]
    assert _waiting(session) == [fading]


def test_a_changed_campaign_forgets_who_waited_for_the_old_one(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Who has not lapsed by the new rule waits for nothing."""
    for _ in range(3):
        add_customer(session, [LAPSED])
    _, old = (add_customer(session, [LAPSED - timedelta(days=100)]) for _ in range(2))
    session.commit()
    _detect(engine, now, make_campaign(audience={"daily_limit": 1}))
    assert len(_waiting(session)) == 4

    changed = make_campaign(
        lapse={"after": "9 months"}, audience={"daily_limit": 1, "where": "purchases >= 1"}
    )
    _detect(engine, now + DAY, changed)

    assert _waiting(session) == [old]


def test_a_look_that_broke_off_is_made_again(
    engine: Engine, session: Session, now: datetime
) -> None:
    """How far was looked is noted after all of it is kept: a crash between loses nobody (P2)."""
    add_customer(session, [LAPSED])
    session.commit()
    campaign = make_campaign()
    _detect(engine, now, campaign)
    late = [add_customer(session, [LAPSED + DAY]) for _ in range(2)]
    session.commit()
    look = Look(campaign, keep_version(session, campaign, now), SETTINGS, now + DAY)

    broken_off = list(to_judge(session, look, read_mark(session, look)))
    session.rollback()

    assert [id_ for ids in broken_off for id_ in ids] == late
    assert _judged(session, campaign, now + 2 * DAY) == late


@pytest.mark.parametrize("seed", range(1))
def test_it_enrolls_whom_looking_at_everyone_would(
    engine: Engine, session: Session, seed: int
) -> None:
    """Day by day, with purchases, refunds, consents, noes, endings and an edit between them.

    Some purchases stand in the data before their time, as with ``--as-of``.
    """
    rng = Random(f"turns {seed}")  # noqa: S311 - a test's seed
    people = [_anybody(session, rng) for _ in range(80)]
    recompute_sums(session, select(Customer.id), currency="GBP")
    session.commit()
    campaign = make_campaign(
        audience={"where": "days_since_last_purchase < 400", "daily_limit": 3},
        cooldown="1 month",
        measure_for="30 days",
        holdout="20%",
    )

    for n in range(20):
        now = at_local(TODAY + n * DAY, time(10), LONDON)
        if n == 10:
            campaign = campaign.model_copy(update={"priority": 2})
        expected = _best(session, campaign, now)
        latest = session.scalar(select(func.max(Enrollment.id))) or 0
        session.commit()
        _detect(engine, now, campaign)
        entered = session.scalars(
            select(Enrollment.customer_id).where(Enrollment.id > latest).order_by(Enrollment.id)
        ).all()
        session.commit()
        assert entered == expected, f"day {n}"
        for customer_id in rng.sample(people, 8):
            _something_happens(session, rng, customer_id, now + timedelta(hours=2))
        session.commit()

    assert len(_enrolled(session)) > 20


def _anybody(session: Session, rng: Random) -> int:
    days = [TODAY - timedelta(days=rng.randrange(-30, 740)) for _ in range(rng.randrange(1, 4))]
    consents = (Channel.EMAIL,) if rng.random() < 0.9 else ()
    customer_id = add_customer(
        session, days, consents=consents, amount=Decimal(rng.randrange(1, 9))
    )
    if rng.random() < 0.2:
        _refund(session, customer_id, TODAY + timedelta(days=rng.randrange(-700, 30)))
    return customer_id


def _refund(session: Session, customer_id: int, day: date) -> None:
    add_purchase(session, customer_id, day, amount=Decimal(-1), kind=PurchaseKind.REFUND)


def _best(session: Session, campaign: Campaign, now: datetime) -> list[int]:
    """Judge everyone, rank those who may enter, and cut: the rule as it is written."""
    set_threshold(session, share=Decimal("0.2"), now=now, zone=LONDON, currency="GBP")
    judged = [
        one
        for batch in judge_lapsed(session, campaign, now=now, zone=LONDON, currency="GBP")
        for one in batch
        if one.reason is None
    ]
    ids = [one.customer_id for one in judged]
    spends = spends_of(session, ids, now=now, zone=LONDON, currency="GBP")
    session.commit()

    def turn(one: Any) -> tuple[Decimal, int, int]:
        spend = spends.get(one.customer_id, Decimal(0))
        return -spend, -one.lapsed_on.toordinal(), one.customer_id

    judged.sort(key=turn)
    return [one.customer_id for one in judged[: campaign.audience.daily_limit]]


def _something_happens(session: Session, rng: Random, customer_id: int, at: datetime) -> None:
    day = at.date()
    match rng.randrange(9):
        case 0:
            add_purchase(session, customer_id, day - timedelta(days=rng.randrange(200)))
            _pulled(session, customer_id, at)
        case 1:
            _refund(session, customer_id, day - timedelta(days=rng.randrange(200)))
            _pulled(session, customer_id, at)
        case 2:
            state = rng.choice([ConsentState.GIVEN, ConsentState.WITHDRAWN])
            record_consent(session, customer_id, Channel.EMAIL, state=state, source="till", now=at)
        case 3 if rng.random() < 0.3:
            suppress(
                session,
                key=f"{customer_id}",
                reason=SuppressionReason.STOPPED,
                source="reply",
                at=at,
                customer_id=customer_id,
            )
        case _:
            event = rng.choice([EnrollmentEvent.CANCELED, EnrollmentEvent.PURCHASED])
            for enrollment_id in session.scalars(
                select(Enrollment.id).where(
                    Enrollment.customer_id == customer_id, Enrollment.state.in_(OPEN_ENROLLMENTS)
                )
            ).all():
                move(session, enrollment_id, event, now=at, why="it happens")


def _pulled(session: Session, customer_id: int, at: datetime) -> None:
    whose = select(Customer.id).where(Customer.id == customer_id)
    recompute_sums(session, whose, currency="GBP")
    session.execute(update(Customer).where(Customer.id == customer_id).values(changed_at=at))
