"""What a customer is worth: high, or normal.

High is the top share (``value.high`` in ``winback.yaml``) by the spend of the last 24 months,
refunds taken off, of those who bought in them. The threshold is set once a week and kept in the
installation's row, so that the line does not move under people from day to day; an enrollment
keeps the value that it began with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.orm import Session

from winback.clock import day_start, local_date
from winback.database.tables import Customer, Installation, Purchase
from winback.database.types import Amount
from winback.periods import add_months
from winback.states import PurchaseKind

HIGH: Final = "high"
NORMAL: Final = "normal"
_MONTHS: Final = 24
_SET_EVERY: Final = timedelta(days=7)
_MOST_BY_TIES: Final = 2
"""How many times the top share may be high where equal spends stand on the line."""


def value_of(spend: Decimal | None, threshold: Decimal | None) -> str:
    """Give the value for a 24-month spend; None for a spend means: bought nothing in it."""
    return HIGH if spend is not None and threshold is not None and spend >= threshold else NORMAL


def place_of_threshold(buyers: int, share: Decimal) -> int | None:
    """Give the place, from 1, of the last of the top share; None when it is nobody.

    At least one where somebody bought and the share is not nothing; otherwise rounded down.
    """
    return max(1, int(buyers * share)) if buyers and share else None


def spends_of(
    session: Session,
    customer_ids: Sequence[int],
    *,
    now: datetime,
    zone: ZoneInfo,
    currency: str | None,
) -> dict[int, Decimal]:
    """Give the 24-month spend of those of some customers who bought in it."""
    if not customer_ids:
        return {}
    window: dict[str, object] = {"begins": _window_begins(now, zone), "now": now}
    if currency is None:
        rows = session.connection().execute(_SPENDS, {"ids": customer_ids, **window})
    else:
        window["currency"] = currency
        rows = session.connection().execute(_SPENDS_IN_CURRENCY, {"ids": customer_ids, **window})
    return dict(rows.tuples().all())


_SPENDS: Final = (
    select(Purchase.customer_id, func.sum(Purchase.amount, type_=Amount))
    .where(
        Purchase.customer_id.in_(bindparam("ids", expanding=True)),
        Purchase.purchased_at >= bindparam("begins"),
        Purchase.purchased_at <= bindparam("now"),
    )
    .group_by(Purchase.customer_id)
    .having(func.count().filter(Purchase.kind == PurchaseKind.SALE) > 0)
)
_SPENDS_IN_CURRENCY: Final = _SPENDS.where(Purchase.currency == bindparam("currency"))


@dataclass(frozen=True, slots=True)
class Rank:
    """What the order of turns goes by: the 24-month spend, zero where nothing was bought."""

    spend: Decimal = Decimal(0)
    until: date | None = None
    """Local date on which it may be another without a change of the customer; None: never."""


def ranks_of(
    session: Session, customer_ids: Sequence[int], *, now: datetime, zone: ZoneInfo, currency: str
) -> dict[int, Rank]:
    """Give the rank of those of some customers who have purchases in 24 months, or later ones."""
    window = {"begins": _window_begins(now, zone), "now": now, "currency": currency}
    today = local_date(now, zone)
    return {
        row.customer_id: Rank(
            row.spend if row.sales else Decimal(0),
            _ranks_until(row.leaves_at, row.comes_at, today=today, zone=zone),
        )
        for row in session.connection().execute(_RANKS, {"ids": customer_ids, **window})
    }


def _ranks_until(
    leaves_at: datetime | None, comes_at: datetime | None, *, today: date, zone: ZoneInfo
) -> date | None:
    """Give the day on which the oldest purchase leaves the window or the next one comes into it.

    By a day too early where months differ in length, never too late.
    """
    days = []
    if leaves_at is not None:
        day_after = local_date(leaves_at, zone) + timedelta(days=1)
        days.append(max(add_months(day_after, _MONTHS), today + timedelta(days=1)))
    if comes_at is not None:
        days.append(local_date(comes_at, zone))
    return min(days, default=None)


_HAS_COME: Final = Purchase.purchased_at <= bindparam("now")
_RANKS: Final = (
    select(
        Purchase.customer_id,
        func.sum(Purchase.amount, type_=Amount).filter(_HAS_COME).label("spend"),
        func.count().filter(_HAS_COME, Purchase.kind == PurchaseKind.SALE).label("sales"),
        func.min(Purchase.purchased_at).filter(_HAS_COME).label("leaves_at"),
        func.min(Purchase.purchased_at)
        .filter(Purchase.purchased_at > bindparam("now"))
        .label("comes_at"),
    )
    .where(
        Purchase.customer_id.in_(bindparam("ids", expanding=True)),
        Purchase.purchased_at >= bindparam("begins"),
        Purchase.currency == bindparam("currency"),
    )
    .group_by(Purchase.customer_id)
)


def current_threshold(session: Session) -> Decimal | None:
    """Give the threshold as it was last set."""
    return session.connection().scalars(_THRESHOLD).one()


_THRESHOLD: Final = select(Installation.value_threshold)


def next_setting_on(session: Session, today: date) -> date:
    """Give the day on which the threshold is set next."""
    set_on = session.scalars(select(Installation.value_set_on)).one()
    return max(today + timedelta(days=1), (set_on or today) + _SET_EVERY)


def set_threshold(
    session: Session, *, share: Decimal, now: datetime, zone: ZoneInfo, currency: str
) -> Decimal | None:
    """Set the threshold when a week has gone by, and give the one that holds; safe to repeat."""
    today = local_date(now, zone)
    kept = session.execute(select(Installation.value_threshold, Installation.value_set_on)).one()
    if not is_to_be_set(kept.value_set_on, today):
        threshold: Decimal | None = kept.value_threshold
        return threshold
    threshold = compute_threshold(session, share=share, now=now, zone=zone, currency=currency)
    session.execute(update(Installation).values(value_threshold=threshold, value_set_on=today))
    return threshold


def is_to_be_set(set_on: date | None, today: date) -> bool:
    """Say whether the threshold is set anew today, given when it was set last; None is never."""
    return set_on is None or not set_on <= today < set_on + _SET_EVERY


def compute_threshold(
    session: Session,
    *,
    share: Decimal,
    now: datetime,
    zone: ZoneInfo,
    currency: str,
    known_until: datetime | None = None,
) -> Decimal | None:
    """Give the lowest 24-month spend that is still among the top share; None for nobody.

    Equal spends stand or fall together: they are high while that makes at most twice the share.
    Purchases after ``known_until`` do not exist: a rehearsal asks for a week to come, by what is
    known today.
    """
    until = now if known_until is None else min(now, known_until)
    spends = (
        select(func.sum(Purchase.amount, type_=Amount).label("spend"))
        .join(Customer, Customer.id == Purchase.customer_id)
        .where(Customer.erased_at.is_(None), *_in_window(now, until, zone, currency))
        .group_by(Purchase.customer_id)
        .having(func.count().filter(Purchase.kind == PurchaseKind.SALE) > 0)
        .subquery()
    )
    buyers = session.scalar(select(func.count()).select_from(spends)) or 0
    place = place_of_threshold(buyers, share)
    if place is None:
        return None
    line: Decimal = session.scalars(
        select(spends.c.spend).order_by(spends.c.spend.desc()).offset(place - 1).limit(1)
    ).one()
    reached = session.scalar(select(func.count()).where(spends.c.spend >= line)) or 0
    if reached <= _MOST_BY_TIES * place:
        return line
    # A tie this long is no top: nobody of it is high, only who spent more.
    above: Decimal | None = session.scalar(
        select(func.min(spends.c.spend)).where(spends.c.spend > line)
    )
    return above


def _in_window(
    now: datetime, until: datetime, zone: ZoneInfo, currency: str
) -> tuple[ColumnElement[bool], ...]:
    return (
        Purchase.purchased_at >= _window_begins(now, zone),
        Purchase.purchased_at <= until,
        Purchase.currency == currency,
    )


def _window_begins(now: datetime, zone: ZoneInfo) -> datetime:
    return day_start(add_months(local_date(now, zone), -_MONTHS), zone)
