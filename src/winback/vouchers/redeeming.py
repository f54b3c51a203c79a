"""Redeem codes: each at most once, before its expiry, whoever asks at the same time.

The guard is one conditional update (FACTS.md SEC-16): of many at once, one succeeds. A code that
is unknown, expired or used gives the same answer (SEC-17).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from winback.database.history import record_moves
from winback.database.tables import Installation, Purchase, Voucher, table_of
from winback.states import PurchaseKind, VoucherState
from winback.vouchers.codes import REPLACED, normalize_code
from winback.vouchers.machine import VoucherEvent

_SLACK: Final = timedelta(days=1)
"""How far the sweep looks back: a pull commits later than the instant that it writes."""
_EVER: Final = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Redeemed:
    """One voucher that was redeemed just now."""

    voucher_id: int
    enrollment_id: int
    purchase_id: int | None = None
    at: datetime | None = None
    """When it was redeemed: for a purchase, when that was made."""


def redeem(
    session: Session, code: str, *, now: datetime, purchase_id: int | None = None
) -> Redeemed | None:
    """Redeem a code as it was typed; None when it is not valid, whatever the cause.

    A voucher whose message is still unconfirmed can be redeemed: the customer may well have it.
    """
    row = session.execute(
        update(Voucher)
        .where(
            Voucher.code_key == normalize_code(code),
            Voucher.state == VoucherState.ISSUED,
            Voucher.expires_at > now,
        )
        .values(state=VoucherState.REDEEMED, redeemed_at=now, purchase_id=purchase_id)
        .returning(Voucher.id, Voucher.enrollment_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return None
    _record(session, [row.id], now, why="by hand" if purchase_id is None else "by a purchase")
    return Redeemed(row.id, row.enrollment_id, purchase_id, now)


def redeem_from_purchases(session: Session, now: datetime) -> list[Redeemed]:
    """Redeem every issued code that a purchase carries, made before the code's expiry.

    Looks only at purchases first seen since the last sweep; safe to repeat. The earliest purchase
    with a code wins. A purchase whose code was redeemed by hand before is linked to its voucher.
    """
    until = session.connection().scalars(_REDEEMED_UNTIL).one()
    since = _EVER if until is None else until - _SLACK
    found: dict[int, Redeemed] = {}
    for row in session.connection().execute(_CARRIED, {"since": since}):
        found.setdefault(
            row.voucher_id,
            Redeemed(row.voucher_id, row.enrollment_id, row.purchase_id, row.purchased_at),
        )
    _settle(session, list(found.values()), now)
    _link(session, since)
    session.connection().execute(_SET_REDEEMED_UNTIL, {"until": now})
    return list(found.values())


def _carried(state: VoucherState) -> Select[Any]:
    """Select newly seen sales with the vouchers whose codes they carry, earliest first."""
    return (
        select(
            Voucher.id.label("voucher_id"),
            Voucher.enrollment_id,
            Purchase.id.label("purchase_id"),
            Purchase.purchased_at,
        )
        .join(Voucher, Voucher.code_key == _normalized(Purchase.voucher_code))
        .where(
            Purchase.voucher_code.is_not(None),
            Purchase.kind == PurchaseKind.SALE,
            Voucher.state == state,
            Purchase.purchased_at < Voucher.expires_at,
            Purchase.first_seen_at >= bindparam("since"),
        )
        .order_by(Purchase.purchased_at, Purchase.id)
        # Another sweep that holds a voucher settles it; this one then finds it redeemed.
        .with_for_update(of=Voucher)
    )


def _settle(session: Session, redeemed: list[Redeemed], now: datetime) -> None:
    if not redeemed:
        return
    session.connection().execute(
        _REDEEM,
        [
            {"voucher_id": one.voucher_id, "redeemed_at": one.at, "bought": one.purchase_id}
            for one in redeemed
        ],
    )
    _record(session, [one.voucher_id for one in redeemed], now, why="by a purchase")


def _link(session: Session, since: datetime) -> None:
    """Give vouchers that were redeemed by hand the purchase that carries their code."""
    links: dict[int, int] = {}
    for row in session.connection().execute(_CARRIED_BEFORE, {"since": since}):
        links.setdefault(row.voucher_id, row.purchase_id)
    for voucher_id, purchase_id in links.items():
        session.execute(
            update(Voucher)
            .where(Voucher.id == voucher_id, Voucher.purchase_id.is_(None))
            .values(purchase_id=purchase_id)
            .execution_options(synchronize_session=False)
        )


def _record(session: Session, voucher_ids: list[int], now: datetime, *, why: str) -> None:
    record_moves(
        session,
        [
            {
                "thing": "voucher",
                "thing_id": voucher_id,
                "from_state": VoucherState.ISSUED,
                "to_state": VoucherState.REDEEMED,
                "event": VoucherEvent.REDEEMED,
                "why": why,
                "at": now,
            }
            for voucher_id in voucher_ids
        ],
    )


def _normalized(column: InstrumentedAttribute[str | None]) -> ColumnElement[str]:
    """Give the same comparison form of a column, in SQL."""
    key: ColumnElement[str] = func.upper(func.trim(column))
    for written, meant in REPLACED:
        key = func.replace(key, written, meant)
    return key


_VOUCHERS: Final = table_of(Voucher)
_CARRIED: Final = _carried(VoucherState.ISSUED)
_CARRIED_BEFORE: Final = _carried(VoucherState.REDEEMED).where(Voucher.purchase_id.is_(None))
_REDEEM: Final = (
    update(_VOUCHERS)
    .where(_VOUCHERS.c.id == bindparam("voucher_id"), _VOUCHERS.c.state == VoucherState.ISSUED)
    .values(
        state=VoucherState.REDEEMED,
        redeemed_at=bindparam("redeemed_at"),
        purchase_id=bindparam("bought"),
    )
)
_REDEEMED_UNTIL: Final = select(Installation.redeemed_until)
_SET_REDEEMED_UNTIL: Final = update(table_of(Installation)).values(
    redeemed_until=bindparam("until")
)
