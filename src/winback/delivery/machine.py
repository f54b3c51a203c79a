"""The machine of a message: what happens to one row of the outbox, and what news changes.

News of a provider comes in any order and more than once, so it is ranked: only a higher rank
changes the state, and every permutation of the same news ends in the same state (FACTS.md SG-23,
TW-14).
"""

from enum import StrEnum
from typing import Final

from winback.errors import IllegalTransition
from winback.states import EventKind, MessageState


class MessageEvent(StrEnum):
    """What the send path itself does to a message."""

    CLAIM = "claim"
    SKIP = "skip"
    CANCEL = "cancel"
    ACCEPT = "accept"
    REFUSE = "refuse"
    GIVE_BACK = "give_back"
    DOUBT = "doubt"


S, E = MessageState, MessageEvent

MOVES: Final[dict[tuple[MessageState, MessageEvent], MessageState]] = {
    (S.QUEUED, E.CLAIM): S.SENDING,
    (S.QUEUED, E.SKIP): S.SKIPPED,
    (S.QUEUED, E.CANCEL): S.CANCELED,
    (S.SENDING, E.ACCEPT): S.ACCEPTED,
    (S.SENDING, E.REFUSE): S.FAILED,
    # Surely not sent, and not because of this message: no connection, 429, account refused.
    (S.SENDING, E.GIVE_BACK): S.QUEUED,
    # A lost reply, a timeout, a 5xx or a dead worker; only evidence leads out (FACTS.md DS-4).
    (S.SENDING, E.DOUBT): S.UNCONFIRMED,
    # A webhook was faster than our own record of the call: the record adds its ids, no state.
    (S.ACCEPTED, E.ACCEPT): S.ACCEPTED,
    (S.DELIVERED, E.ACCEPT): S.DELIVERED,
    (S.BOUNCED, E.ACCEPT): S.BOUNCED,
    (S.FAILED, E.ACCEPT): S.FAILED,
    # The reply was lost, but a webhook had already told what became of the message.
    (S.ACCEPTED, E.DOUBT): S.ACCEPTED,
    (S.DELIVERED, E.DOUBT): S.DELIVERED,
    (S.BOUNCED, E.DOUBT): S.BOUNCED,
    (S.FAILED, E.DOUBT): S.FAILED,
    # A slow worker whose row was already given up as in doubt still knows how its call ended.
    (S.UNCONFIRMED, E.ACCEPT): S.ACCEPTED,
    (S.UNCONFIRMED, E.REFUSE): S.FAILED,
    (S.UNCONFIRMED, E.DOUBT): S.UNCONFIRMED,
}
"""(state, event) to state; what is not here is a bug."""

NEWS_STATE: Final[dict[EventKind, MessageState]] = {
    EventKind.ACCEPTED: S.ACCEPTED,
    EventKind.DEFERRED: S.ACCEPTED,
    EventKind.DELIVERED: S.DELIVERED,
    EventKind.BOUNCED: S.BOUNCED,
    # A block or a drop says nothing about the address: the message failed, no more.
    EventKind.BLOCKED: S.FAILED,
    EventKind.DROPPED: S.FAILED,
    EventKind.FAILED: S.FAILED,
    # Whatever a person or a machine does with a message proves that it left (FACTS.md DS-5).
    EventKind.OPENED: S.ACCEPTED,
    EventKind.CLICKED: S.ACCEPTED,
    EventKind.COMPLAINED: S.ACCEPTED,
    EventKind.UNSUBSCRIBED: S.ACCEPTED,
    EventKind.REPLIED: S.ACCEPTED,
    EventKind.REASON_GIVEN: S.ACCEPTED,
}
"""What a piece of news that carries our send id proves at least; unknown kinds prove nothing."""

RANK: Final[dict[MessageState, int]] = {
    # Given back as surely not sent, and yet there is evidence that it was: evidence wins (P1).
    S.QUEUED: 0,
    S.SENDING: 0,
    S.UNCONFIRMED: 0,
    S.ACCEPTED: 1,
    S.FAILED: 2,
    S.DELIVERED: 3,
    S.BOUNCED: 4,
}
"""How much is known; a skipped or canceled message was never on its way and has no rank."""

SETTLED: Final = frozenset({S.DELIVERED, S.BOUNCED, S.FAILED, S.SKIPPED, S.CANCELED})
"""States in which ``settled_at`` stands."""

IN_FLIGHT_OR_IN_DOUBT: Final = (S.SENDING, S.UNCONFIRMED)
"""States that count against caps although nobody knows yet (FACTS.md DS-16)."""


def move(
    state: MessageState, event: MessageEvent, *, message_id: int | None = None
) -> MessageState:
    """Give the state after an event; raises IllegalTransition for a move that is not foreseen."""
    try:
        return MOVES[state, event]
    except KeyError:
        raise IllegalTransition("message", state, event, message_id) from None


def after_news(state: MessageState, kind: EventKind) -> MessageState:
    """Give the state after a piece of news; the same state where it tells nothing higher."""
    told = NEWS_STATE.get(kind)
    if told is None or state not in RANK:
        return state
    return told if RANK[told] > RANK[state] else state
