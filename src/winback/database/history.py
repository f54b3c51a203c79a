"""Append to the history and to the decisions: what moved, and what was decided and why.

Both grow with every message, so they are written without the machinery that objects need. Rows
of one call have the same keys.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from winback.database.many import insert_rows
from winback.database.tables import Decision, Move, table_of

_MOVES: Final = table_of(Move)
_DECISIONS: Final = table_of(Decision)


def record_moves(session: Session, moves: Sequence[Mapping[str, Any]]) -> None:
    """Append moves; keys as the columns of ``moves``, without the id."""
    if moves:
        insert_rows(session.connection(), _MOVES, moves)


def record_move(
    session: Session,
    thing: str,
    thing_id: int,
    *,
    from_state: str | None,
    to_state: str,
    event: str,
    at: datetime,
    why: str = "",
) -> None:
    """Append one move of an enrollment, message, voucher or case."""
    record_moves(
        session,
        [
            {
                "thing": thing,
                "thing_id": thing_id,
                "from_state": from_state,
                "to_state": to_state,
                "event": event,
                "why": why,
                "at": at,
            }
        ],
    )


def record_decisions(session: Session, decisions: Sequence[Mapping[str, Any]]) -> None:
    """Append decisions; keys as the columns of ``decisions``, without the id."""
    if decisions:
        insert_rows(session.connection(), _DECISIONS, decisions)


def record_decision(
    session: Session,
    customer_id: int,
    *,
    what: str,
    why: str,
    at: datetime,
    campaign: str | None = None,
    enrollment_id: int | None = None,
) -> None:
    """Append one decision; ``why`` is a sentence for the person who asks, without personal data."""
    record_decisions(
        session,
        [
            {
                "customer_id": customer_id,
                "campaign": campaign,
                "enrollment_id": enrollment_id,
                "what": what,
                "why": why,
                "at": at,
            }
        ],
    )
