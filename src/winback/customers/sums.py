"""The sums that each customer's row carries: how often, how much, since when.

The pull keeps them up to date in its own transaction; lapses are found by them alone.
"""

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select, update
from sqlalchemy.orm import Session

from winback.database.tables import Customer, Purchase
from winback.states import PurchaseKind


def purchase_sums(currency: str | ColumnElement[str], which: ColumnElement[bool]) -> Subquery:
    """Give, per customer, the sums over the purchases that a condition names.

    ``spent`` counts the business's currency only; dates are of sales, refunds are no activity.
    """
    is_sale = Purchase.kind == PurchaseKind.SALE
    return (
        select(
            Purchase.customer_id.label("customer_id"),
            func.sum(case((is_sale, 1), else_=0)).label("sales"),
            func.sum(case((Purchase.currency == currency, Purchase.amount), else_=0)).label(
                "spent"
            ),
            func.min(case((is_sale, Purchase.purchased_at))).label("first_at"),
            func.max(case((is_sale, Purchase.purchased_at))).label("last_at"),
            func.max(case((is_sale, Purchase.purchased_on))).label("last_on"),
        )
        .where(which)
        .group_by(Purchase.customer_id)
        .subquery()
    )


def recompute_sums(session: Session, customers: Select[tuple[int]], *, currency: str) -> None:
    """Count the purchases of some customers anew; ``customers`` selects their ids."""
    sums = purchase_sums(currency, Purchase.customer_id.in_(customers))
    nothing = {
        "purchase_count": 0,
        "spent": 0,
        "first_purchased_at": None,
        "last_purchased_at": None,
        "last_purchased_on": None,
    }
    session.execute(
        update(Customer)
        .where(Customer.id.in_(customers))
        .values(nothing)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Customer)
        .where(Customer.id == sums.c.customer_id)
        .values(
            purchase_count=sums.c.sales,
            spent=sums.c.spent,
            first_purchased_at=sums.c.first_at,
            last_purchased_at=sums.c.last_at,
            last_purchased_on=sums.c.last_on,
        )
        .execution_options(synchronize_session=False)
    )
