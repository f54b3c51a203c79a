"""How calls ended, the rows that take it down, and the one way in which results change them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.many import update_rows
from winback.database.tables import Message, table_of
from winback.delivery.composing import Claimed
from winback.delivery.gate import out_of_turn
from winback.delivery.machine import SETTLED, MessageEvent, move
from winback.delivery.run import Run
from winback.providers.outgoing import Result
from winback.states import EnrollmentState, MessageState


@dataclass(frozen=True, slots=True)
class NotCalled:
    """Claimed, and then nobody was called: it goes back as it was, due at once."""

    why: str
    again: bool = False
    """The same run claims it once more, with another last look."""


@dataclass(frozen=True, slots=True)
class Called:
    """How the call of one claimed message ended; cost and segments are what we counted."""

    claimed: Claimed
    result: Result | NotCalled
    segments: int | None = None
    cost: Decimal = Decimal(0)
    again_at: datetime | None = None
    """When the same run tries once more what a provider was too busy for."""


class Found(NamedTuple):
    """The row of a message that was called, as it stands; locked until its result is written."""

    id: int
    enrollment_id: int
    customer_id: int
    state: MessageState
    send_id: str
    reason: str
    claimed_at: datetime
    accepted_at: datetime | None
    settled_at: datetime | None
    drop_at: datetime
    contact_point_id: int | None
    step: str
    is_answer: bool
    campaign_version_id: int
    enrollment_state: EnrollmentState
    next_step: str | None
    is_asleep: bool
    is_any_closed: bool
    """Whether any channel is closed."""

    @property
    def out_of_turn(self) -> str:
        """Why its step would not leave if it went back; empty while it would, and for answers."""
        if self.is_answer:
            return ""
        return out_of_turn(
            self.step, self.next_step, state=self.enrollment_state, is_asleep=self.is_asleep
        )


Ended = tuple[Called, Found]
"""A result, and the row that it is written down in."""

Change = tuple[Found, MessageEvent, str, dict[str, Any]]
"""A row, what happened to it and why, and what else is set."""


def change_rows(session: Session, run: Run, changes: Sequence[Change]) -> None:
    """Move rows by one kind of event; all changes of a call set the same columns."""
    if not changes:
        return
    moved = [
        (row, event, why, values, move(row.state, event, message_id=row.id))
        for row, event, why, values in changes
    ]
    update_rows(
        session.connection(),
        table_of(Message),
        [
            {
                "b_id": row.id,
                "b_state": row.state,
                "b_send_id": row.send_id,
                "state": state,
                "reason": why,
                "settled_at": (row.settled_at or run.now) if state in SETTLED else None,
                **values,
            }
            for row, _, why, values, state in moved
        ],
    )
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": row.id,
                "from_state": row.state,
                "to_state": state,
                "event": event,
                "why": why,
                "at": run.now,
            }
            for row, event, why, _, state in moved
            if state is not row.state
        ],
    )
