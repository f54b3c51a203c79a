"""Outcomes follow the facts, in both arms alike, and cost what changed."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.outcomes.facts import SETTINGS, START, World
from winback.database.tables import Outcome
from winback.outcomes.measuring import MeasureCounts, measure
from winback.states import Arm

DAY = timedelta(days=1)


@pytest.fixture
def world(session: Session) -> World:
    """Give a builder of facts on a fresh database."""
    return World(session)


def outcome(engine: Engine, enrollment_id: int) -> Outcome | None:
    """Read one outcome as another session sees it."""
    with Session(engine) as session:
        return session.get(Outcome, enrollment_id)


@pytest.mark.parametrize("arm", list(Arm))
def test_both_arms_are_measured_alike(engine: Engine, world: World, arm: Arm) -> None:
    """FACTS.md MEA-3: the same purchases count the same, written to or not."""
    enrollment = world.enrollment(arm)
    world.purchase(enrollment, after=20 * DAY, amount="33.50")
    world.session.commit()

    counts = measure(engine, settings=SETTINGS, now=START + 30 * DAY)

    found = outcome(engine, enrollment.id)
    assert counts == MeasureCounts(looked_at=1, changed=1)
    assert found is not None
    assert (found.is_converted, found.purchases, found.revenue) == (True, 1, Decimal("33.50"))
    assert found.converted_at == START + 20 * DAY
    assert not found.is_window_over


def test_a_second_measuring_writes_nothing(engine: Engine, world: World) -> None:
    """Skipped when nothing changed."""
    world.purchase(world.enrollment(), after=DAY)
    world.session.commit()
    now = START + 2 * DAY
    measure(engine, settings=SETTINGS, now=now)

    assert measure(engine, settings=SETTINGS, now=now).changed == 0


def test_cost_follows_what_changed(engine: Engine, world: World) -> None:
    """P12: enrollments without news are not even looked at on SQLite, and never written."""
    enrollments = [world.enrollment() for _ in range(30)]
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + DAY)
    world.purchase(enrollments[3], after=2 * DAY)
    world.session.commit()

    counts = measure(engine, settings=SETTINGS, now=START + 3 * DAY)

    assert counts.changed == 1
    assert counts.looked_at == (1 if engine.dialect.name == "sqlite" else 30)


def test_the_end_of_a_window_is_noticed(engine: Engine, world: World) -> None:
    """A window that ends without any news still ends."""
    enrollment = world.enrollment(Arm.HOLDOUT)
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + 89 * DAY)

    counts = measure(engine, settings=SETTINGS, now=START + 90 * DAY)

    found = outcome(engine, enrollment.id)
    assert (counts.changed, counts.closed) == (1, 1)
    assert found is not None
    assert found.is_window_over


def test_a_refund_seen_late_changes_a_closed_outcome(engine: Engine, world: World) -> None:
    """FACTS.md MEA-14: facts that arrive after the window's end still correct its numbers."""
    enrollment = world.enrollment()
    world.purchase(enrollment, after=DAY, amount="50")
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + 91 * DAY)
    world.purchase(enrollment, after=3 * DAY, amount="-20", kind="refund", seen_after=100 * DAY)
    world.session.commit()

    measure(engine, settings=SETTINGS, now=START + 100 * DAY)

    found = outcome(engine, enrollment.id)
    assert found is not None
    assert found.revenue == 30


def test_a_corrected_amount_is_noticed(engine: Engine, world: World) -> None:
    """A purchase that a source corrected changes its customer, and so the outcome."""
    customer = world.customer()
    purchase = world.purchase(world.enrollment(customer=customer), after=DAY, amount="50")
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + 2 * DAY)
    purchase.amount, customer.changed_at = Decimal(45), START + 3 * DAY
    world.session.commit()

    assert measure(engine, settings=SETTINGS, now=START + 3 * DAY).changed == 1


def test_costs_and_attribution_come_with_messages_and_vouchers(
    engine: Engine, world: World
) -> None:
    """FACTS.md MEA-11, MEA-16: message cost, voucher cost by the campaign's version, attributed."""
    enrollment = world.enrollment()
    message = world.message(enrollment, cost=Decimal("0.04"))
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + DAY)
    purchase = world.purchase(enrollment, after=10 * DAY)
    voucher = world.voucher(enrollment, purchase_id=purchase.id)
    world.moved("voucher", voucher.id, "redeemed", START + 10 * DAY)
    world.moved("message", message.id, "delivered", START + 10 * DAY)
    world.session.commit()

    measure(engine, settings=SETTINGS, now=START + 10 * DAY)

    found = outcome(engine, enrollment.id)
    assert found is not None
    assert (found.message_cost, found.voucher_cost) == (Decimal("0.04"), Decimal(5))
    assert found.attributed == 40


def test_left_out_enrollments_have_no_outcome(engine: Engine, world: World) -> None:
    """Late data that show an earlier purchase take the enrollment out, in both arms."""
    enrollment = world.enrollment(Arm.HOLDOUT)
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + DAY)
    enrollment.is_left_out = True
    world.moved("enrollment", enrollment.id, "canceled", START + 2 * DAY)
    world.session.commit()

    measure(engine, settings=SETTINGS, now=START + 2 * DAY)

    assert outcome(engine, enrollment.id) is None


def test_a_merged_customers_purchases_count(engine: Engine, world: World) -> None:
    """When two customers become one, the purchases of the one that stays count for both."""
    stays, gone = world.customer(), world.customer()
    enrollment = world.enrollment(customer=gone)
    world.session.commit()
    measure(engine, settings=SETTINGS, now=START + DAY)
    gone.merged_into = stays.id
    world.purchase(enrollment, after=2 * DAY, customer_id=stays.id)
    world.session.commit()

    measure(engine, settings=SETTINGS, now=START + 3 * DAY)

    found = outcome(engine, enrollment.id)
    assert found is not None
    assert found.is_converted


def test_many_enrollments_are_measured_in_parts(engine: Engine, world: World) -> None:
    """More enrollments than one part holds are all measured, each once."""
    world.enrollments(2_100)
    world.session.commit()

    counts = measure(engine, settings=SETTINGS, now=START)

    with Session(engine) as session:
        assert len(session.scalars(select(Outcome.enrollment_id)).all()) == 2_100
    assert counts == MeasureCounts(looked_at=2_100, changed=2_100)


def test_an_empty_database_is_measured(engine: Engine, now: datetime) -> None:
    """The first day has nothing to measure, and that is no failure."""
    assert measure(engine, settings=SETTINGS, now=now) == MeasureCounts()
