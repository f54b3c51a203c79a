"""The states of a voucher, as a table; ``docs/state-machines.md`` is generated from it.

Expired is no state: it is computed from ``expires_at``, so that no clock has to visit a row.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from winback.errors import IllegalTransition
from winback.states import VoucherState


class VoucherEvent(StrEnum):
    """What happens to a voucher."""

    RESERVED = "reserved"
    ISSUED = "issued"
    RETURNED = "returned"
    RELEASED = "released"
    REDEEMED = "redeemed"
    VOIDED = "voided"


TRANSITIONS: Final[Mapping[tuple[VoucherState, VoucherEvent], VoucherState]] = {
    (VoucherState.FREE, VoucherEvent.RESERVED): VoucherState.RESERVED,
    (VoucherState.RESERVED, VoucherEvent.ISSUED): VoucherState.ISSUED,
    (VoucherState.RESERVED, VoucherEvent.RELEASED): VoucherState.FREE,
    (VoucherState.ISSUED, VoucherEvent.RETURNED): VoucherState.RESERVED,
    (VoucherState.ISSUED, VoucherEvent.REDEEMED): VoucherState.REDEEMED,
    (VoucherState.ISSUED, VoucherEvent.VOIDED): VoucherState.VOIDED,
}
"""Every move there is; what is not here never happens."""

WHY: Final[Mapping[tuple[VoucherState, VoucherEvent], str]] = {
    (VoucherState.FREE, VoucherEvent.RESERVED): (
        "in the transaction that queues the first message that carries it; one per enrollment and "
        "offer, repeated unchanged in later steps"
    ),
    (VoucherState.RESERVED, VoucherEvent.ISSUED): (
        "in the transaction that claims the first message that carries it; its expiry is fixed "
        "then, and the code must be known to the shop outside the sandbox; once more by evidence "
        "that a message left which an operator had called not sent, with the expiry that it names"
    ),
    (VoucherState.RESERVED, VoucherEvent.RELEASED): (
        "the enrollment ended and nothing that carries it was sent: the code was never seen"
    ),
    (VoucherState.ISSUED, VoucherEvent.RETURNED): (
        "only if the very message that issued it was surely not sent and no other one that "
        "carries it left meanwhile; it stays with its enrollment"
    ),
    (VoucherState.ISSUED, VoucherEvent.REDEEMED): (
        "once, before its expiry; also while its message is unconfirmed, since the customer may "
        "well have it"
    ),
    (VoucherState.ISSUED, VoucherEvent.VOIDED): (
        "an operator took it back; the code is never given to anybody else"
    ),
}
"""Why each move is there, for readers."""


def move_on(state: VoucherState, event: VoucherEvent) -> VoucherState:
    """Give the state after an event; raises IllegalTransition when there is no such move."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition("voucher", state, event) from None


def sources_of(event: VoucherEvent) -> tuple[VoucherState, ...]:
    """Give the states in which an event may happen: what guarded updates ask for."""
    return tuple(state for state, known in TRANSITIONS if known is event)
