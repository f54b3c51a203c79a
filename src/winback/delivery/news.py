"""Apply what a provider reports about one message: ranked, so that order does not matter.

News that carries our send id is evidence: it settles a doubt, repairs the row and sends nothing
(FACTS.md DS-5, DS-7). The step that a late acceptance stands for is passed by the next send run
(``doubting.settle_doubts``), which knows the business's day.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Update, bindparam, case, exists, select, update
from sqlalchemy.orm import Session

from winback.database.history import record_move
from winback.database.tables import Message, Move, table_of
from winback.database.types import Utc
from winback.delivery.machine import (
    IN_FLIGHT_OR_IN_DOUBT,
    NEWS_STATE,
    SETTLED,
    MessageEvent,
    after_news,
)
from winback.states import EventKind, MessageState

S = MessageState

OnProof = Callable[[Session, int], None]
"""Takes the id of a message that was proven to have left."""


def apply_news(
    session: Session,
    message_id: int,
    kind: EventKind,
    *,
    at: datetime,
    code: str = "",
    reason: str = "",
    provider_message_id: str | None = None,
    on_proof: OnProof | None = None,
) -> bool:
    """Take one piece of news about a message; True if its state changed.

    Safe to repeat and in any order. ``at`` is when it happened. ``on_proof`` puts right what else
    hangs on a message of which nobody knew until now that it left.
    """
    connection = session.connection()
    row = connection.execute(_KNOWN, {"message_id": message_id}).one_or_none()
    if row is None or kind not in NEWS_STATE:
        return False
    # An operator's word that it was not sent is no news of a provider, and has no rank.
    known = S.UNCONFIRMED if _was_called_not_sent(session, message_id, row) else row.state
    to_state = after_news(known, kind)
    values: dict[str, object] = {}
    if row.provider_message_id is None and provider_message_id:
        values["provider_message_id"] = provider_message_id
    if to_state is not row.state:
        values |= {
            "state": to_state,
            "reason": reason if to_state in _NEEDS_REASON else "",
            "provider_code": code or None,
            "settled_at": at if to_state in SETTLED else None,
            # What was asked of its provider before was another question.
            "looks": 0,
            "look_at": None,
        }
    if values:
        connection.execute(
            _change(tuple(values)), {"b_id": message_id, "b_state": row.state, **values}
        )
    if to_state is row.state:
        return False
    if row.accepted_at is None:
        connection.execute(_ACCEPTED, {"b_id": message_id, "at": at})
        if on_proof is not None:
            on_proof(session, message_id)
    record_move(
        session,
        "message",
        message_id,
        from_state=row.state,
        to_state=to_state,
        event=kind,
        at=at,
        why=reason,
    )
    return True


def _was_called_not_sent(session: Session, message_id: int, row: Row[Any]) -> bool:
    if row.state is not S.FAILED or row.accepted_at is not None:
        return False
    last = session.connection().scalars(_LAST_MOVE, {"message_id": message_id}).first()
    return last == MessageEvent.SETTLE_NOT_SENT


_NEEDS_REASON: Final = (MessageState.FAILED, MessageState.BOUNCED)

_MOVES: Final = table_of(Move)
_LAST_MOVE: Final = (
    select(_MOVES.c.event)
    .where(_MOVES.c.thing == "message", _MOVES.c.thing_id == bindparam("message_id"))
    .order_by(_MOVES.c.id.desc())
    .limit(1)
)
_MESSAGES: Final = table_of(Message)
_KNOWN: Final = (
    select(_MESSAGES.c.state, _MESSAGES.c.accepted_at, _MESSAGES.c.provider_message_id)
    .where(_MESSAGES.c.id == bindparam("message_id"))
    .with_for_update()
)


@cache
def _change(columns: tuple[str, ...]) -> Update:
    """Give the guarded update that sets these columns: there are three such sets."""
    return (
        update(_MESSAGES)
        .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.state == bindparam("b_state"))
        .values({name: bindparam(name) for name in columns})
    )


def _accepted_once() -> Update:
    """Note that the provider took it, unless another row of the step already stands for that.

    Only news about a message that was refused at the call can come so late that the step went
    out on its other channel meanwhile; the index that is promise P1 would refuse a second one.
    """
    mine, other = _MESSAGES.alias(), _MESSAGES.alias()
    has_other = exists(
        select(other.c.id)
        .join(
            mine,
            (mine.c.enrollment_id == other.c.enrollment_id) & (mine.c.step == other.c.step),
        )
        .where(
            mine.c.id == bindparam("b_id"),
            other.c.id != bindparam("b_id"),
            other.c.accepted_at.is_not(None)
            | other.c.state.in_((MessageState.QUEUED, *IN_FLIGHT_OR_IN_DOUBT)),
        )
    )
    return (
        update(_MESSAGES)
        .where(_MESSAGES.c.id == bindparam("b_id"))
        .values(accepted_at=case((has_other, None), else_=bindparam("at", type_=Utc())))
    )


_ACCEPTED: Final = _accepted_once()
