"""The plain news, many at once: what most events of a day are, and none of them moves a person.

Accepted, deferred, delivered, opened: one statement for a batch instead of five for each. What
is anything but plain is left to ``acting``; the rule of ranks is the message machine's own.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select, update

from winback.database.history import record_moves
from winback.database.tables import Message, table_of
from winback.delivery.machine import NEWS_STATE, after_news
from winback.responses.hand import Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Known, Matched
from winback.states import EventKind, MessageState

_MESSAGES: Final = table_of(Message)
"""As a plain table: the session's own bulk update would want to know the rows."""
_OPEN: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("opened_id"), _MESSAGES.c.opened_at.is_(None))
    .values(opened_at=bindparam("at"))
)
_STILL_ACCEPTED: Final = (
    select(_MESSAGES.c.id)
    .where(
        _MESSAGES.c.id.in_(bindparam("ids", expanding=True)),
        _MESSAGES.c.state == MessageState.ACCEPTED,
    )
    .with_for_update()
)
_DELIVER: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("delivered_id"))
    .values(
        state=MessageState.DELIVERED,
        reason="",
        provider_code=bindparam("code"),
        settled_at=bindparam("at"),
    )
)
_PLAIN: Final = frozenset(
    {EventKind.ACCEPTED, EventKind.DEFERRED, EventKind.DELIVERED, EventKind.OPENED}
)
BY_ADDRESS: Final = (EventKind.BOUNCED, EventKind.DROPPED)
"""What may come without any id of ours, and still closes the message (FACTS.md SG-12b)."""


def apply_plain_news(hand: Hand, pairs: Sequence[tuple[Heard, Matched]]) -> set[int]:
    """Apply what is plain; gives the ids of the events that are thereby done.

    A delivery of what another applier has changed since it was matched is left to ``acting``,
    which looks at the message as it is now (FACTS.md SG-23).
    """
    done: set[int] = set()
    opened: dict[int, Heard] = {}
    delivered: dict[int, list[Heard]] = {}
    for event, matched in pairs:
        message = matched.message
        if event.suppression is not None:
            continue
        if event.kind in _PLAIN and says_nothing(event, matched):
            done.add(event.event_id)
            if event.kind is EventKind.OPENED and message and not event.is_machine:
                opened.setdefault(message.id, event)
        elif event.kind is EventKind.DELIVERED and message and _was_accepted(message):
            delivered.setdefault(message.id, []).append(event)
    _open(hand, opened)
    for message_id in _deliver(hand, {id_: events[0] for id_, events in delivered.items()}):
        done.update(event.event_id for event in delivered[message_id])
    return done


def says_nothing(event: Heard, matched: Matched) -> bool:
    """Say whether an event is no news about a message: states only rise, so it stays none.

    Whatever a person does with a message proves that it left; a text that came from a number
    proves nothing about one that was sent there. What failed and never left as far as we know may
    have been called not sent by an operator: any proof is news of it (FACTS.md DS-7).
    """
    message = matched.message
    if message is None or event.kind not in NEWS_STATE:
        return True
    if not matched.is_proof and event.kind not in BY_ADDRESS:
        return True
    if message.state is MessageState.FAILED and message.accepted_at is None:
        return False
    is_known = message.provider_message_id is not None or event.provider_message_id is None
    return is_known and after_news(message.state, event.kind) is message.state


def _was_accepted(message: Known) -> bool:
    return (
        message.state is MessageState.ACCEPTED
        and message.accepted_at is not None
        and message.provider_message_id is not None
    )


def _open(hand: Hand, opened: dict[int, Heard]) -> None:
    """Keep the first open of each message; recorded, and nothing more."""
    if opened:
        hand.session.connection().execute(
            _OPEN, [{"opened_id": id_, "at": event.at} for id_, event in opened.items()]
        )


def _deliver(hand: Hand, delivered: dict[int, Heard]) -> Sequence[int]:
    """Deliver what is accepted still; gives the ids of these messages."""
    if not delivered:
        return ()
    connection = hand.session.connection()
    # Locked first, so that the history names only what truly moved.
    ids = connection.scalars(_STILL_ACCEPTED, {"ids": list(delivered)}).all()
    if not ids:
        return ()
    connection.execute(
        _DELIVER,
        [
            {
                "delivered_id": id_,
                "code": delivered[id_].code or None,
                "at": delivered[id_].at,
            }
            for id_ in ids
        ],
    )
    record_moves(
        hand.session,
        [
            {
                "thing": "message",
                "thing_id": id_,
                "from_state": MessageState.ACCEPTED,
                "to_state": MessageState.DELIVERED,
                "event": EventKind.DELIVERED,
                "why": delivered[id_].reason,
                "at": delivered[id_].at,
            }
            for id_ in ids
        ],
    )
    return ids
