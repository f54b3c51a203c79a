"""An address that does not exist: written to no more; the other channel takes over, if any."""

from typing import Final

from sqlalchemy import bindparam, exists, select, update

from winback.customers.consent import NEEDS_CONSENT
from winback.customers.suppression import suppress
from winback.database.tables import ContactPoint, table_of
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.responses.hand import Enrolled, Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Matched
from winback.states import Channel, SuppressionReason


def lose_address(hand: Hand, matched: Matched, event: Heard, reason: SuppressionReason) -> None:
    """Write no more to an address that a provider calls dead (FACTS.md SG-12b, SG-20).

    Kept by its hash, so that it survives re-import. The person is unreachable when no other
    address is left; else later steps go there.
    """
    hashed = matched.address_hash
    if hashed is None:
        return
    channel = Channel.SMS if event.is_text_message else Channel.EMAIL
    suppress(
        hand.session,
        key=dead_key(hashed, channel),
        reason=reason,
        source=event.origin,
        at=hand.now,
        address_hash=hashed,
        channel=channel,
    )
    hand.session.connection().execute(_CLOSE, {"hashed": hashed, "on_channel": channel})
    for customer_id in matched.customer_ids:
        _tell(hand, matched, event, customer_id, hashed=hashed, channel=channel)


def dead_key(hashed: str, channel: Channel) -> str:
    """Name the fact that an address does not exist."""
    return f"dead:{hashed}:{channel}"


def _tell(
    hand: Hand,
    matched: Matched,
    event: Heard,
    customer_id: int,
    *,
    hashed: str,
    channel: Channel,
) -> None:
    enrollment = hand.open_enrollment(customer_id)
    is_new = hand.note(
        f"dead:{customer_id}:{hashed[:40]}",
        customer_id=customer_id,
        kind="hard_bounce",
        action="other channel",
        at=event.at,
        enrollment_id=enrollment.id if enrollment else None,
        message_id=matched.message.id if matched.message else None,
        event_id=event.event_id,
    )
    if is_new:
        why = f"the {channel} address does not exist: nothing is sent there any more"
        hand.decide(customer_id, "address_lost", why, enrollment)
    if enrollment and not _is_reachable(hand, customer_id):
        _give_up(hand, enrollment)


def _is_reachable(hand: Hand, customer_id: int) -> bool:
    return bool(hand.session.connection().scalar(_IS_REACHABLE, {"customer_id": customer_id}))


_POINTS: Final = table_of(ContactPoint)
_CLOSE: Final = (
    update(_POINTS)
    .where(
        _POINTS.c.address_hash == bindparam("hashed"), _POINTS.c.channel == bindparam("on_channel")
    )
    .values(is_reachable=False)
)
_IS_REACHABLE: Final = select(
    exists().where(
        _POINTS.c.customer_id == bindparam("customer_id"),
        _POINTS.c.channel.in_(NEEDS_CONSENT),
        _POINTS.c.is_current,
        _POINTS.c.is_reachable,
    )
)


def _give_up(hand: Hand, enrollment: Enrolled) -> None:
    why = "no address is left that we could write to"
    if move(hand.session, enrollment.id, EnrollmentEvent.CONTACT_LOST, now=hand.now, why=why):
        hand.count("unreachable")
