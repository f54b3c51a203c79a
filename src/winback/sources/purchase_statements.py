"""The statements that every pull of purchases runs, built once for each shape of a source.

Putting them together, and finding them again among the compiled ones, cost a small pull more than
the database needs to run them.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Insert,
    String,
    Update,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    update,
)

from winback.customers.sums import purchase_sums
from winback.database.bulk import on_conflict
from winback.database.tables import Customer, Purchase, RejectedRow, SourceCustomer, table_of
from winback.database.types import Utc
from winback.sources import staging
from winback.sources.rejecting import waiting_condition

FILLED: Final = (
    "purchased_at",
    "purchased_on",
    "is_date_only",
    "amount",
    "currency",
    "kind",
)
"""The columns that every source fills."""

_STAGED: Final = staging.purchases.c
_SOURCE: Final = bindparam("of_source", type_=String())
_NOW: Final = bindparam("at", type_=Utc())

COUNT_STAGED: Final = select(func.count()).select_from(staging.purchases)
LAST_ID: Final = select(func.coalesce(func.max(Purchase.id), 0))


def final_id(*, has_ids: bool) -> ColumnElement[str]:
    """Give the id that a staged row is stored by: its own, or the one made from what it says."""
    if has_ids:
        return _STAGED.external_id
    return _STAGED.external_id + literal("-") + cast(_STAGED.ordinal, String)


@cache
def insert_known(optional: tuple[str, ...], *, has_ids: bool) -> Insert:
    """Give what inserts the purchases of known customers; run with ``of_source`` and ``at``.

    ``optional`` are the columns that the source fills besides.
    """
    filled = (*FILLED, *optional)
    rows = (
        select(
            _SOURCE,
            final_id(has_ids=has_ids),
            SourceCustomer.customer_id,
            _NOW,
            *(_STAGED[name] for name in filled),
        )
        .select_from(staging.purchases)
        .join(
            SourceCustomer,
            (SourceCustomer.source == _SOURCE) & (SourceCustomer.external_id == _STAGED.customer),
        )
        .where(true())
    )
    statement = insert(table_of(Purchase)).from_select(
        ["source", "external_id", "customer_id", "first_seen_at", *filled], rows
    )
    # The count of an INSERT ... SELECT is kept only on request.
    return on_conflict(statement, "source", "external_id").execution_options(preserve_rowcount=True)


def _add_up() -> Update:
    new = (Purchase.id > bindparam("last_id")) & (Purchase.source == _SOURCE)
    sums = purchase_sums(bindparam("own_currency"), new).c
    customers = table_of(Customer)
    mine = customers.c
    return (
        update(customers)
        .where(mine.id == sums.customer_id)
        .values(
            purchase_count=mine.purchase_count + sums.sales,
            spent=mine.spent + sums.spent,
            first_purchased_at=_first(mine.first_purchased_at, sums.first_at),
            last_purchased_at=_last(mine.last_purchased_at, sums.last_at),
            last_purchased_on=_last(mine.last_purchased_on, sums.last_on),
            changed_at=_NOW,
        )
    )


def _first(mine: Any, theirs: Any) -> ColumnElement[Any]:
    return case((mine.is_(None) | (theirs < mine), theirs), else_=mine)


def _last(mine: Any, theirs: Any) -> ColumnElement[Any]:
    return case((mine.is_(None) | (theirs > mine), theirs), else_=mine)


ADD_UP: Final = _add_up()
"""Add the purchases after ``last_id`` to their customers' sums."""

_FIRST_OF_EQUALS: Final = _STAGED.external_id + literal("-1")
KNOWN_EQUALS: Final = (
    select(_STAGED.external_id)
    .distinct()
    .where(
        exists(
            select(Purchase.id).where(
                Purchase.source == _SOURCE, Purchase.external_id == _FIRST_OF_EQUALS
            )
        )
        | exists(
            select(RejectedRow.id).where(
                waiting_condition(_SOURCE), RejectedRow.external_id == _FIRST_OF_EQUALS
            )
        )
    )
)
"""The staged rows without ids that have an equal one among those taken or waiting."""
