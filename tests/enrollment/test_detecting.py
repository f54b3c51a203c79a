"""Who enters a campaign, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.enrollment.shop import (
    LONDON,
    SETTINGS,
    add_consent,
    add_customer,
    add_enrollment,
    add_purchase,
    make_campaign,
)
from winback.customers.suppression import suppress
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Enrollment,
    Move,
    Refusal,
)
from winback.enrollment.detecting import DetectCounts, detect
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.merging import merge_customers
from winback.enrollment.moving import move
from winback.enrollment.pausing import OPERATOR, PauseScope, pause, resume
from winback.enrollment.turns import hold
from winback.states import Arm, Channel, EnrollmentState, PurchaseKind, SuppressionReason

LAPSED = date(2025, 9, 2)
"""Six months before the tests' today, 2 March 2026: lapses today."""
TODAY = date(2026, 3, 2)


def _detect(engine: Engine, now: datetime, *campaigns: Any) -> DetectCounts:
    return detect(engine, campaigns or [make_campaign()], settings=SETTINGS, now=now)


def _refusals(session: Session) -> dict[int, tuple[str, date | None]]:
    rows = session.execute(select(Refusal.customer_id, Refusal.reason, Refusal.look_again_on))
    found = {customer_id: (reason, again) for customer_id, reason, again in rows}
    # A transaction of SQLite, once begun, keeps other writers out.
    session.rollback()
    return found


def test_who_lapses_today_is_enrolled(engine: Engine, session: Session, now: datetime) -> None:
    """The day itself counts; the first step is due, the window fixed, the history written."""
    lapsed = add_customer(session, [LAPSED])
    add_customer(session, [LAPSED + timedelta(days=1)])
    session.commit()

    assert _detect(engine, now) == DetectCounts(enrolled=1)

    row = session.scalars(select(Enrollment)).one()
    assert (row.customer_id, row.lapsed_on) == (lapsed, LAPSED)
    assert (row.state, row.arm) == (EnrollmentState.ACTIVE, Arm.TREATED)
    assert (row.next_step, row.due_on) == ("concern", TODAY)
    # 90 local days later summer time has begun: local midnight is an hour earlier in UTC.
    assert row.measure_until == datetime.fromisoformat("2026-05-30T23:00Z")
    assert session.scalars(select(Move.to_state)).one() == "active"
    decision = session.scalars(select(Decision)).one()
    assert decision.what == "enrolled"
    assert "no purchase since 2025-09-02" in decision.why


def test_a_second_run_enrolls_nobody(engine: Engine, session: Session, now: datetime) -> None:
    """One enrollment per campaign and lapse, however often the stage runs."""
    add_customer(session, [LAPSED])
    add_customer(session, [LAPSED], consents=())
    session.commit()

    first, second = _detect(engine, now), _detect(engine, now)

    assert first == DetectCounts(enrolled=1, refused=1)
    assert second == DetectCounts()
    assert session.scalar(select(func.count()).select_from(Decision)) == 2


def test_two_runs_at_once_enroll_once(engine: Engine, session: Session, now: datetime) -> None:
    """The unique indexes and the day's count hold under two processes."""
    for _ in range(30):
        add_customer(session, [LAPSED])
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 20})

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda _: _detect(engine, now, campaign), range(2)))

    assert sum(one.enrolled for one in counts) == 20
    assert session.scalar(select(func.count()).select_from(Enrollment)) == 20


@pytest.mark.parametrize(
    ("reason", "customer"),
    [
        ("too_long_ago", {"bought": [date(2024, 3, 1)]}),
        ("no_consent", {"bought": [LAPSED], "consents": ()}),
        ("audience", {"bought": [LAPSED], "country": "FR"}),
    ],
)
def test_a_refusal_is_stored_with_its_reason(  # noqa: PLR0917 - fixtures and the row
    engine: Engine, session: Session, now: datetime, reason: str, customer: dict[str, Any]
) -> None:
    """Whoever does not enter has a standing refusal and a decision."""
    customer_id = add_customer(session, **customer)
    session.commit()
    campaign = make_campaign(audience={"where": 'country != "FR"'})

    assert _detect(engine, now, campaign) == DetectCounts(refused=1)

    assert _refusals(session) == {customer_id: (reason, None)}
    assert session.scalars(select(Decision.what)).one() == "refused"


