"""Find who has lapsed: one indexed, set-based query for both databases.

``customers.last_purchased_on`` is maintained by the pull, with an index. Where the as-of instant
is earlier than a customer's newest sale, that sale does not exist yet, and the last one at or
before the instant is looked up in ``purchases``. Zero-value sales count, refunds are no activity,
customers merged into another or erased are out.
"""

from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from winback.clock import local_date
from winback.database.tables import Customer, Purchase
from winback.lapse.rule import cutoff
from winback.periods import Period
from winback.states import PurchaseKind


def lapsed_customers(
    after: Period, *, now: datetime, zone: ZoneInfo, bought_after: date | None = None
) -> Select[tuple[int, date, datetime]]:
    """Select (customer_id, last_purchased_on, last_purchased_at) of everyone who has lapsed.

    ``bought_after`` leaves out last purchases on or before that local date. Use it as a subquery
    or run it; rows come in no order.
    """
    lapsed = LAPSED if bought_after is None else _LAPSED_SINCE
    return lapsed.params(lapse_parameters(after, now=now, zone=zone, bought_after=bought_after))


def lapse_parameters(
    after: Period, *, now: datetime, zone: ZoneInfo, bought_after: date | None = None
) -> dict[str, datetime | date | None]:
    """Give what LAPSED is run with."""
    today = local_date(now, zone)
    return {
        "lapse_now": now,
        "lapse_today": today,
        "lapse_latest": cutoff(after, today),
        "lapse_bought_after": bought_after,
    }


def newly_lapsed_customers(
    after: Period, *, now: datetime, zone: ZoneInfo
) -> Select[tuple[int, date, datetime]]:
    """Select those whose lapse came today: not lapsed by the end of yesterday."""
    yesterday = date.fromordinal(local_date(now, zone).toordinal() - 1)
    return lapsed_customers(after, now=now, zone=zone, bought_after=cutoff(after, yesterday))


def _lapsed(*, is_bounded: bool) -> Select[tuple[int, date, datetime]]:
    maintained = select(
        Customer.id.label("customer_id"),
        Customer.last_purchased_on.label("last_purchased_on"),
        Customer.last_purchased_at.label("last_purchased_at"),
    ).where(
        _is_a_customer(),
        *_is_old_enough(Customer.last_purchased_on, is_bounded=is_bounded),
        Customer.last_purchased_at <= bindparam("lapse_now"),
    )
    both = union_all(maintained, _looked_up(is_bounded=is_bounded)).subquery("lapsed")
    return select(both.c.customer_id, both.c.last_purchased_on, both.c.last_purchased_at)


def _looked_up(*, is_bounded: bool) -> Select[tuple[int, date, datetime]]:
    """Select the last sale at or before the instant of those who bought again later.

    The lookup stands in the join's condition, so that both databases begin at the customers,
    who are few: those who bought since then.
    """
    sale, last = aliased(Purchase), aliased(Purchase)
    last_id = (
        select(sale.id)
        .where(
            sale.customer_id == Customer.id,
            sale.kind == PurchaseKind.SALE,
            sale.purchased_at <= bindparam("lapse_now"),
        )
        .order_by(sale.purchased_at.desc(), sale.id.desc())
        .limit(1)
        .correlate(Customer)
        .scalar_subquery()
    )
    return (
        select(
            Customer.id.label("customer_id"),
            last.purchased_on.label("last_purchased_on"),
            last.purchased_at.label("last_purchased_at"),
        )
        .join(last, last.id == last_id)
        .where(
            _is_a_customer(),
            # Implied by the next line; it is what the index knows.
            Customer.last_purchased_on >= bindparam("lapse_today"),
            Customer.last_purchased_at > bindparam("lapse_now"),
            *_is_old_enough(last.purchased_on, is_bounded=is_bounded),
        )
    )


def _is_a_customer() -> ColumnElement[bool]:
    return and_(Customer.merged_into.is_(None), Customer.erased_at.is_(None))


def _is_old_enough(
    day: SQLColumnExpression[Any], *, is_bounded: bool
) -> tuple[ColumnElement[bool], ...]:
    latest = day <= bindparam("lapse_latest")
    return (day > bindparam("lapse_bought_after"), latest) if is_bounded else (latest,)


LAPSED: Final = _lapsed(is_bounded=False)
"""Everyone who has lapsed, to be run with ``lapse_parameters``; built once."""

_LAPSED_SINCE: Final = _lapsed(is_bounded=True)
