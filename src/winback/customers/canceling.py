"""Cancel queued messages, with their history: for whoever ends or moves what they belong to."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, or_, update
from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.tables import Message, table_of
from winback.states import MessageState


class Which(Enum):
    """Which of the queued messages are canceled."""

    ALL = auto()
    OF_THE_TIMELINE = auto()
    """Not the answers: they are still owed."""
    NOT_OF_NOW = auto()
    """All but an answer that was queued at this very instant: it belongs to what happens now."""


def cancel_queued(
    session: Session,
    enrollment_ids: Collection[int],
    *,
    now: datetime,
    why: str,
    which: Which = Which.ALL,
) -> int:
    """Cancel queued messages of enrollments, all or which; gives how many.

    One that is being sent is left alone: whether it went is decided by the provider.
    """
    values = {"ids": enrollment_ids, "at": now, "why": why}
    canceled = session.connection().scalars(_CANCEL[which], values).all()
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": message_id,
                "from_state": MessageState.QUEUED,
                "to_state": MessageState.CANCELED,
                "event": "canceled",
                "why": why,
                "at": now,
            }
            for message_id in canceled
        ],
    )
    return len(canceled)


_MESSAGES: Final = table_of(Message)
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_NO_ANSWER: Final = _MESSAGES.c.is_answer.is_(False)
_ALL: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.enrollment_id.in_(_IDS), _MESSAGES.c.state == MessageState.QUEUED)
    .values(state=MessageState.CANCELED, reason=bindparam("why"), settled_at=bindparam("at"))
    .returning(_MESSAGES.c.id)
)
_CANCEL: Final[Mapping[Which, Any]] = {
    Which.ALL: _ALL,
    Which.OF_THE_TIMELINE: _ALL.where(_NO_ANSWER),
    Which.NOT_OF_NOW: _ALL.where(or_(_NO_ANSWER, _MESSAGES.c.queued_at < bindparam("at"))),
}
