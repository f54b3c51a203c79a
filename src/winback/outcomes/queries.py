"""What measuring asks the database, built once: what stays the same is compiled only once."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import BindParameter, Select, bindparam, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from winback.database.bulk import on_conflict
from winback.database.tables import (
    Customer,
    Enrollment,
    Installation,
    Message,
    Move,
    Outcome,
    Purchase,
    Response,
    Voucher,
    table_of,
)
from winback.states import MessageState, VoucherState


def _moved(thing: str, thing_id: InstrumentedAttribute[int], wanted: Select[Any]) -> Select[Any]:
    return wanted.join(Move, Move.thing_id == thing_id).where(
        Move.id > bindparam("moves"), Move.thing == thing
    )


_COUNTS: Final = ~(
    (Move.to_state == MessageState.SENDING.value)
    | (Move.to_state == MessageState.DELIVERED.value)
    & (Move.from_state == MessageState.ACCEPTED.value)
)
"""Whether a message's move may change an outcome; most do not. A claim is no cost yet, and what is
delivered was accepted before, and counted then."""


def _lookups() -> Iterator[Select[Any]]:
    """Give the queries for enrollments whose facts are newer than a mark."""
    new_purchase = Purchase.id > bindparam("purchases")
    of_enrollment = select(Enrollment.id)
    with_customer = of_enrollment.join(Customer, Customer.id == Enrollment.customer_id)
    ends = Enrollment.measure_until
    yield of_enrollment.where(Enrollment.id > bindparam("enrollments"))
    yield of_enrollment.where(ends > bindparam("as_of"), ends <= bindparam("until"))
    yield of_enrollment.join(Purchase, Purchase.customer_id == Enrollment.customer_id).where(
        new_purchase
    )
    yield with_customer.join(Purchase, Purchase.customer_id == Customer.merged_into).where(
        new_purchase
    )
    yield with_customer.where(Customer.changed_at >= bindparam("as_of"))
    yield select(Move.thing_id).where(Move.id > bindparam("moves"), Move.thing == "enrollment")
    yield _moved("message", Message.id, select(Message.enrollment_id)).where(_COUNTS)
    yield _moved("voucher", Voucher.id, select(Voucher.enrollment_id)).where(
        Move.to_state == VoucherState.REDEEMED.value
    )
    yield select(Response.enrollment_id).where(Response.id > bindparam("responses"))


LOOKUPS: Final = tuple(_lookups())
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
NEWEST: Final = select(
    *(
        select(func.max(table.id)).scalar_subquery()
        for table in (Enrollment, Move, Response, Purchase)
    )
)
MARK: Final = select(Installation.measured)
SET_MARK: Final = update(table_of(Installation)).values(measured=bindparam("mark"))
ENROLLMENTS: Final = (
    select(
        Enrollment.id,
        Enrollment.campaign_version_id,
        Enrollment.customer_id,
        Customer.merged_into,
        Enrollment.enrolled_at,
        Enrollment.enrolled_on,
        Enrollment.measure_until,
        Enrollment.is_left_out,
    )
    .join(Customer, Customer.id == Enrollment.customer_id)
    .where(Enrollment.id.in_(_IDS))
)
_OUTCOMES: Final = table_of(Outcome)
BEFORE: Final = select(_OUTCOMES).where(_OUTCOMES.c.enrollment_id.in_(_IDS))
BOUGHT: Final = select(
    Purchase.customer_id,
    Purchase.id,
    Purchase.source,
    Purchase.external_id,
    Purchase.purchased_at,
    Purchase.purchased_on,
    Purchase.is_date_only,
    Purchase.first_seen_at,
    Purchase.amount,
    Purchase.currency,
    Purchase.kind,
    Purchase.refund_of,
    Purchase.voucher_code,
).where(Purchase.customer_id.in_(_IDS), Purchase.purchased_on >= bindparam("earliest"))
SENT: Final = select(
    Message.enrollment_id, Message.accepted_at, Message.cost, Message.clicked_at
).where(Message.enrollment_id.in_(_IDS), Message.accepted_at.is_not(None))
REDEEMED: Final = select(
    Voucher.enrollment_id,
    Voucher.offer,
    Voucher.code,
    Voucher.redeemed_at,
    Voucher.purchase_id,
).where(Voucher.enrollment_id.in_(_IDS), Voucher.state == VoucherState.REDEEMED)


WRITE: Final = on_conflict(
    insert(_OUTCOMES),
    "enrollment_id",
    replaces=[column.name for column in _OUTCOMES.c if column.name != "enrollment_id"],
)
