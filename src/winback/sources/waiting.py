"""Purchases that wait for their customer: kept as rejected rows, taken when it appears."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, bindparam, exists, select

from winback.database.tables import RejectedRow, SourceCustomer
from winback.sources.protocol import BadRow, Mark, Row
from winback.sources.purchase_rows import OPTIONAL
from winback.sources.rejecting import waiting_condition
from winback.sources.staging import BATCH

WAITING_NAMES: Final = (
    "external_id",
    "customer",
    "purchased_at",
    "amount",
    "currency",
    "kind",
    *OPTIONAL,
)


@dataclass(slots=True)
class Waiting:
    """Rejected purchases whose customer is known by now."""

    connection: Connection
    source: str

    path = "waiting"
    is_whole = False
    first_line = 0

    def names(self) -> Sequence[str]:
        """Give all names that such a row may have."""
        return WAITING_NAMES

    def rows(self) -> Iterator[Row | BadRow]:
        """Give the rows as they were kept."""
        last = 0
        rows = (
            select(RejectedRow.id, RejectedRow.row)
            .where(waiting_condition(self.source), _came(self.source))
            .order_by(RejectedRow.id)
            .limit(BATCH)
        )
        while True:
            batch = self.connection.execute(
                rows.where(
                    waiting_condition(self.source), _came(self.source), RejectedRow.id > last
                )
            ).all()
            for row in batch:
                yield row.id, [str(row.row.get(name, "")) for name in WAITING_NAMES]
            if len(batch) < BATCH:
                return
            last = batch[-1].id

    def earlier_rows(self) -> Iterator[Row | BadRow]:
        """Give nothing: their ids are settled."""
        return iter(())

    def progress(self) -> tuple[int, int]:
        """Give nothing: they are few."""
        return 0, 0

    def mark(self, now: datetime) -> Mark:
        """Give nothing to remember."""
        return Mark(pulled_at=now)


def any_waiting(connection: Connection, source: str) -> bool:
    """Say whether purchases wait whose customers are known by now."""
    return connection.execute(_ANY_WAITING, {"of_source": source}).first() is not None


def as_written(row: Any) -> dict[str, str]:
    """Give a staged row as a file would hold it, so that it can be read again."""
    at = row.purchased_on.isoformat() if row.is_date_only else row.purchased_at.isoformat()
    values = {
        "external_id": row.final_id,
        "customer": row.customer,
        "purchased_at": at,
        "amount": str(row.amount),
        "currency": row.currency,
        "kind": row.kind,
    }
    extra = {name: getattr(row, column) for name, column in OPTIONAL.items()}
    return values | {name: value for name, value in extra.items() if value is not None}


def _came(source: str | ColumnElement[str]) -> ColumnElement[bool]:
    return exists(
        select(SourceCustomer.id).where(
            SourceCustomer.source == source,
            SourceCustomer.external_id == RejectedRow.waits_for,
        )
    )


_SOURCE: Final = bindparam("of_source", type_=String())
_ANY_WAITING: Final = (
    select(RejectedRow.id).where(waiting_condition(_SOURCE), _came(_SOURCE)).limit(1)
)
