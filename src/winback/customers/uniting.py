"""Unite what two customers have who are one person: addresses, consents, purchases, the no.

DESIGN.md, section 7: suppression is the union. What becomes of their enrollments is decided in
``winback.enrollment.merging``.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from winback.customers.sums import recompute_sums
from winback.database.tables import (
    Case,
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Message,
    Purchase,
    Refusal,
    Response,
    SourceCustomer,
    Suppression,
    Waiting,
)
from winback.states import ConsentState

_FOLLOWERS: Final[tuple[Any, ...]] = (
    Purchase,
    SourceCustomer,
    Message,
    Response,
    Case,
    Decision,
    Suppression,
)
"""Tables whose rows simply follow the person."""
_IN_BULK: Final = {"synchronize_session": False}


def unite_customers(
    session: Session, kept: int, gone: int, *, now: datetime, currency: str
) -> None:
    """Give the customer who stays all that the other one has, but for enrollments.

    ``winback.enrollment.merging`` calls it, and sees to those: nobody else makes two one.
    """
    _move_contact_points(session, kept, gone)
    _move_consents(session, kept, gone, now=now)
    for judgement in (Refusal, Waiting):
        session.execute(delete(judgement).where(judgement.customer_id.in_((kept, gone))))
    for table in _FOLLOWERS:
        session.execute(
            update(table)
            .where(table.customer_id == gone)
            .values(customer_id=kept)
            .execution_options(**_IN_BULK)
        )
    _fill_gaps(session, kept, gone, now=now)
    recompute_sums(
        session, select(Customer.id).where(Customer.id.in_((kept, gone))), currency=currency
    )
    session.expire_all()


def _move_contact_points(session: Session, kept: int, gone: int) -> None:
    """Move addresses; one that both have stays once, and stays unreachable if it was."""
    # Locked first: a claim that has just referred to one of them is through before we look.
    points = session.scalars(
        select(ContactPoint)
        .where(ContactPoint.customer_id.in_((kept, gone)))
        .order_by(ContactPoint.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    ours = {(point.channel, point.address): point for point in points if point.customer_id == kept}
    for point in [point for point in points if point.customer_id == gone]:
        same = ours.get((point.channel, point.address))
        if same is None:
            point.customer_id = kept
            continue
        same.is_current = same.is_current or point.is_current
        same.is_reachable = same.is_reachable and point.is_reachable
        session.execute(
            update(Message)
            .where(Message.contact_point_id == point.id)
            .values(contact_point_id=same.id)
            .execution_options(**_IN_BULK)
        )
        session.delete(point)
    session.flush()


def _move_consents(session: Session, kept: int, gone: int, *, now: datetime) -> None:
    """Move consents; where both have a current one, a no holds, else the newer."""
    current = select(Consent).where(
        Consent.customer_id.in_((kept, gone)), Consent.superseded_at.is_(None)
    )
    by_channel: dict[str, list[Consent]] = {}
    for consent in session.scalars(current):
        by_channel.setdefault(consent.channel, []).append(consent)
    for rivals in by_channel.values():
        rivals.sort(key=lambda one: (one.state is ConsentState.WITHDRAWN, one.recorded_at, one.id))
        for loser in rivals[:-1]:
            loser.superseded_at = now
    session.flush()
    session.execute(
        update(Consent)
        .where(Consent.customer_id == gone)
        .values(customer_id=kept)
        .execution_options(**_IN_BULK)
    )


def _fill_gaps(session: Session, kept: int, gone: int, *, now: datetime) -> None:
    """Keep what the staying row says, fill what it lacks, and point the other one to it."""
    gaps = (
        "given_name",
        "family_name",
        "country",
        "region",
        "postal_code",
        "time_zone",
        "locale",
        "loyalty_id",
        "acquired_by",
    )
    other = session.execute(select(Customer).where(Customer.id == gone)).scalar_one()
    mine = session.execute(select(Customer).where(Customer.id == kept)).scalar_one()
    for name in gaps:
        setattr(mine, name, getattr(mine, name) or getattr(other, name))
    mine.tags = [*mine.tags, *(tag for tag in other.tags if tag not in mine.tags)]
    mine.interests = [
        *mine.interests,
        *(one for one in other.interests if one not in mine.interests),
    ]
    mine.first_seen_at = min(mine.first_seen_at, other.first_seen_at)
    mine.changed_at = now
    other.changed_at = now
    other.merged_into = kept
    session.flush()
    session.execute(
        update(Customer)
        .where(Customer.merged_into == gone)
        .values(merged_into=kept)
        .execution_options(**_IN_BULK)
    )
