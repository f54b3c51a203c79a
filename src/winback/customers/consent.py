"""Permission per channel, with its evidence (FACTS.md LAW-22, LAW-37).

Consents are appended; the newest row of a channel holds. A consent never lifts a suppression.
"""

from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    SQLColumnExpression,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from winback.customers.suppression import (
    address_suppressed_condition,
    customer_suppressed_condition,
)
from winback.database.tables import Consent, ContactPoint, Customer
from winback.states import Channel, ConsentState

NEEDS_CONSENT = (Channel.EMAIL, Channel.SMS)
"""Channels that need a recorded yes; calls and letters by a person only mind a no."""


def record_consent(
    session: Session,
    customer_id: int,
    channel: Channel,
    *,
    state: ConsentState,
    source: str,
    now: datetime,
    is_written: bool = False,
    evidence: str = "",
    given_at: datetime | None = None,
) -> bool:
    """Append a consent where it says something new; True if it did. Safe to repeat."""
    current = session.execute(
        select(Consent.state, Consent.is_written).where(
            Consent.customer_id == customer_id,
            Consent.channel == channel,
            Consent.superseded_at.is_(None),
        )
    ).one_or_none()
    if current is not None and tuple(current) == (state, is_written):
        return False
    session.execute(
        update(Consent)
        .where(
            Consent.customer_id == customer_id,
            Consent.channel == channel,
            Consent.superseded_at.is_(None),
        )
        .values(superseded_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        insert(Consent).values(
            customer_id=customer_id,
            channel=channel,
            state=state,
            is_written=is_written,
            source=source,
            evidence=evidence,
            given_at=given_at,
            recorded_at=now,
        )
    )
    session.execute(
        update(Customer)
        .where(Customer.id == customer_id)
        .values(changed_at=now)
        .execution_options(synchronize_session=False)
    )
    return True


def consented_condition(
    customer_id: SQLColumnExpression[int], channel: Channel
) -> ColumnElement[bool]:
    """Give the SQL condition: the person may be contacted on the channel, by consent alone.

    E-mail needs a given consent, texts a written one; calls and letters only no withdrawn one.
    """
    one = aliased(Consent)
    current = select(one.id).where(
        one.customer_id == customer_id, one.channel == channel, one.superseded_at.is_(None)
    )
    if channel not in NEEDS_CONSENT:
        return ~exists(current.where(one.state == ConsentState.WITHDRAWN))
    given = current.where(one.state == ConsentState.GIVEN)
    return exists(given.where(one.is_written) if channel is Channel.SMS else given)


def writable_point(customer_id: SQLColumnExpression[int], channel: Channel) -> ScalarSelect[int]:
    """Give the SQL of the contact point to write to: the newest current, reachable, free one.

    Free is: the address is not suppressed, whoever has it. NULL where there is none. A call may
    use a number that also takes texts.
    """
    point = aliased(ContactPoint)
    channels = (Channel.CALL, Channel.SMS) if channel is Channel.CALL else (channel,)
    return (
        select(point.id)
        .where(
            point.customer_id == customer_id,
            point.channel.in_(channels),
            point.is_current,
            point.is_reachable,
            ~address_suppressed_condition(point.address_hash, channel),
        )
        .order_by(point.seen_at.desc(), point.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def contactable_condition(
    customer_id: SQLColumnExpression[int], channel: Channel
) -> ColumnElement[bool]:
    """Give the SQL condition: consented, not suppressed, and with an address to write to."""
    return (
        consented_condition(customer_id, channel)
        & ~customer_suppressed_condition(customer_id, channel)
        & writable_point(customer_id, channel).is_not(None)
    )
