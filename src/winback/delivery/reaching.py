"""Addresses that turned out to reach nobody: closed, and what that means for the person."""

from datetime import datetime

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from winback.customers.suppression import suppress
from winback.database.tables import ContactPoint, Enrollment
from winback.delivery.gate import WRITTEN_TO
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.states import EnrollmentState, SuppressionReason

_NOBODY = "no address is left that can be reached"


def close_contact_point(session: Session, contact_point_id: int, *, now: datetime) -> bool:
    """Note that an address reaches nobody, for everyone who has it; True if that is news.

    Later steps move to the other written channel; a person without any reachable address left
    becomes ``unreachable``. Safe to repeat.
    """
    point = session.execute(
        select(ContactPoint.channel, ContactPoint.address_hash).where(
            ContactPoint.id == contact_point_id
        )
    ).one_or_none()
    if point is None:
        return False
    # Kept by its hash too, so that it stays closed when a source names it again.
    suppress(
        session,
        key=f"dead:{point.address_hash}:{point.channel}",
        reason=SuppressionReason.INVALID,
        source="provider",
        at=now,
        address_hash=point.address_hash,
        channel=point.channel,
    )
    customers = session.scalars(
        update(ContactPoint)
        .where(
            ContactPoint.channel == point.channel,
            ContactPoint.address_hash == point.address_hash,
            ContactPoint.is_reachable,
        )
        .values(is_reachable=False)
        .returning(ContactPoint.customer_id)
        .execution_options(synchronize_session=False)
    ).all()
    can_be_reached = exists().where(
        ContactPoint.customer_id == Enrollment.customer_id,
        ContactPoint.channel.in_(WRITTEN_TO),
        ContactPoint.is_current,
        ContactPoint.is_reachable,
    )
    lost = session.scalars(
        select(Enrollment.id).where(
            Enrollment.customer_id.in_(customers),
            Enrollment.state == EnrollmentState.ACTIVE,
            ~can_be_reached,
        )
    ).all()
    move_all(session, lost, EnrollmentEvent.CONTACT_LOST, now=now, why=_NOBODY)
    return bool(customers)
