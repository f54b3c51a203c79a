"""Who has lapsed, as people and other programs read it: with the ids that the sources use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.database.tables import Purchase, SourceCustomer
from winback.lapse.query import lapsed_customers
from winback.periods import Period
from winback.states import PurchaseKind

_BATCH: Final = 2000


@dataclass(frozen=True, slots=True)
class LapsedCustomer:
    """One lapsed customer; ``source`` is the last purchase's, ``external_id`` theirs in it."""

    customer_id: int
    source: str
    external_id: str
    ids: dict[str, list[str]]
    last_purchased_at: datetime
    last_purchased_on: date
    days_since_last_purchase: int


def list_lapsed(
    session: Session, after: Period, *, now: datetime, zone: ZoneInfo
) -> Iterator[LapsedCustomer]:
    """Give everyone who has lapsed, the newest lapse first, in batches: memory stays flat."""
    query = lapsed_customers(after, now=now, zone=zone).subquery()
    rows = session.execute(
        select(query.c.customer_id, query.c.last_purchased_on, query.c.last_purchased_at)
        .order_by(query.c.last_purchased_at.desc(), query.c.customer_id)
        .execution_options(yield_per=_BATCH)
    )
    for batch in rows.partitions():
        yield from _with_ids(session, batch, now=now, today=local_date(now, zone))


def _with_ids(
    session: Session,
    batch: Sequence[Row[tuple[int, date, datetime]]],
    *,
    now: datetime,
    today: date,
) -> Iterator[LapsedCustomer]:
    customer_ids = [customer_id for customer_id, _, _ in batch]
    ids = ids_of(session, customer_ids)
    sources = _last_sources(session, customer_ids, now)
    for customer_id, last_on, last_at in batch:
        known, source = ids.get(customer_id, {}), sources.get(customer_id, "")
        yield LapsedCustomer(
            customer_id=customer_id,
            source=source,
            external_id=next(iter(known.get(source, [])), ""),
            ids=known,
            last_purchased_at=last_at,
            last_purchased_on=last_on,
            days_since_last_purchase=(today - last_on).days,
        )


def ids_of(session: Session, customer_ids: Sequence[int]) -> dict[int, dict[str, list[str]]]:
    """Give, per customer, the ids by which each source knows them."""
    rows = session.execute(
        select(SourceCustomer.customer_id, SourceCustomer.source, SourceCustomer.external_id)
        .where(SourceCustomer.customer_id.in_(customer_ids))
        .order_by(SourceCustomer.source, SourceCustomer.id)
    )
    found: dict[int, dict[str, list[str]]] = {}
    for customer_id, source, external_id in rows:
        found.setdefault(customer_id, {}).setdefault(source, []).append(external_id)
    return found


def _last_sources(session: Session, customer_ids: Sequence[int], now: datetime) -> dict[int, str]:
    newest_first = func.row_number().over(
        partition_by=Purchase.customer_id,
        order_by=(Purchase.purchased_at.desc(), Purchase.id.desc()),
    )
    ranked = (
        select(Purchase.customer_id, Purchase.source, newest_first.label("place"))
        .where(
            Purchase.customer_id.in_(customer_ids),
            Purchase.kind == PurchaseKind.SALE,
            Purchase.purchased_at <= now,
        )
        .subquery()
    )
    rows = session.execute(select(ranked.c.customer_id, ranked.c.source).where(ranked.c.place == 1))
    return dict(rows.tuples().all())
