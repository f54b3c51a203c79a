"""Messages that could not be prepared: something in our own house is broken about just them.

They wait, and are tried again on the next day, until they are stale. Why stands in the log.
"""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.database.tables import Message
from winback.states import MessageState

UNPREPARED: Final = "cannot be prepared: "
"""How the reason of such a message begins; the kind of error follows."""


def read_unprepared(session: Session) -> list[int]:
    """Give the ids of the messages that wait because they could not be prepared, in order."""
    return list(session.scalars(_UNPREPARED))


_UNPREPARED: Final = (
    select(Message.id)
    .where(Message.state == MessageState.QUEUED, Message.reason.startswith(UNPREPARED))
    .order_by(Message.id)
)
