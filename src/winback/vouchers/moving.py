"""Move vouchers: one guarded update for each, and a history row for each that moved."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Update, bindparam, select, update
from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.tables import Voucher, table_of
from winback.states import VoucherState
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
    wanted = _MOVABLE if only_if is None else _MOVABLE.where(only_if)
    if not rows:
        return []
    # A plain statement does not write what the session still holds back.
    session.flush()
    movable = {
        id_
        for start in range(0, len(rows), _CHUNK)
        for id_ in session.connection().scalars(
            wanted, {"ids": [row["id"] for row in rows[start : start + _CHUNK]], "source": source}
        )
    }
    chosen = [dict(row) for row in rows if row["id"] in movable]
    if not chosen:
        return []
    session.connection().execute(
        _move(source, target, tuple(name for name in chosen[0] if name != "id")),
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


@lru_cache(maxsize=64)
def _move(source: VoucherState, target: VoucherState, names: tuple[str, ...]) -> Update:
    # One statement for each event and its columns: a few in all.
    return (
        update(_VOUCHERS)
        .where(_VOUCHERS.c.id == bindparam("voucher_id"), _VOUCHERS.c.state == source)
        .values(state=target, **{name: bindparam(name) for name in names})
    )


_VOUCHERS: Final = table_of(Voucher)
_MOVABLE: Final[Select[Any]] = (
    select(_VOUCHERS.c.id)
    .where(
        _VOUCHERS.c.id.in_(bindparam("ids", expanding=True)),
        _VOUCHERS.c.state == bindparam("source"),
    )
    .order_by(_VOUCHERS.c.id)
    .with_for_update()
)
