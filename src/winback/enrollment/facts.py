"""The facts that conditions of a campaign file are asked about (DESIGN.md, section 7).

Set-based, for any number of customers. Purchases after the as-of instant do not exist: for
customers who bought again later, the sums are counted anew from their purchases. Unknown words
are "", so that a condition can compare them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from winback.campaign.conditions import FIELDS
from winback.clock import local_date
from winback.database.among import among
from winback.database.tables import Customer, Enrollment, Purchase
from winback.database.types import Amount
from winback.enrollment.value import current_threshold, spends_of, value_of
from winback.states import OPEN_ENROLLMENTS, PurchaseKind

_CHUNK: Final = 1000
_COLUMNS: Final[Mapping[str, InstrumentedAttribute[Any]]] = {
    "country": Customer.country,
    "locale": Customer.locale,
    "tags": Customer.tags,
    "interests": Customer.interests,
}
_UNKNOWN: Final[Mapping[str, object]] = {"country": "", "locale": "", "tags": [], "interests": []}


@dataclass(frozen=True, slots=True)
class _Sums:
    purchases: int
    spent: Decimal
    last_on: date | None


def condition_facts(
    session: Session,
    customer_ids: Sequence[int],
    *,
    now: datetime,
    zone: ZoneInfo,
    currency: str | None = None,
    fields: Collection[str] = FIELDS,
) -> dict[int, dict[str, object]]:
    """Give the facts of customers by their ids; those that do not exist are left out.

    An open enrollment's value and last reason go before the customer's own. ``currency`` is the
    business's; only an as-of instant before the newest purchase, and ``value`` outside of an
    enrollment, need it. ``fields`` saves the work for facts that nobody asks about.
    """
    found: dict[int, dict[str, object]] = {}
    for start in range(0, len(customer_ids), _CHUNK):
        ids = customer_ids[start : start + _CHUNK]
        facts = _plain_facts(session, ids, now=now, zone=zone, currency=currency, fields=fields)
        _add_enrollment_facts(session, facts, now=now, zone=zone, currency=currency, fields=fields)
        if "last_product" in fields:
            products = _last_products(session, ids, now)
            for customer_id, one in facts.items():
                one["last_product"] = products.get(customer_id, "")
        found |= facts
    return found


def _plain_facts(
    session: Session,
    ids: Sequence[int],
    *,
    now: datetime,
    zone: ZoneInfo,
    currency: str | None,
    fields: Collection[str],
) -> dict[int, dict[str, object]]:
    told = tuple(name for name in _COLUMNS if name in fields)
    rows = session.connection().execute(_sums_with(told), {"ids": ids}).all()
    bought_later = [id_ for id_, _, _, last_at, *_ in rows if last_at and last_at > now]
    counted = _count_anew(session, bought_later, now, currency)
    today = local_date(now, zone)
    facts: dict[int, dict[str, object]] = {}
    for customer_id, count, spent, _, last_on, *words in rows:
        sums = counted.get(customer_id) or _Sums(count, spent, last_on)
        facts[customer_id] = {
            "purchases": sums.purchases,
            "spent": sums.spent,
            "days_since_last_purchase": (today - sums.last_on).days if sums.last_on else 0,
            **{name: word or _UNKNOWN[name] for name, word in zip(told, words, strict=True)},
        }
    return facts


@cache
def _sums_with(told: tuple[str, ...]) -> Select[Any]:
    return select(
        Customer.id,
        Customer.purchase_count,
        Customer.spent,
        Customer.last_purchased_at,
        Customer.last_purchased_on,
        *(_COLUMNS[name] for name in told),
    ).where(among(Customer.id, "ids"))


def _count_anew(
    session: Session, ids: Sequence[int], now: datetime, currency: str | None
) -> dict[int, _Sums]:
    if not ids:
        return {}
    is_sale = Purchase.kind == PurchaseKind.SALE
    counts = (
        Purchase.amount
        if currency is None
        else case((Purchase.currency == currency, Purchase.amount), else_=0)
    )
    rows = session.execute(
        select(
            Purchase.customer_id,
            func.count().filter(is_sale),
            func.sum(counts, type_=Amount),
            func.max(Purchase.purchased_on).filter(is_sale),
        )
        .where(Purchase.customer_id.in_(ids), Purchase.purchased_at <= now)
        .group_by(Purchase.customer_id)
    )
    nothing = dict.fromkeys(ids, _Sums(0, Decimal(0), None))
    return nothing | {
        customer_id: _Sums(sales, spent or Decimal(0), last_on)
        for customer_id, sales, spent, last_on in rows
    }


def _add_enrollment_facts(
    session: Session,
    facts: Mapping[int, dict[str, object]],
    *,
    now: datetime,
    zone: ZoneInfo,
    currency: str | None,
    fields: Collection[str],
) -> None:
    """Add ``value`` and ``reason``: the open enrollment's own, else the customer's."""
    if not {"value", "reason"} & set(fields):
        return
    ids = list(facts)
    threshold = current_threshold(session)
    spends = spends_of(session, ids, now=now, zone=zone, currency=currency)
    for customer_id, one in facts.items():
        one["value"] = value_of(spends.get(customer_id), threshold)
        one["reason"] = ""
    for customer_id, state, value, reason in session.connection().execute(_ENROLLED, {"ids": ids}):
        if state in OPEN_ENROLLMENTS:
            facts[customer_id]["value"] = value
        if reason:
            facts[customer_id]["reason"] = reason


_ENROLLED: Final = (
    select(Enrollment.customer_id, Enrollment.state, Enrollment.value, Enrollment.reason)
    .where(among(Enrollment.customer_id, "ids"))
    .order_by(Enrollment.enrolled_at, Enrollment.id)
)


def _last_products(session: Session, ids: Sequence[int], now: datetime) -> dict[int, str]:
    rows = session.connection().execute(_LAST_PRODUCTS, {"ids": ids, "now": now})
    return {customer_id: product or "" for customer_id, product in rows}


_BY_PLACE: Final = (
    select(
        Purchase.customer_id,
        Purchase.product,
        func.row_number()
        .over(
            partition_by=Purchase.customer_id,
            order_by=(Purchase.purchased_at.desc(), Purchase.id.desc()),
        )
        .label("place"),
    )
    .where(
        among(Purchase.customer_id, "ids"),
        Purchase.kind == PurchaseKind.SALE,
        Purchase.purchased_at <= bindparam("now"),
    )
    .subquery()
)
_LAST_PRODUCTS: Final = select(_BY_PLACE.c.customer_id, _BY_PLACE.c.product).where(
    _BY_PLACE.c.place == 1
)
