"""Append to the history and to the decisions: what moved, and what was decided and why."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from winback.database.tables import Decision, Move


def record_moves(session: Session, moves: Sequence[dict[str, object]]) -> None:
    """Append moves; keys as the columns of ``moves``, without the id."""
    if moves:
        session.execute(insert(Move), moves)


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
    session.execute(
        insert(Decision).values(
            customer_id=customer_id,
            campaign=campaign,
            enrollment_id=enrollment_id,
            what=what,
            why=why,
            at=at,
        )
    )
