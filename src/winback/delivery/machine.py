"""The machine of a message: what happens to one row of the outbox, and what news changes.

News of a provider comes in any order and more than once, so it is ranked: only a higher rank
changes the state, and every permutation of the same news ends in the same state (FACTS.md SG-23,
TW-14).
"""

from collections.abc import Mapping
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
    SETTLE_ACCEPTED = "settle_accepted"
    SETTLE_NOT_SENT = "settle_not_sent"


S, E = MessageState, MessageEvent

_KNOWN: Final = (S.ACCEPTED, S.DELIVERED, S.BOUNCED, S.FAILED)
"""What a webhook may have told before the call's own result was noted."""

TRANSITIONS: Final[Mapping[tuple[MessageState, MessageEvent], MessageState]] = {
    (S.QUEUED, E.CLAIM): S.SENDING,
    (S.QUEUED, E.SKIP): S.SKIPPED,
    (S.QUEUED, E.CANCEL): S.CANCELED,
    (S.SENDING, E.ACCEPT): S.ACCEPTED,
    (S.SENDING, E.REFUSE): S.FAILED,
    (S.SENDING, E.GIVE_BACK): S.QUEUED,
    (S.SENDING, E.DOUBT): S.UNCONFIRMED,
    (S.UNCONFIRMED, E.ACCEPT): S.ACCEPTED,
    (S.UNCONFIRMED, E.SETTLE_ACCEPTED): S.ACCEPTED,
    (S.UNCONFIRMED, E.SETTLE_NOT_SENT): S.FAILED,
} | {(state, E.ACCEPT): state for state in _KNOWN}
"""Every move that the send path makes itself; what is not here is a bug."""

WHY: Final[Mapping[tuple[MessageState, MessageEvent], str]] = {
    (S.QUEUED, E.CLAIM): "the last look let it go; its send id is committed before the call",
    (S.QUEUED, E.SKIP): "the gate said never; the reason is kept",
    (S.QUEUED, E.CANCEL): "the enrollment ended, sleeps, jumped ahead or is in a person's hands",
    (S.SENDING, E.REFUSE): "the provider surely did not take it and never will",
    (S.SENDING, E.GIVE_BACK): (
        "surely not sent, and not because of this message: no connection, too many requests, or "
        "the account or sender was refused, which pauses the channel, or the country where the "
        "sender is refused in that one only"
    ),
    (S.SENDING, E.DOUBT): (
        "a lost reply, a timeout, an error of their server or a dead worker: perhaps sent, so "
        "never sent again; only evidence leads out"
    ),
    (S.UNCONFIRMED, E.ACCEPT): (
        "a worker that was given up as dead still knew that its call went through; its refusal "
        "would change nothing, since the doubt was told and may have been acted on"
    ),
    (S.UNCONFIRMED, E.SETTLE_ACCEPTED): "an operator found it at the provider, or with the reader",
    (S.UNCONFIRMED, E.SETTLE_NOT_SENT): (
        "an operator found that it never left; the step is passed and not sent on any channel, and "
        "its code goes back"
    ),
} | {(state, E.ACCEPT): "news was faster than our own record; it stays" for state in _KNOWN}
"""Why each move is there, for readers."""

NEWS_STATE: Final[Mapping[EventKind, MessageState]] = {
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

RANK: Final[Mapping[MessageState, int]] = {
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
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition("message", state, event, message_id) from None


def after_news(state: MessageState, kind: EventKind) -> MessageState:
    """Give the state after a piece of news; the same state where it tells nothing higher."""
    told = NEWS_STATE.get(kind)
    if told is None or state not in RANK:
        return state
    return told if RANK[told] > RANK[state] else state
