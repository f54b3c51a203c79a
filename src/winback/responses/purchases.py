"""Follow purchases: who came back is left in peace, and who had never lapsed is taken out.

Set-based, and its cost follows what is new: only customers that changed, or bought, since the
last time are looked at. Redemptions come first: they say more than the purchase that carries them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update

from winback.clock import local_date
from winback.database.tables import (
    Customer,
    Enrollment,
    Installation,
    Purchase,
    Voucher,
    table_of,
)
from winback.delivery.answers import queue_answer
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.responses.hand import WRITTEN_TO, Hand
from winback.states import OPEN_ENROLLMENTS, EnrollmentState, PurchaseKind
from winback.vouchers.redeeming import redeem_from_purchases

SLACK: Final = timedelta(days=1)
"""How far back is looked again: a pull commits later than the instant that it writes."""
_EVER: Final = datetime(1970, 1, 2, tzinfo=UTC)
PURCHASE: Final = "purchase"
"""The answer that thanks."""


@dataclass(frozen=True, slots=True)
class Return:
    """A customer who came back: the enrollment, and when."""

    enrollment_id: int
    customer_id: int
    campaign: str
    at: datetime


def follow_purchases(hand: Hand) -> None:
    """Take out, redeem, convert and thank for all that is new. Safe to repeat."""
    since = hand.session.connection().scalars(_FOLLOWED_UNTIL).one()
    back = _EVER if since is None else min(since, hand.now) - SLACK
    new = {"back": back, "back_on": local_date(back, hand.business.zone), "now": hand.now}
    _cancel_unlapsed(hand, new)
    _follow_redemptions(hand, new)
    _convert(hand, new)
    until = hand.now if since is None else max(since, hand.now)
    hand.session.connection().execute(_SET_FOLLOWED_UNTIL, {"until": until})


def was_bought_after() -> ColumnElement[bool]:
    """Give the SQL condition: the sale came after the enrollment.

    One that has only a date is compared by date, and counts on the day of enrollment when it was
    first seen after it.
    """
    return and_(
        Purchase.kind == PurchaseKind.SALE,
        or_(
            and_(Purchase.is_date_only.is_(False), Purchase.purchased_at > Enrollment.enrolled_at),
            and_(
                Purchase.is_date_only,
                Purchase.purchased_on >= Enrollment.enrolled_on,
                Purchase.first_seen_at > Enrollment.enrolled_at,
            ),
        ),
    )


def was_bought_before() -> ColumnElement[bool]:
    """Give the SQL condition: the sale lies between the lapse and the enrollment.

    Nobody knew of it then, or there had been no enrollment: the data came late.
    """
    return and_(
        Purchase.kind == PurchaseKind.SALE,
        Purchase.purchased_on > Enrollment.lapsed_on,
        or_(
            and_(Purchase.is_date_only.is_(False), Purchase.purchased_at <= Enrollment.enrolled_at),
            and_(Purchase.is_date_only, Purchase.purchased_on < Enrollment.enrolled_on),
        ),
    )


_HAS_NEWS: Final = or_(
    Customer.changed_at >= bindparam("back"), Customer.last_purchased_on >= bindparam("back_on")
)
"""Whether a customer has something new to look at.

