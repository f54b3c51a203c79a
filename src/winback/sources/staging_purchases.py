"""Read a slice of purchases into the temporary table, and tell equal rows apart."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, select, update

from winback.sources import staging
from winback.sources.protocol import BadRow, Slice
from winback.sources.purchase_rows import PurchaseForm, StagedRow, purchase_reader
from winback.sources.purchase_statements import KNOWN_EQUALS
from winback.sources.rejecting import Rejects
from winback.sources.staging import BATCH, know_sizes, write_staged

_STAGED: Final = staging.purchases.c


def stage_purchases(
    connection: Connection,
    form: PurchaseForm,
    piece: Slice,
    *,
    rejects: Rejects,
    step: Callable[[int], None],
) -> int:
    """Read all rows into the temporary table, tell equal ones apart; gives how many were read.

    ``step`` is told how many rows were read, now and then. Raises SourceError when the whole
    slice must be refused.
    """
    read, seen = purchase_reader(form), staging.MaybeSeen()
    columns = form.columns
    count, batch, repeated = 0, list[StagedRow](), list[tuple[str]]()
    any_repeated = False

    def write() -> None:
        write_staged(connection, staging.purchases, columns, batch)
        write_staged(connection, staging.repeats, ("external_id",), repeated)
        batch.clear()
        repeated.clear()
        rejects.flush()
        step(count)

    for row in piece.rows():
        count += 1
        try:
            if isinstance(row, BadRow):
                raise row
            one = read(*row)
        except BadRow as bad:
            own = bad.values.get("external_id") or None
            rejects.add(bad.line, bad.reason, bad.values, external_id=own)
            continue
        if seen.add(one[1]):  # type: ignore[arg-type]
            repeated.append((one[1],))  # type: ignore[arg-type]
            any_repeated = True
        batch.append(one)
        if len(batch) >= BATCH:
            write()
    write()
    know_sizes(connection, staging.purchases)
    if any_repeated:
        _tell_equals_apart(connection, form)
    if not form.has_ids and not piece.is_whole:
        _continue_ordinals(connection, form, piece)
    return count


def _tell_equals_apart(connection: Connection, form: PurchaseForm) -> None:
    """Keep the last of rows with one id; without ids, count equal rows in their order."""
    repeats = staging.repeats.c
    know_sizes(connection, staging.repeats)
    order = _STAGED.n.desc() if form.has_ids else _STAGED.n
    places = (
        select(
            _STAGED.n,
            func.row_number().over(partition_by=_STAGED.external_id, order_by=order).label("place"),
        )
        .where(_STAGED.external_id.in_(select(repeats.external_id)))
        .subquery()
    )
    later = select(places).where(places.c.place > 1).subquery()
    if form.has_ids:
        connection.execute(delete(staging.purchases).where(_STAGED.n.in_(select(later.c.n))))
    else:
        connection.execute(
            update(staging.purchases).where(_STAGED.n == later.c.n).values(ordinal=later.c.place)
        )


def _continue_ordinals(connection: Connection, form: PurchaseForm, piece: Slice) -> None:
    """Count equal rows in the part of the file that was read before.

    Only where an equal row is known at all is that part read again.
    """
    equal = set(connection.scalars(KNOWN_EQUALS, {"of_source": form.source}))
    if not equal:
        return
    before = Counter(one for one in _earlier_ids(form, piece) if one in equal)
    if before:
        connection.execute(
            update(staging.purchases)
            .where(_STAGED.external_id == bindparam("equal"))
            .values(ordinal=_STAGED.ordinal + bindparam("before")),
            [{"equal": one, "before": count} for one, count in before.items()],
        )


def _earlier_ids(form: PurchaseForm, piece: Slice) -> Iterator[str]:
    read = purchase_reader(form)
    for row in piece.earlier_rows():
        if isinstance(row, BadRow):
            continue
        try:
            yield str(read(*row)[1])
        except BadRow:
            continue
