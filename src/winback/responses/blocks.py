"""A number that texts are blocked to: perhaps a no, so a person judges it (TW-17, 30004)."""

from typing import Final

from winback.customers.suppression import is_suppressed, suppress
from winback.enrollment import progress
from winback.responses.cases import open_case
from winback.responses.hand import Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Matched
from winback.states import CaseKind, Channel, SuppressionReason

_LABEL: Final = "maybe a no"
"""As a reply that may be one."""
_TEXT: Final = (
    "Texts to this number are blocked, {provider} says ({code}); perhaps they said no there. "
    "None is sent to it any more, and nothing else until you know."
)


def ask_whether_no(hand: Hand, matched: Matched, event: Heard) -> None:
    """Send no more texts to a number, and give its customer to an associate, as a reply would.

    Once for each number and person. Who said no already is not asked about.
    """
    hashed, customer_id = matched.address_hash, matched.customer_id
    if hashed is None or customer_id is None:
        return
    suppress(
        hand.session,
        key=f"blocked:{hashed}",
        reason=SuppressionReason.STOPPED,
        source=event.origin,
        at=hand.now,
        address_hash=hashed,
        channel=Channel.SMS,
    )
    if is_suppressed(hand.session, customer_id, Channel.SMS):
        return
    enrollment = hand.open_enrollment(customer_id)
    opened = open_case(
        hand,
        f"blocked:{customer_id}:{hashed[:40]}",
        kind=CaseKind.REPLY,
        customer_id=customer_id,
        enrollment_id=enrollment.id if enrollment else None,
        event_id=event.event_id,
        label=_LABEL,
        text=_TEXT.format(provider=event.origin.partition(".")[0].capitalize(), code=event.code),
    )
    if opened is None:
        return
    why = f"texts to the number are blocked ({event.code}), {_LABEL}: a person looks"
    hand.decide(customer_id, "case_opened", why, enrollment)
    if enrollment and progress.hand_over(hand.session, enrollment.id, now=hand.now, why=why):
        hand.count("handed_over")
