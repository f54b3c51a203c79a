"""Move vouchers: one guarded update for each, and a history row for each that moved."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select, true, update
from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.tables import Voucher
from winback.vouchers.machine import VoucherEvent, move_on, sources_of

_CHUNK = 5_000


def move_vouchers(
    session: Session,
    event: VoucherEvent,
    rows: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    only_if: ColumnElement[bool] | None = None,
    why: str = "",
) -> list[int]:
    """Move the vouchers with these ids, setting the other values of each row; give who moved.

    All rows have the same keys. A voucher that is not where the event may find it stays as it
    is; rows are locked first, so that of two writers one moves it.
    """
    # Every event of a voucher has one state that it starts from.
    (source,) = sources_of(event)
    target = move_on(source, event)
    movable = {
        id_
        for start in range(0, len(rows), _CHUNK)
        for id_ in session.scalars(
            select(Voucher.id)
            .where(Voucher.id.in_([row["id"] for row in rows[start : start + _CHUNK]]))
            .where(Voucher.state == source, true() if only_if is None else only_if)
            .order_by(Voucher.id)
            .with_for_update()
        )
    }
    chosen = [dict(row) for row in rows if row["id"] in movable]
    if not chosen:
        return []
    values: dict[str, Any] = {name: bindparam(name) for name in chosen[0] if name != "id"}
    table = Voucher.__table__
    session.connection().execute(
        update(Voucher)
        .where(table.c.id == bindparam("voucher_id"), table.c.state == source)
        .values(state=target, **values),
        [{"voucher_id": row.pop("id"), **row} for row in map(dict, chosen)],
    )
    record_moves(
        session,
        [
            {
                "thing": "voucher",
                "thing_id": row["id"],
                "from_state": source,
                "to_state": target,
                "event": event,
                "why": why,
                "at": now,
            }
            for row in chosen
        ],
    )
    return [row["id"] for row in chosen]
