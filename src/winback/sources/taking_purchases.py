"""Take one slice of purchases: stage, resolve, insert, correct, add up; all in SQL."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from winback.customers.sums import recompute_sums
from winback.database.tables import Customer, Purchase, RejectedRow, SourceCustomer
from winback.sources import staging
from winback.sources.protocol import Slice
from winback.sources.purchase_rows import PurchaseForm, StagedRow
from winback.sources.purchase_statements import (
    ADD_UP,
    COUNT_STAGED,
    FILLED,
    LAST_ID,
    final_id,
    insert_known,
)
from winback.sources.rejecting import Rejects
from winback.sources.staging import (
    BATCH,
    next_ids,
    small_sorts,
    staged,
    staged_apart,
    without_writing,
)
from winback.sources.staging_purchases import stage_purchases
from winback.sources.waiting import as_written

logger = logging.getLogger(__name__)

_STAGED: Final = staging.purchases.c
Reader = Callable[[int, Sequence[str]], StagedRow]


@dataclass(slots=True)
class Taken:
    """What one slice came to."""

    read: int = 0
    added: int = 0
    changed: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Taking:
    """One slice on its way into the tables."""

    connection: Connection
    session: Session
    form: PurchaseForm
    now: datetime
    makes_customers: bool
    """Whether customers that only purchases name are made from them."""
    step: Callable[[int], None]
    """Told how many rows were read, now and then."""

    @contextmanager
    def staged(self, piece: Slice) -> Iterator[Callable[[], Taken]]:
        """Read the whole slice apart; gives what writes it, in a transaction of the caller's.

        That may begin again. Raises SourceError when the slice must be refused whole.
        """
        rejects = Rejects(self.connection, self.form.source, "purchases", piece.path)
        tables = (staging.purchases, staging.repeats, staging.rejected)
        with staged_apart(self.connection, *tables):
            with without_writing(self.connection):
                read = stage_purchases(
                    self.connection, self.form, piece, rejects=rejects, step=self.step
                )
            yield partial(self._write_staged, piece, read, rejects)

    def _write_staged(self, piece: Slice, read: int, noted: Rejects) -> Taken:
        """Write what is new or changed, and keep what was rejected."""
        taken, rejects = Taken(read=read), noted.copy()
        self._apply(taken, rejects)
        if rejects.any_kept():
            rejects.forget(is_whole=piece.is_whole, first_line=piece.first_line)
            ids = select(self._final_id())
            rejects.forget_ids(RejectedRow.external_id.in_(ids))
        rejects.keep(self.now)
        taken.rejected = rejects.count
        return taken

    def _apply(self, taken: Taken, rejects: Rejects) -> None:
        """Put the staged rows into the tables, and keep the customers' sums."""
        waiting = self.connection.execute(COUNT_STAGED).scalar_one()
        last_id = self.connection.execute(LAST_ID).scalar_one()
        taken.added = self._insert()
        if taken.added < waiting:
            if self.makes_customers:
                if self._make_customers():
                    taken.added += self._insert()
            else:
                self._reject_unknown(rejects)
        if taken.added:
            self._add_up(last_id, taken.added)
        if taken.added < waiting:
            taken.changed = self._correct()

    def _final_id(self) -> ColumnElement[str]:
        return final_id(has_ids=self.form.has_ids)

    def _insert(self) -> int:
        """Insert purchases whose customer is known; gives how many were new."""
        statement = insert_known(self.form.optional, has_ids=self.form.has_ids)
        values = {"of_source": self.form.source, "at": self.now}
        return int(self.connection.execute(statement, values).rowcount)

    def _count(self, statement: Any) -> int:
        # The count of an INSERT ... SELECT is kept only on request.
        result = self.connection.execute(statement.execution_options(preserve_rowcount=True))
        return int(result.rowcount)

    def _unknown(self) -> ColumnElement[bool]:
        return ~exists(
            select(SourceCustomer.id).where(
                SourceCustomer.source == self.form.source,
                SourceCustomer.external_id == _STAGED.customer,
            )
        )

    def _make_customers(self) -> int:
        """Make the customers that only their purchases name, without a name of their own."""
        new = staging.new_customers
        with staged(self.connection, new):
            names = select(_STAGED.customer).distinct().where(self._unknown()).subquery()
            numbered = select(func.row_number().over(order_by=names.c.customer), names.c.customer)
            made = self._count(insert(new).from_select(["seq", "external_id"], numbered))
            if not made:
                return 0
            base = next_ids(self.connection, "customers", select(literal(made)))
            now = literal(self.now, Customer.changed_at.type)
            customer_id = (new.c.seq + base).label("id")
            self.connection.execute(
                insert(Customer).from_select(
                    ["id", "first_seen_at", "changed_at"],
                    select(customer_id, now, now),
                    include_defaults=True,
                )
            )
            self.connection.execute(
                insert(SourceCustomer).from_select(
                    ["source", "external_id", "customer_id", "row_hash", "pulled_at"],
                    select(
                        literal(self.form.source),
                        new.c.external_id,
                        customer_id,
                        literal(""),
                        now,
                    ),
                )
            )
        return made

    def _reject_unknown(self, rejects: Rejects) -> None:
        """Keep purchases of customers that are not known yet; they are taken when these are."""
        rows = select(staging.purchases, self._final_id().label("final_id"))
        last = -1
        while True:
            batch = self.connection.execute(
                rows.where(self._unknown(), _STAGED.n > last).order_by(_STAGED.n).limit(BATCH)
            ).all()
            for row in batch:
                rejects.add(
                    row.n,
                    "customer is not known; it will be taken when its customer is",
                    as_written(row),
                    external_id=row.final_id,
                    waits_for=row.customer,
                )
            rejects.flush()
            if len(batch) < BATCH:
                return
            last = batch[-1].n

    def _add_up(self, last_id: int, added: int) -> None:
        """Add the new purchases to their customers' sums."""
        values = {
            "last_id": last_id,
            "of_source": self.form.source,
            "own_currency": self.form.currency,
            "at": self.now,
        }
        with small_sorts(self.connection) if added > BATCH else nullcontext():
            self.connection.execute(ADD_UP, values)

    def _correct(self) -> int:
        """Correct purchases that are known and changed; gives how many."""
        filled = (*FILLED, *self.form.optional)
        same = (Purchase.source == self.form.source) & (Purchase.external_id == self._final_id())
        columns = {name: getattr(Purchase, name) for name in filled}
        differs = or_(
            Purchase.customer_id != SourceCustomer.customer_id,
            *(column.is_distinct_from(_STAGED[name]) for name, column in columns.items()),
        )
        changed = (
            select(Purchase.id, Purchase.customer_id)
            .select_from(staging.purchases)
            .join(Purchase, same)
            .join(
                SourceCustomer,
                (SourceCustomer.source == self.form.source)
                & (SourceCustomer.external_id == _STAGED.customer),
            )
            .where(differs)
        )
        with staged(self.connection, staging.corrected):
            count = self._count(
                insert(staging.corrected).from_select(["purchase_id", "customer_id"], changed)
            )
            if count:
                self._write_corrections(same)
        return count

    def _write_corrections(self, same: ColumnElement[bool]) -> None:
        """Write what changed, and count anew whose purchases they were and are."""
        filled = (*FILLED, *self.form.optional)
        corrected = staging.corrected.c
        self.session.execute(
            update(Purchase)
            .where(
                same,
                Purchase.id.in_(select(corrected.purchase_id)),
                SourceCustomer.source == self.form.source,
                SourceCustomer.external_id == _STAGED.customer,
            )
            .values(
                customer_id=SourceCustomer.customer_id, **{name: _STAGED[name] for name in filled}
            )
            .execution_options(synchronize_session=False)
        )
        theirs = select(corrected.customer_id).union(
            select(Purchase.customer_id).where(Purchase.id.in_(select(corrected.purchase_id)))
        )
        touched = select(Customer.id).where(Customer.id.in_(theirs))
        recompute_sums(self.session, touched, currency=self.form.currency)
        self.session.execute(
            update(Customer)
            .where(Customer.id.in_(touched))
            .values(changed_at=self.now)
            .execution_options(synchronize_session=False)
        )