def test_the_last_day_of_not_after_still_enters(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Exactly 24 months ago is not too long ago."""
    add_customer(session, [date(2024, 3, 2)])
    session.commit()

    assert _detect(engine, now).enrolled == 1


def test_withdrawn_consent_is_no_consent(engine: Engine, session: Session, now: datetime) -> None:
    """Only the newest consent of a channel counts; another used channel is enough."""
    refused = add_customer(session, [LAPSED])
    texted = add_customer(session, [LAPSED], consents=(Channel.EMAIL, Channel.SMS))
    session.execute(update(Consent).where(Consent.channel == "email").values(state="withdrawn"))
    session.commit()

    assert _detect(engine, now).enrolled == 1

    assert _refusals(session) == {refused: ("no_consent", None)}
    assert session.scalars(select(Enrollment.customer_id)).one() == texted


def test_a_hard_bounced_address_is_unreachable(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Consent without an address that works reaches nobody."""
    customer_id = add_customer(session, [LAPSED])
    session.execute(update(ContactPoint).values(is_reachable=False))
    session.commit()

    _detect(engine, now)

    assert _refusals(session) == {customer_id: ("unreachable", None)}


def test_a_suppressed_person_or_address_never_enters(
    engine: Engine, session: Session, now: datetime
) -> None:
    """No means no, by person and by address, whoever shares it (promise P3)."""
    person = add_customer(session, [LAPSED])
    sharer = add_customer(session, [LAPSED])
    suppress(
        session,
        key="1",
        reason=SuppressionReason.STOPPED,
        source="reply",
        at=now,
        customer_id=person,
    )
    suppress(
        session,
        key="2",
        reason=SuppressionReason.COMPLAINED,
        source="event",
        at=now,
        address_hash=f"hash of c{sharer}@example.com",
    )
    session.commit()

    assert _detect(engine, now) == DetectCounts(refused=2)

    assert _refusals(session) == {person: ("suppressed", None), sharer: ("suppressed", None)}


def test_a_refused_customer_is_looked_at_again_when_something_changed(
    engine: Engine, session: Session, now: datetime
) -> None:
    """A new consent changes the customer; the refusal goes."""
    customer_id = add_customer(session, [LAPSED], consents=())
    session.commit()
    _detect(engine, now)
    add_consent(session, customer_id, Channel.EMAIL)
    session.execute(update(Customer).values(changed_at=now))
    session.commit()

    assert _detect(engine, now + timedelta(days=1)) == DetectCounts(enrolled=1)

    assert _refusals(session) == {}


def test_a_changed_campaign_looks_at_everyone_again(
    engine: Engine, session: Session, now: datetime
) -> None:
    """A refusal belongs to one version; refused again for the same reason is no news."""
    add_customer(session, [LAPSED])
    add_customer(session, [LAPSED], consents=())
    session.commit()
    _detect(engine, now, make_campaign(audience={"where": "purchases >= 2"}))

    assert _detect(engine, now) == DetectCounts(enrolled=1)


def test_a_condition_on_days_is_asked_again_on_its_day(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Nothing about the customer changes, the date does."""
    customer_id = add_customer(session, [LAPSED])
    session.commit()
    campaign = make_campaign(audience={"where": "days_since_last_purchase >= 200"})
    days = (TODAY - LAPSED).days
    turns_on = TODAY + timedelta(days=200 - days)

    assert _detect(engine, now, campaign).refused == 1
    assert _refusals(session)[customer_id] == ("audience", turns_on)
    assert _detect(engine, now + timedelta(days=199 - days), campaign) == DetectCounts()
    assert _detect(engine, now + timedelta(days=200 - days), campaign).enrolled == 1


def test_an_open_slot_refuses_until_it_is_freed(
    engine: Engine, session: Session, now: datetime
) -> None:
    """One open enrollment over all campaigns; its end lets the other campaign look again."""
    customer_id = add_customer(session, [LAPSED])
    session.commit()
    first = make_campaign()
    second = make_campaign(campaign="another", priority=2)

    assert _detect(engine, now, second, first) == DetectCounts(enrolled=1, refused=1)
    row = session.scalars(select(Enrollment)).one()
    assert row.campaign == "six-month"
    assert _refusals(session)[customer_id][0] == "open_slot"

    move(session, row.id, EnrollmentEvent.CANCELED, now=now, why="test")
    session.commit()
    assert _detect(engine, now, first, second) == DetectCounts(enrolled=1)


def test_cooldown_counts_from_the_end(engine: Engine, session: Session, now: datetime) -> None:
    """A new lapse within the cooldown waits for its end, and enters on that very day."""
    customer_id = add_customer(session, [LAPSED])
    add_enrollment(
        session,
        customer_id,
        make_campaign(),
        now=now,
        lapsed_on=date(2024, 1, 1),
        state=EnrollmentState.CONVERTED,
        # Half past midnight of 10 June in London.
        ended_at=datetime.fromisoformat("2025-06-09T23:30Z"),
    )
    session.commit()

    assert _detect(engine, now).refused == 1
    assert _refusals(session)[customer_id] == ("cooldown", date(2026, 6, 10))
    assert _detect(engine, datetime.fromisoformat("2026-06-09T10:00Z")) == DetectCounts()
    assert _detect(engine, datetime.fromisoformat("2026-06-10T10:00Z")).enrolled == 1


def test_the_cooldown_is_of_the_person(engine: Engine, session: Session, now: datetime) -> None:
    """The later of two ends counts, though its enrollment stayed with who became this customer."""
    people = [add_customer(session, [LAPSED]), add_customer(session)]
    add_customer(session, [LAPSED])
    for customer_id, ended in zip(people, ("2025-02-01T10:00Z", "2025-06-10T10:00Z"), strict=True):
        add_enrollment(
            session,
            customer_id,
            make_campaign(),
            now=now - timedelta(days=500),
            lapsed_on=date(2024, 1, 1),
            state=EnrollmentState.EXHAUSTED,
            ended_at=datetime.fromisoformat(ended),
        )
    kept = merge_customers(session, *people, now=now, zone=LONDON, currency="GBP")
    session.commit()

    assert _detect(engine, now) == DetectCounts(enrolled=1, refused=1)
    assert _refusals(session) == {kept: ("cooldown", date(2026, 6, 10))}


def test_who_becomes_another_meanwhile_keeps_their_turn(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Detect beside a pull that merges enrolls nobody who is gone (PostgreSQL; SQLite waits)."""
    if engine.dialect.name == "sqlite":
        # One writer at a time: either of the two is through before the other begins.
        return
    people = [add_customer(session, [LAPSED]) for _ in range(2)]
    other = add_customer(session, [LAPSED - timedelta(days=1)])
    session.commit()
    kept = merge_customers(session, *people, now=now, zone=LONDON, currency="GBP")

    assert _detect(engine, now).enrolled == 1
    session.commit()
    assert _detect(engine, now).enrolled == 1

    assert set(session.scalars(select(Enrollment.customer_id))) == {other, kept}


def test_two_become_one_after_who_enrolls_them(
    engine: Engine, session: Session, now: datetime
) -> None:
    """A merge looks at enrollments when nobody writes one any more (P1)."""
    if engine.dialect.name == "sqlite":
        # One writer at a time.
        return
    people = [add_customer(session, [LAPSED]) for _ in range(2)]
    session.commit()
    hurried = engine.execution_options(winback_patience=0.1)

    with Session(engine) as enrolling, Session(hurried) as merging:
        assert hold(enrolling, people) == people
        with pytest.raises(OperationalError, match="lock timeout"):
            merge_customers(merging, *people, now=now, zone=LONDON, currency="GBP")


def test_no_cooldown_is_allowed(engine: Engine, session: Session, now: datetime) -> None:
    """``cooldown: 0 months`` lets the next lapse in at once."""
    customer_id = add_customer(session, [LAPSED])
    campaign = make_campaign(cooldown="0 months")
    add_enrollment(
        session,
        customer_id,
        campaign,
        now=now - timedelta(days=300),
        lapsed_on=date(2024, 1, 1),
        state=EnrollmentState.EXHAUSTED,
        ended_at=now - timedelta(days=1),
    )
    session.commit()

    assert _detect(engine, now, campaign).enrolled == 1


def test_the_daily_limit_takes_the_best_and_stores_nothing_of_the_rest(
    engine: Engine, session: Session, now: datetime
) -> None:
    """By 24-month spend, then the newest lapse, then the id; the rest compete tomorrow."""
    low = add_customer(session, [LAPSED - timedelta(days=9)], amount=Decimal(5))
    newest = add_customer(session, [LAPSED], amount=Decimal(20))
    older = add_customer(session, [LAPSED - timedelta(days=1)], amount=Decimal(20))
    # Spent more, but longer than 24 months ago, and gave most of the rest back.
    past = add_customer(session, [date(2023, 1, 1), LAPSED], amount=Decimal(50))
    add_purchase(session, past, LAPSED, amount=Decimal(-40), kind=PurchaseKind.REFUND)
    session.commit()
    campaign = make_campaign(audience={"daily_limit": 2})

    assert _detect(engine, now, campaign) == DetectCounts(enrolled=2)
    assert _detect(engine, now + timedelta(hours=5), campaign) == DetectCounts()
    assert session.scalars(select(Enrollment.customer_id)).all() == [newest, older]
    assert _refusals(session) == {}

    assert _detect(engine, now + timedelta(days=1), campaign).enrolled == 2
    assert session.scalars(select(Enrollment.customer_id).order_by(Enrollment.id)).all() == [
        newest,
        older,
        past,
        low,
    ]


def test_holdouts_use_up_the_limit_and_are_left_alone(
    engine: Engine, session: Session, now: datetime
) -> None:
    """The arm is drawn last; a holdout has no step and waits for its window's end."""
    for _ in range(60):
        add_customer(session, [LAPSED])
    session.commit()
    campaign = make_campaign(holdout="50%", audience={"daily_limit": 40})

    counts = _detect(engine, now, campaign)

    assert counts.enrolled == 40
    assert 8 < counts.held_out < 32
    held = session.scalars(select(Enrollment).where(Enrollment.arm == Arm.HOLDOUT)).all()
    assert len(held) == counts.held_out
    assert {(row.state, row.next_step) for row in held} == {(EnrollmentState.HELD_OUT, None)}
    assert {row.due_on for row in held} == {TODAY + timedelta(days=90)}


def test_purchases_after_the_instant_do_not_exist(
    engine: Engine, session: Session, now: datetime
) -> None:
    """Standing in the past, who bought since had lapsed; what they bought since counts not."""
    customer_id = add_customer(session, [LAPSED, TODAY + timedelta(days=30)])
    session.commit()
    campaign = make_campaign(audience={"where": "purchases == 1 and spent == 20"})

    assert _detect(engine, now, campaign).enrolled == 1

    assert session.scalars(select(Enrollment.customer_id)).one() == customer_id


def test_an_enrollment_keeps_its_value_and_first_steps_ask_it(
    engine: Engine, session: Session, now: datetime
) -> None:
    """The top fifth by 24-month spend is high; ``only_if`` of the first step is asked at once."""
    rich = add_customer(session, [LAPSED], amount=Decimal(90))
    for _ in range(4):
        add_customer(session, [LAPSED], amount=Decimal(10))
    session.commit()
    steps = [
        {
            "step": "card",
            "wait": "0 days",
            "channel": "email",
            "template": "t",
            "only_if": 'value == "high"',
        },
        {"step": "mail", "wait": "3 days", "channel": "email", "template": "t"},
    ]

    _detect(engine, now, make_campaign(steps=steps, offers={}))

    rows = session.scalars(select(Enrollment)).all()
    assert {row.customer_id: row.value for row in rows}[rich] == "high"
    assert {(row.value, row.next_step, row.due_on) for row in rows} == {
        ("high", "card", TODAY),
        ("normal", "mail", TODAY + timedelta(days=3)),
    }


@pytest.mark.parametrize(
    ("scope", "name"), [(PauseScope.ALL, ""), (PauseScope.CAMPAIGN, "six-month")]
)
def test_nobody_enters_a_campaign_that_stands_still(  # noqa: PLR0917 - fixtures and the row
    engine: Engine, session: Session, now: datetime, scope: PauseScope, name: str
) -> None:
    """Nobody could write to them, and they would be measured; they enter when it goes on."""
    add_customer(session, [LAPSED])
    pause(session, scope, name, by=OPERATOR, why="stocktaking", now=now)
    session.commit()

    assert _detect(engine, now) == DetectCounts()

    resume(session, scope, name, now=now, zone=LONDON)
    session.commit()
    assert _detect(engine, now + timedelta(hours=1)) == DetectCounts(enrolled=1)
