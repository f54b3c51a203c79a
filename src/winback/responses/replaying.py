"""Dead letters: events that could not be read, and setting them back to be read anew.

What was missing is mended elsewhere, in the reader or at the provider; then they are applied as
if they had just come in. An event that was applied is never set back (FACTS.md DS-13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from winback import errors
from winback.database.tables import Event, table_of
from winback.logs import redact
from winback.states import EventState

_CHUNK: Final = 1_000
_EVENTS: Final = table_of(Event)
_DEAD: Final = (
    select(_EVENTS.c.id, _EVENTS.c.origin, _EVENTS.c.received_at, _EVENTS.c.error)
    .where(_EVENTS.c.state == EventState.DEAD)
    .order_by(_EVENTS.c.id)
)
_SET_BACK: Final = (
    update(_EVENTS)
    .where(_EVENTS.c.state == EventState.DEAD)
    .values(state=EventState.RECEIVED, error="", applied_at=None)
    .returning(_EVENTS.c.id)
)


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """One event that could not be read, without a word of what stands in it."""

    id: int
    origin: str
    received_at: datetime
    why: str
    """The kind of the error, and what it says where it is one of ours."""


def dead_events(session: Session) -> list[DeadEvent]:
    """Give the events that could not be read, in the order in which they came."""
    return [
        DeadEvent(row.id, row.origin, row.received_at, _why(row.error))
        for row in session.connection().execute(_DEAD)
    ]


def replay(session: Session, *, ids: Sequence[int] = (), origin: str | None = None) -> int:
    """Let dead events wait to be applied anew: all, those of an origin, or these; gives how many.

    May be repeated: what is waiting or was applied is left as it is.
    """
    statement = _SET_BACK if origin is None else _SET_BACK.where(_EVENTS.c.origin == origin)
    if not ids:
        return len(session.connection().scalars(statement).all())
    return sum(
        len(session.connection().scalars(statement.where(_EVENTS.c.id.in_(some))).all())
        for some in (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
    )


def _why(error: str) -> str:
    """Say what was wrong; the text of an error that is not ours may quote the event."""
    kind = error.partition(":")[0]
    return redact(error) if isinstance(getattr(errors, kind, None), type) else kind
