"""Take one slice of customers: find what is new or changed, normalize that, join, write.

Addresses are checked only for rows whose hash is new; all writing is set-based.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from winback.customers.merging import merge_customers
from winback.database.bulk import Cell
from winback.database.tables import (
    ContactPoint,
    Customer,
    RejectedRow,
    SourceCustomer,
    Suppression,
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
from winback.sources.protocol import QUERY, BadRow, Slice
from winback.sources.rejecting import Rejects
from winback.sources.staging import (
    BATCH,
    INSERTS,
    customers_table,
    know_sizes,
    next_ids,
    staged,
    write_staged,
)
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

    def take(self, piece: Slice) -> Taken:
        """Take the whole slice; raises SourceError when it must be refused whole."""
        rejects = Rejects(self.connection, self.form.source, "customers", piece.path)
        as_read = customers_table(self.form.names)
        tables = (as_read, staging.repeats, staging.rejected, staging.fresh, staging.consents)
        with staged(self.connection, *tables):
            taken = self._stage(piece, rejects, as_read)
            know_sizes(self.connection, as_read)
            self._normalize(as_read, rejects, piece)
            know_sizes(self.connection, staging.fresh)
            emails = self._emails_in_play()
            taken.added, taken.changed = self._write()
            self._merge(emails)
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

    def _emails_in_play(self) -> set[str]:
        """Give the addresses that known rows give up: they may have become single now."""
        old = (
            select(SourceCustomer.email)
            .join(
                staging.fresh,
                (SourceCustomer.source == self.form.source)
                & (SourceCustomer.external_id == _F.external_id),
            )
            .where(
                _F.is_known,
                SourceCustomer.email.is_not(None),
                SourceCustomer.email.is_distinct_from(_F.email),
            )
        )
        return {str(one) for one in self.connection.scalars(old)}

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
                self._join_by_email()
            self._make_customers(total)
        if known:
            self._update_source_rows()
        self._update_customers()
        know_sizes(self.connection, staging.fresh)
        self._write_addresses()
        take_consents(self.connection, self.form, self.now)
        return total - known, known

    def _join_by_email(self) -> None:
        """Give new rows the customer that another source knows by the same address.

        Never within one source; an address that occurs twice in one source joins nothing.
        """
        other, twin, own = (aliased(SourceCustomer) for _ in range(3))
        second = staging.fresh.alias("second")
        pairs = (
            select(_F.seq, other.customer_id)
            .join(other, (other.email == _F.email) & (other.source != self.form.source))
            .where(
                ~_F.is_known,
                ~exists(
                    select(twin.id).where(
                        twin.email == _F.email, twin.source == other.source, twin.id != other.id
                    )
                ),
                ~exists(
                    select(own.id).where(own.email == _F.email, own.source == self.form.source)
                ),
                ~exists(
                    select(second.c.seq).where(second.c.email == _F.email, second.c.seq != _F.seq)
                ),
                ~exists(
                    select(own.id).where(
                        own.customer_id == other.customer_id, own.source == self.form.source
                    )
                ),
            )
            .subquery()
        )
        one = (
            select(pairs.c.seq, func.min(pairs.c.customer_id).label("customer_id"))
            .group_by(pairs.c.seq)
            .having(func.min(pairs.c.customer_id) == func.max(pairs.c.customer_id))
            .subquery()
        )
        single = (
            select(one.c.customer_id)
            .group_by(one.c.customer_id)
            .having(func.count() == 1)
            .scalar_subquery()
        )
        self.connection.exec_driver_sql(
            f"CREATE INDEX staged_fresh_email ON {staging.fresh.name} (email)"
            if self.connection.dialect.name == "postgresql"
            else f"CREATE INDEX temp.staged_fresh_email ON {staging.fresh.name} (email)"
        )
        self.connection.execute(
            update(staging.fresh)
            .where(_F.seq == one.c.seq, one.c.customer_id.in_(single))
            .values(customer_id=one.c.customer_id, is_joined=True)
        )

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

    def _write_addresses(self) -> None:
        """Note the addresses of changed rows; what no source names any more is not current."""
        now = literal(self.now, ContactPoint.seen_at.type)
        new = INSERTS[self.connection.dialect.name](ContactPoint)
        yes = literal(True)  # noqa: FBT003 - an SQL literal
        for name, channel in (("email", literal(Channel.EMAIL.value)), ("phone", _F.phone_channel)):
            if name not in self.form.names:
                continue
            said = select(
                _F.customer_id, channel, _F[name], _F[f"{name}_hash"], yes, yes, now
            ).where(_F[name].is_not(None))
            columns = ["customer_id", "channel", "address", "address_hash"]
            statement = new.from_select([*columns, "is_current", "is_reachable", "seen_at"], said)
            self.connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["customer_id", "channel", "address"],
                    set_={
                        "is_current": yes,
                        "seen_at": case(
                            (ContactPoint.is_current, ContactPoint.seen_at),
                            else_=statement.excluded.seen_at,
                        ),
                    },
                )
            )
            self._suppress_too(_F[f"{name}_hash"])
        still_named = exists(
            select(SourceCustomer.id).where(
                SourceCustomer.customer_id == ContactPoint.customer_id,
                or_(
                    SourceCustomer.email == ContactPoint.address,
                    SourceCustomer.phone == ContactPoint.address,
                ),
            )
        )
        self.session.execute(
            update(ContactPoint)
            .where(
                ContactPoint.is_current,
                ContactPoint.customer_id.in_(select(_F.customer_id).where(_F.is_known)),
                ~still_named,
            )
            .values(is_current=False)
            .execution_options(**_IN_BULK)
        )

    def _suppress_too(self, address_hash: ColumnElement[Any]) -> None:
        """Let a no of the person cover addresses that came after it (FACTS.md LAW-4)."""
        said = aliased(Suppression)
        covered = select(
            null(),
            address_hash,
            said.channel,
            said.reason,
            literal("pull"),
            said.key + literal(":") + func.substr(address_hash, 1, 24),
            literal(self.now, Suppression.at.type),
        ).where(
            said.customer_id == _F.customer_id, said.channel.is_(None), address_hash.is_not(None)
        )
        self.connection.execute(
            INSERTS[self.connection.dialect.name](Suppression)
            .from_select(
                ["customer_id", "address_hash", "channel", "reason", "source", "key", "at"],
                covered.where(true()),
            )
            .on_conflict_do_nothing(index_elements=["key"])
        )

    def _merge(self, emails: set[str]) -> None:
        """Make one of customers that turn out to share an address over two sources."""
        played = select(_F.email).where(_F.email.is_not(None))
        known = aliased(SourceCustomer)
        counted = (
            select(known.email, known.source, func.min(known.customer_id).label("customer_id"))
            .where(or_(known.email.in_(played), known.email.in_(sorted(emails))))
            .group_by(known.email, known.source)
            .having(func.count() == 1)
            .subquery()
        )
        shared = (
            select(counted.c.email)
            .group_by(counted.c.email)
            .having(func.min(counted.c.customer_id) != func.max(counted.c.customer_id))
        )
        for email in self.connection.scalars(shared.order_by(counted.c.email)).all():
            rows = self.connection.execute(
                select(counted.c.customer_id)
                .where(counted.c.email == email)
                .order_by(counted.c.customer_id)
            )
            first, *others = dict.fromkeys(row.customer_id for row in rows)
            for other in others:
                if not self._share_a_source(first, other):
                    first = merge_customers(
                        self.session, first, other, now=self.now, currency=self.currency
                    )

    def _share_a_source(self, one: int, other: int) -> bool:
        """Say whether one source knows both: then they are two persons to it."""
        mine, theirs = aliased(SourceCustomer), aliased(SourceCustomer)
        found = (
            select(mine.id)
            .join(theirs, theirs.source == mine.source)
            .where(mine.customer_id == one, theirs.customer_id == other)
        )
        return self.connection.execute(found.limit(1)).first() is not None


def _forget_person(cells: dict[str, Cell]) -> None:
    """Take nothing personal again of somebody who asked to be forgotten (LAW-39)."""
    for name in PERSONAL:
        cells[name] = "[]" if name in LISTS else None
    for name in ("email", "email_hash", "phone", "phone_channel", "phone_hash"):
        cells[name] = None
    for channel in Channel:
        cells[f"{channel}_state"] = None
