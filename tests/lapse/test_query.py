"""The query that finds lapses, against its pure twin, on both databases."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from winback.clock import day_end, local_date
from winback.customers.sums import recompute_sums
from winback.database.tables import Customer, Purchase
from winback.lapse.listing import list_lapsed
from winback.lapse.query import (
    NEWLY_LAPSED,
    lapse_parameters,
    lapsed_customers,
    newly_lapsed_customers,
)
from winback.lapse.rule import cutoff, has_lapsed
from winback.periods import Period
from winback.states import PurchaseKind

LONDON, SYDNEY = ZoneInfo("Europe/London"), ZoneInfo("Australia/Sydney")
SIX_MONTHS = Period(months=6)


def _customer(session: Session, **fields: object) -> int:
    seen_at = datetime(2020, 1, 1, tzinfo=UTC)
    return session.execute(
        insert(Customer)
        .values(
            {"first_seen_at": seen_at, "changed_at": seen_at, "tags": [], "interests": []} | fields
        )
        .returning(Customer.id)
    ).scalar_one()


def _buy(
    session: Session,
    customer_id: int,
    at: datetime,
    *,
    zone: ZoneInfo = LONDON,
    kind: PurchaseKind = PurchaseKind.SALE,
    amount: int = 10,
) -> None:
    number = len(session.scalars(select(Purchase.id)).all())
    session.execute(
        insert(Purchase).values(
            source="till",
            external_id=str(number),
            customer_id=customer_id,
            purchased_at=at,
            purchased_on=local_date(at, zone),
            amount=amount,
            currency="GBP",
            kind=kind,
            first_seen_at=at,
        )
    )


def _keep_sums(session: Session) -> None:
    recompute_sums(session, select(Customer.id), currency="GBP")


def _found(session: Session, now: datetime, zone: ZoneInfo = LONDON) -> dict[int, date]:
    rows = session.execute(lapsed_customers(SIX_MONTHS, now=now, zone=zone))
    return {customer_id: last_on for customer_id, last_on, _ in rows}


@pytest.mark.parametrize("zone", [LONDON, SYDNEY], ids=lambda zone: zone.key)
@pytest.mark.parametrize("seed", range(4))
def test_the_query_is_its_pure_twin(session: Session, zone: ZoneInfo, seed: int) -> None:
    """Random purchases, read at random instants, also before the newest purchase.

    Month ends, leap days and clock changes are where the instants lie.
    """
    rng = Random(f"{seed} {zone.key}")  # noqa: S311 - a test's seed
    bought: dict[int, list[tuple[datetime, PurchaseKind]]] = {}
    edges = [date(2027, 8, 31), date(2027, 10, 31), date(2028, 2, 29), date(2028, 3, 26)]
    for _ in range(40):
        customer_id = _customer(session)
        bought[customer_id] = []
        for _ in range(rng.randrange(4)):
            day = rng.choice(edges) + timedelta(days=rng.choice([-1, 0, 0, 1, 182, -183]))
            at = datetime(day.year, day.month, day.day, tzinfo=zone)
            at += timedelta(minutes=rng.choice([0, 1, 119, 121, 700, 1439]))
            kind = rng.choice([PurchaseKind.SALE, PurchaseKind.SALE, PurchaseKind.REFUND])
            _buy(session, customer_id, at, zone=zone, kind=kind, amount=rng.randrange(3))
            bought[customer_id].append((at, kind))
    _keep_sums(session)

    for _ in range(12):
        day = rng.choice(edges) + timedelta(days=rng.choice([-1, 0, 1, 182, 183, 184, 366]))
        now = datetime(day.year, day.month, day.day, tzinfo=zone)
        now += timedelta(minutes=rng.choice([0, 30, 120, 720, 1439]))
        expected = {}
        for customer_id, all_of in bought.items():
            sales = [at for at, kind in all_of if at <= now and kind is PurchaseKind.SALE]
            if sales:
                last_on = local_date(max(sales), zone)
                if has_lapsed(last_on, SIX_MONTHS, local_date(now, zone)):
                    expected[customer_id] = last_on
        assert _found(session, now, zone) == expected


def test_the_boundary_is_inclusive_and_local(session: Session) -> None:
    """A purchase late on 31 August in London lapses with the first minute of 28 February."""
    customer_id = _customer(session)
    # 22:59 UTC is 23:59 in London; the next minute would be 1 September.
    _buy(session, customer_id, datetime(2025, 8, 31, 22, 59, tzinfo=UTC))
    _keep_sums(session)

    assert _found(session, datetime(2026, 2, 27, 23, 59, tzinfo=UTC)) == {}
    assert _found(session, datetime(2026, 2, 28, 0, 0, tzinfo=UTC)) == {
        customer_id: date(2025, 8, 31)
    }


def test_zero_value_counts_and_refunds_do_not(session: Session, now: datetime) -> None:
    """A free order is activity; money given back is none."""
    free, refunded = _customer(session), _customer(session)
    for customer_id in (free, refunded):
        _buy(session, customer_id, now - timedelta(days=300))
    _buy(session, free, now - timedelta(days=10), amount=0)
    _buy(session, refunded, now - timedelta(days=10), kind=PurchaseKind.REFUND, amount=-10)
    _keep_sums(session)

    assert list(_found(session, now)) == [refunded]


def test_merged_erased_and_never_bought_are_out(session: Session, now: datetime) -> None:
    """Only a living customer who once bought can lapse."""
    kept, merged, erased = _customer(session), _customer(session), _customer(session)
    _customer(session)
    for customer_id in (kept, merged, erased):
        _buy(session, customer_id, now - timedelta(days=300))
    _keep_sums(session)
    session.get_one(Customer, merged).merged_into = kept
    session.get_one(Customer, erased).erased_at = now
    session.flush()

    assert list(_found(session, now)) == [kept]


def test_newly_lapsed_are_those_of_one_day(session: Session) -> None:
    """Each lapse is newly lapsed on exactly one day, also where three dates clamp to one."""
    for day in range(27, 32):
        _buy(session, _customer(session), datetime(2025, 8, day, 12, tzinfo=UTC))
    _keep_sums(session)

    def newly(day: date) -> int:
        before = cutoff(SIX_MONTHS, day - timedelta(days=1))
        found = newly_lapsed_customers(
            session, SIX_MONTHS, now=day_end(day, LONDON), zone=LONDON, since=before
        )
        return len(found.all())

    days = [date(2026, 2, 26) + timedelta(days=n) for n in range(5)]
    assert [newly(day) for day in days] == [0, 1, 4, 0, 0]


def test_the_list_comes_newest_lapse_first(session: Session, now: datetime) -> None:
    """People look at the top of a list."""
    older, newer = _customer(session), _customer(session)
    _buy(session, older, now - timedelta(days=300))
    _buy(session, newer, now - timedelta(days=200))
    _keep_sums(session)

    listed = list_lapsed(session, SIX_MONTHS, now=now, zone=LONDON)

    assert [(one.customer_id, one.days_since_last_purchase) for one in listed] == [
        (newer, 200),
        (older, 300),
    ]


def test_the_index_is_used(session: Session, now: datetime) -> None:
    """The cost of a day follows the newly lapsed, not the customers."""
    since = cutoff(SIX_MONTHS, now.date() - timedelta(days=1))
    query = NEWLY_LAPSED.params(
        **lapse_parameters(SIX_MONTHS, now=now, zone=LONDON), lapse_since=since
    )
    statement = str(
        query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    ).replace("%%", "%")
    if session.get_bind().dialect.name == "sqlite":
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
    else:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = session.execute(text(f"EXPLAIN {statement}")).all()

    told = "\n".join(str(row) for row in plan)
    assert "ix_customers_last_purchased" in told
    assert "SCAN customers" not in told
