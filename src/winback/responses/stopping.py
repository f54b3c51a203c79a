"""A no means no (promise P3): one road for every kind of no, on every channel."""

from typing import Final

from sqlalchemy import bindparam, select

from winback.customers.canceling import cancel_queued
from winback.customers.suppression import suppress
from winback.database.tables import Message
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.responses.hand import Enrolled, Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Matched
from winback.states import Channel, MessageState, SuppressionReason

SAYS = {
    SuppressionReason.UNSUBSCRIBED: "unsubscribed",
    SuppressionReason.STOPPED: "wrote that we shall stop",
    SuppressionReason.COMPLAINED: "reported a message as spam",
    SuppressionReason.ASSOCIATE: "an associate noted that we shall stop",
}
"""How a decision names a no."""


def say_no(
    hand: Hand,
    matched: Matched,
    event: Heard,
    reason: SuppressionReason,
    *,
    channel: Channel | None = None,
) -> None:
    """Stop all marketing to whoever said it, or one channel where only that was asked.

    An address that several people share stops them all; one that nobody is known by is kept as
    a hash, so that a later import finds it. A holdout stays one: it is analyzed as assigned.
    """
    for customer_id in matched.customer_ids:
        stop_person(
            hand,
            customer_id,
            reason,
            source=event.origin,
            channel=channel,
            address_hash=matched.address_hash,
            event=event,
            message_id=matched.message.id if matched.message else None,
        )
    if not matched.customer_ids and matched.address_hash is not None:
        suppress(
            hand.session,
            key=no_key(matched.address_hash, reason, channel),
            reason=reason,
            source=event.origin,
            at=hand.now,
            address_hash=matched.address_hash,
            channel=channel,
        )


def no_key(whom: int | str, reason: SuppressionReason, channel: Channel | None) -> str:
    """Name a no: of a customer, or of the hash of an address that nobody is known by."""
    return f"no:{whom}:{reason}:{channel or 'all'}"


def stop_person(
    hand: Hand,
    customer_id: int,
    reason: SuppressionReason,
    *,
    source: str,
    channel: Channel | None = None,
    address_hash: str | None = None,
    event: Heard | None = None,
    message_id: int | None = None,
) -> None:
    """Suppress one person with all their addresses, and end or narrow what is open."""
    key = no_key(customer_id, reason, channel)
    # Asked each time, new or not: it also covers addresses that came since.
    suppress(
        hand.session,
        key=key,
        reason=reason,
        source=source,
        at=hand.now,
        customer_id=customer_id,
        address_hash=address_hash,
        channel=channel,
    )
    enrollment = hand.open_enrollment(customer_id)
    is_new = hand.note(
        key,
        customer_id=customer_id,
        kind="no",
        action="suppress" if channel is None else f"suppress {channel}",
        at=event.at if event else hand.now,
        enrollment_id=enrollment.id if enrollment else None,
        message_id=message_id,
        event_id=event.event_id if event else None,
    )
    why = f"{SAYS.get(reason, reason)}: " + (
        "nothing is sent any more, on any channel" if channel is None else f"no more {channel}"
    )
    if is_new:
        hand.decide(customer_id, "stopped", why, enrollment)
        hand.count("suppressed")
    if channel is None:
        _end(hand, customer_id, enrollment, why)


def _end(hand: Hand, customer_id: int, enrollment: Enrolled | None, why: str) -> None:
    if enrollment is not None:
        move(hand.session, enrollment.id, EnrollmentEvent.OPTED_OUT, now=hand.now, why=why)
    # An answer may still wait after an enrollment has ended: a no stops that, too.
    queued = hand.session.connection().scalars(_QUEUED, {"customer_id": customer_id}).all()
    if queued:
        cancel_queued(hand.session, queued, now=hand.now, why=why)


_QUEUED: Final = (
    select(Message.enrollment_id)
    .where(Message.customer_id == bindparam("customer_id"), Message.state == MessageState.QUEUED)
    .distinct()
)
