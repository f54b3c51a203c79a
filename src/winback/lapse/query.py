"""Find who has lapsed: one indexed, set-based query for both databases.

``customers.last_purchased_on`` is maintained by the pull, with an index. Where the as-of instant
is earlier than a customer's newest sale, that sale does not exist yet, and the last one at or
before the instant is looked up in ``purchases``. Zero-value sales count, refunds are no activity,
customers merged into another or erased are out.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Result,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from winback.clock import local_date
from winback.database.tables import Customer, Purchase
from winback.lapse.rule import cutoff
from winback.periods import Period
from winback.states import PurchaseKind

STREAMED: Final = {"yield_per": 2000}
"""With what long answers are read: in parts, so that memory stays flat."""

_Narrower = Callable[[SQLColumnExpression[Any]], ColumnElement[bool]]
"""A condition on a customer and on the date of the last purchase."""


def lapsed_customers(
    after: Period, *, now: datetime, zone: ZoneInfo
) -> Select[tuple[int, date, datetime]]:
    """Select (customer_id, last_purchased_on, last_purchased_at) of everyone who has lapsed.

    Use it as a subquery or run it; rows come in no order.
    """
    return LAPSED.params(lapse_parameters(after, now=now, zone=zone))


def newly_lapsed_customers(
    session: Session, after: Period, *, now: datetime, zone: ZoneInfo, since: date
) -> Result[tuple[int, date, datetime]]:
    """Find those who have lapsed and whose last purchase came after a local date.

    With ``since`` the latest date that had lapsed before (``rule.cutoff``), that is who has newly
    lapsed. The cost follows them; rows are streamed, as those of ``lapsed_customers``.
    """
    parameters = lapse_parameters(after, now=now, zone=zone) | {"lapse_since": since}
    return session.execute(NEWLY_LAPSED, parameters, execution_options=STREAMED)


def lapse_parameters(after: Period, *, now: datetime, zone: ZoneInfo) -> dict[str, datetime | date]:
    """Give what the statements of this module are run with."""
    today = local_date(now, zone)
    return {"lapse_now": now, "lapse_today": today, "lapse_latest": cutoff(after, today)}


def _lapsed(*narrower: _Narrower) -> Select[tuple[int, date, datetime]]:
    maintained = select(
        Customer.id.label("customer_id"),
        Customer.last_purchased_on.label("last_purchased_on"),
        Customer.last_purchased_at.label("last_purchased_at"),
    ).where(
        _is_a_customer(),
        Customer.last_purchased_on <= bindparam("lapse_latest"),
        *(narrow(Customer.last_purchased_on) for narrow in narrower),
        Customer.last_purchased_at <= bindparam("lapse_now"),
    )
    both = union_all(maintained, _looked_up(narrower)).subquery("lapsed")
    return select(both.c.customer_id, both.c.last_purchased_on, both.c.last_purchased_at)


def _looked_up(narrower: Sequence[_Narrower]) -> Select[tuple[int, date, datetime]]:
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
            last.purchased_on <= bindparam("lapse_latest"),
            *(narrow(last.purchased_on) for narrow in narrower),
        )
    )


def _is_a_customer() -> ColumnElement[bool]:
    return and_(Customer.merged_into.is_(None), Customer.erased_at.is_(None))


def _is_new(last_purchased_on: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    return last_purchased_on > bindparam("lapse_since")


def _is_among(_last_purchased_on: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    return Customer.id.in_(bindparam("lapse_ids", expanding=True))


# Built once: putting a statement together costs more than the database needs to answer it.
LAPSED: Final = _lapsed()
"""Everyone who has lapsed, to be run with ``lapse_parameters``."""
NEWLY_LAPSED: Final = _lapsed(_is_new)
"""Who of them bought after ``lapse_since``, to be run with that besides."""
LAPSED_AMONG: Final = _lapsed(_is_among)
"""Who of ``lapse_ids`` has lapsed, to be run with ``lapse_parameters`` besides."""