Also those whose last purchase is dated lately: a sale that was in the data before its time came
(``--as-of``) changes nobody on the day it comes.
"""
_UNLAPSED: Final = (
    select(Enrollment.id)
    .join(Customer, Customer.id == Enrollment.customer_id)
    .join(Purchase, Purchase.customer_id == Customer.id)
    .where(
        _HAS_NEWS,
        Enrollment.state.in_(OPEN_ENROLLMENTS),
        Purchase.purchased_at <= bindparam("now"),
        was_bought_before(),
    )
    .distinct()
)
_REDEEMED_BY_HAND: Final = (
    select(Voucher.id, Voucher.enrollment_id)
    .join(Enrollment, Enrollment.id == Voucher.enrollment_id)
    .where(
        Voucher.redeemed_at >= bindparam("back"),
        Voucher.redeemed_at <= bindparam("now"),
        # Where two customers became one, another one may go on for a canceled one.
        Enrollment.state.in_((*WRITTEN_TO, EnrollmentState.CANCELED)),
    )
)
_RETURNED: Final = (
    select(
        Enrollment.id,
        Enrollment.customer_id,
        Enrollment.campaign,
        func.min(Purchase.purchased_at).label("at"),
    )
    .join(Customer, Customer.id == Enrollment.customer_id)
    .join(Purchase, Purchase.customer_id == Customer.id)
    .where(
        _HAS_NEWS,
        Enrollment.state.in_(WRITTEN_TO),
        Purchase.purchased_at <= bindparam("now"),
        was_bought_after(),
    )
    .group_by(Enrollment.id, Enrollment.customer_id, Enrollment.campaign)
    .order_by(Enrollment.id)
)
_FOLLOWED_UNTIL: Final = select(Installation.followed_until)
_SET_FOLLOWED_UNTIL: Final = update(table_of(Installation)).values(
    followed_until=bindparam("until")
)


def _cancel_unlapsed(hand: Hand, new: Mapping[str, Any]) -> None:
    found = hand.session.connection().scalars(_UNLAPSED, new).all()
    why = "data that came late show a purchase before the enrollment: there was no lapse"
    moved = move_all(hand.session, found, EnrollmentEvent.BOUGHT_BEFORE, now=hand.now, why=why)
    hand.count("canceled", len(moved))


def _follow_redemptions(hand: Hand, new: Mapping[str, Any]) -> None:
    redeemed = redeem_from_purchases(hand.session, hand.now)
    hand.count("redeemed", len(redeemed))
    for one in redeemed:
        redemption(hand, one.voucher_id, one.enrollment_id)
    # Codes that were redeemed by hand, at the till, end the enrollment as well.
    for row in hand.session.connection().execute(_REDEEMED_BY_HAND, new).all():
        if hand.going_on(row.enrollment_id).state in WRITTEN_TO:
            redemption(hand, row.id, row.enrollment_id)


def redemption(hand: Hand, voucher_id: int, enrollment_id: int) -> None:
    """Convert for a redeemed voucher, and thank; a final state stays. Safe to repeat."""
    enrollment = hand.going_on(enrollment_id)
    is_new = hand.note(
        f"redemption:{voucher_id}",
        customer_id=enrollment.customer_id,
        kind="redemption",
        action="convert",
        at=hand.now,
        enrollment_id=enrollment.id,
    )
    if is_new:
        came = Return(enrollment.id, enrollment.customer_id, enrollment.campaign, hand.now)
        _welcome_back(hand, [came], EnrollmentEvent.REDEEMED, "used the voucher: welcome back")


def _convert(hand: Hand, new: Mapping[str, Any]) -> None:
    rows = hand.session.connection().execute(_RETURNED, new).all()
    came = [Return(row.id, row.customer_id, row.campaign, row.at) for row in rows]
    for one in came:
        hand.note(
            f"purchase:{one.enrollment_id}",
            customer_id=one.customer_id,
            kind="purchase",
            action="convert",
            at=one.at,
            enrollment_id=one.enrollment_id,
        )
    _welcome_back(hand, came, EnrollmentEvent.PURCHASED, "bought again: welcome back")


def _welcome_back(hand: Hand, came: Sequence[Return], event: EnrollmentEvent, why: str) -> None:
    if not came:
        return
    ids = [one.enrollment_id for one in came]
    moved = move_all(hand.session, ids, event, now=hand.now, why=why)
    hand.count("converted", len(moved))
    for enrollment_id in moved:
        if queue_answer(hand.session, enrollment_id, PURCHASE, now=hand.now):
            hand.count("answered")
