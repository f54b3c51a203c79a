"""Take one slice of customers: find what is new or changed, normalize that, join, write.

Addresses are checked only for rows whose hash is new; all writing is set-based.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from winback.database.bulk import Cell
from winback.database.tables import (
    Customer,
    RejectedRow,
    SourceCustomer,
)
from winback.sources import staging
from winback.sources.customer_rows import (
    FIELDS,
    FRESH_COLUMNS,
    LISTS,
    PERSONAL,
    CustomerForm,
    customer_reader,
    row_hash,
)
from winback.sources.joining import emails_given_up, join_by_email, merge_by_email
from winback.sources.protocol import QUERY, BadRow, Slice
from winback.sources.rejecting import Rejects
from winback.sources.staging import (
    BATCH,
    customers_table,
    know_sizes,
    next_ids,
    staged_apart,
    without_writing,
    write_staged,
)
from winback.sources.taking_addresses import write_addresses
from winback.sources.taking_consents import take_consents
from winback.sources.taking_purchases import Taken
from winback.states import Channel

_F: Final = staging.fresh.c
_NORMALIZED_AT_ONCE: Final = 5_000
_IN_BULK: Final = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class TakingCustomers:
    """One slice on its way into the tables."""

    connection: Connection
    session: Session
    form: CustomerForm
    currency: str
    now: datetime
    step: Callable[[int], None]

    @contextmanager
    def staged(self, piece: Slice) -> Iterator[Callable[[], Taken]]:
        """Read the whole slice apart; gives what writes it, in a transaction of the caller's.

        That may begin again. Raises SourceError when the slice must be refused whole.
        """
        rejects = Rejects(self.connection, self.form.source, "customers", piece.path)
        as_read = customers_table(self.form.names)
        tables = (as_read, staging.repeats, staging.rejected, staging.fresh, staging.consents)
        with staged_apart(self.connection, *tables):
            with without_writing(self.connection):
                taken = self._stage(piece, rejects, as_read)
                know_sizes(self.connection, as_read)
            yield partial(self._write_staged, piece, taken.read, rejects, as_read)

    def _write_staged(self, piece: Slice, read: int, noted: Rejects, as_read: Table) -> Taken:
        """Write what is new or changed, and keep what was rejected."""
        taken, rejects = Taken(read=read), noted.copy()
        self._normalize(as_read, rejects, piece)
        know_sizes(self.connection, staging.fresh)
        emails = emails_given_up(self.connection, self.form.source)
        taken.added, taken.changed = self._write()
        merge_by_email(
            self.session,
            emails,
            now=self.now,
            zone=self.form.business_zone,
            currency=self.currency,
        )
        if rejects.any_kept():
            still = RejectedRow.external_id.in_(select(as_read.c.external_id)) & ~(
                RejectedRow.external_id.in_(select(_F.external_id))
            )
            rejects.forget(
                is_whole=piece.is_whole,
                first_line=piece.first_line,
                but=func.coalesce(still, literal(False)),  # noqa: FBT003 - an SQL literal
            )
            rejects.forget_ids(RejectedRow.external_id.in_(select(_F.external_id)))
        rejects.keep(self.now)
        taken.rejected = rejects.count
        return taken

    def _stage(self, piece: Slice, rejects: Rejects, as_read: Table) -> Taken:
        """Read all rows into the temporary table; of rows with one id the last holds."""
        hashed, seen, taken = row_hash(self.form), staging.MaybeSeen(), Taken()
        id_place = list(self.form.names).index("external_id")
        columns = ("n", "row_hash", *self.form.names)
        batch, repeated = list[Sequence[Cell]](), list[tuple[str]]()
        for row in piece.rows():
            taken.read += 1
            if isinstance(row, BadRow):
                rejects.add(row.line, row.reason, row.values)
                continue
            line, values = row
            own = values[id_place].strip()
            if not own or "\0" in "".join(values):
                why = "holds a NUL" if own else "has no external_id"
                rejects.add(line, why, dict(zip(self.form.names, values, strict=True)))
                continue
            texts = list(values)
            texts[id_place] = own
            if seen.add(own):
                repeated.append((own,))
            batch.append((line, hashed(texts), *texts))
            if len(batch) >= BATCH:
                write_staged(self.connection, as_read, columns, batch)
                write_staged(self.connection, staging.repeats, ("external_id",), repeated)
                batch, repeated = [], []
                rejects.flush()
                self.step(taken.read)
        write_staged(self.connection, as_read, columns, batch)
        write_staged(self.connection, staging.repeats, ("external_id",), repeated)
        self._keep_last(as_read)
        self.step(taken.read)
        return taken

    def _keep_last(self, as_read: Table) -> None:
        repeats = staging.repeats.c.external_id
        if self.connection.execute(select(repeats).limit(1)).first() is None:
            return
        places = (
            select(
                as_read.c.n,
                func.row_number()
                .over(partition_by=as_read.c.external_id, order_by=as_read.c.n.desc())
                .label("place"),
            )
            .where(as_read.c.external_id.in_(select(repeats)))
            .subquery()
        )
        earlier = select(places.c.n).where(places.c.place > 1)
        self.connection.execute(delete(as_read).where(as_read.c.n.in_(earlier)))

    def _changed(self, as_read: Table) -> Iterator[Sequence[Any]]:
        """Give batches of rows that are new or changed, with the customer they belong to."""
        query = (
            select(as_read, SourceCustomer.customer_id, Customer.erased_at)
            .select_from(as_read)
            .join(
                SourceCustomer,
                (SourceCustomer.source == self.form.source)
                & (SourceCustomer.external_id == as_read.c.external_id),
                isouter=True,
            )
            .join(Customer, Customer.id == SourceCustomer.customer_id, isouter=True)
            .where(SourceCustomer.id.is_(None) | (SourceCustomer.row_hash != as_read.c.row_hash))
            .order_by(as_read.c.n)
            .limit(_NORMALIZED_AT_ONCE)
        )
        last = -1
        while batch := self.connection.execute(query.where(as_read.c.n > last)).mappings().all():
            yield batch
            last = batch[-1]["n"]

    def _normalize(self, as_read: Table, rejects: Rejects, piece: Slice) -> None:
        """Check and normalize what is new or changed, and nothing else."""
        read = customer_reader(self.form)
        columns = ("seq", *FRESH_COLUMNS, "is_known", "is_joined")
        seq = 0
        for batch in self._changed(as_read):
            rows: list[tuple[Cell, ...]] = []
            for found in batch:
                seq += 1
                values: dict[str, str] = {name: found[name] for name in self.form.names}
                own = values["external_id"]
                key = own if piece.path == QUERY else found["n"]
                place = f"{piece.path}:{key}"
                one = read(values, place)
                for defect in one.defects:
                    rejects.add(place, defect, values, external_id=own)
                cells = dict(one.values) | {
                    "n": found["n"],
                    "external_id": own,
                    "row_hash": found["row_hash"],
                    "customer_id": found["customer_id"],
                }
                if found["erased_at"] is not None:
                    _forget_person(cells)
                is_known = int(found["customer_id"] is not None)
                rows.append((seq, *(cells[name] for name in FRESH_COLUMNS), is_known, 0))
            write_staged(self.connection, staging.fresh, columns, rows)
            rejects.flush()
            self.step(seq)

    def _write(self) -> tuple[int, int]:
        """Write what is staged; gives how many were added and changed."""
        counted = self.connection.execute(
            select(func.count(), func.coalesce(func.sum(case((_F.is_known, 1), else_=0)), 0))
        ).one()
        total, known = int(counted[0]), int(counted[1])
        if not total:
            return 0, 0
        if total > known:
            if "email" in self.form.names:
                join_by_email(self.connection, self.form.source)
            self._make_customers(total)
        if known:
            self._update_source_rows()
        self._update_customers()
        know_sizes(self.connection, staging.fresh)
        write_addresses(self.session, self.form.names, self.now)
        take_consents(self.connection, self.form, self.now)
        return total - known, known

    def _make_customers(self, total: int) -> None:
        """Make customers of new rows that joined nobody, and note how the source knows them."""
        base = next_ids(self.connection, "customers", select(literal(total)))
        customer_id = func.coalesce(_F.customer_id, _F.seq + base)
        fields = [name for name in FIELDS if name in self.form.names]
        now = literal(self.now, Customer.changed_at.type)
        self.connection.execute(
            insert(Customer).from_select(
                ["id", "first_seen_at", "changed_at", *fields],
                select(
                    customer_id,
                    now,
                    now,
                    *(self._json(_F[name]) if name in LISTS else _F[name] for name in fields),
                ).where(~_F.is_known, ~_F.is_joined),
                include_defaults=True,
            )
        )
        self.connection.execute(
            insert(SourceCustomer).from_select(
                ["source", "external_id", "customer_id", "row_hash", "email", "phone", "pulled_at"],
                select(
                    literal(self.form.source),
                    _F.external_id,
                    customer_id,
                    _F.row_hash,
                    _F.email,
                    _F.phone,
                    now,
                ).where(~_F.is_known),
            )
        )
        self.connection.execute(
            update(staging.fresh).where(_F.customer_id.is_(None)).values(customer_id=_F.seq + base)
        )

    def _update_source_rows(self) -> None:
        self.session.execute(
            update(SourceCustomer)
            .where(
                _F.is_known,
                SourceCustomer.source == self.form.source,
                SourceCustomer.external_id == _F.external_id,
            )
            .values(row_hash=_F.row_hash, email=_F.email, phone=_F.phone, pulled_at=self.now)
            .execution_options(**_IN_BULK)
        )

    def _update_customers(self) -> None:
        """Write the mapped fields; where two sources know a person, nothing is emptied."""
        another = aliased(SourceCustomer)
        is_shared = exists(
            select(another.id).where(
                another.customer_id == Customer.id, another.source != self.form.source
            )
        )
        values: dict[str, Any] = {"changed_at": self.now}
        for name in set(FIELDS) & set(self.form.names):
            mine, theirs = getattr(Customer, name), _F[name]
            said = theirs != "[]" if name in LISTS else theirs.is_not(None)
            kept = said | ~is_shared
            if name in PERSONAL:
                kept &= Customer.erased_at.is_(None)
            values[name] = case((kept, self._json(theirs) if name in LISTS else theirs), else_=mine)
        self.session.execute(
            update(Customer)
            .where(Customer.id == _F.customer_id, _F.is_known | _F.is_joined)
            .values(values)
            .execution_options(**_IN_BULK)
        )

    def _json(self, column: ColumnElement[str]) -> ColumnElement[Any]:
        return cast(column, JSONB) if self.connection.dialect.name == "postgresql" else column


def _forget_person(cells: dict[str, Cell]) -> None:
    """Take nothing personal again of somebody who asked to be forgotten (LAW-39)."""
    for name in PERSONAL:
        cells[name] = "[]" if name in LISTS else None
    for name in ("email", "email_hash", "phone", "phone_channel", "phone_hash"):
        cells[name] = None
    for channel in Channel:
        cells[f"{channel}_state"] = None
