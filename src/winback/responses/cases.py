"""Open cases: what waits for an associate. A repeat opens no second one."""

from typing import Final

from sqlalchemy import insert

from winback.database.bulk import on_conflict
from winback.database.history import record_move
from winback.database.tables import Case, table_of
from winback.responses.hand import Hand
from winback.states import CaseKind, CaseState

_OPEN: Final = on_conflict(insert(table_of(Case)), "key").returning(table_of(Case).c.id)
_KEPT: Final = 20_000
"""Characters of a reply that a case shows; the whole stands on the event."""


def open_case(
    hand: Hand,
    key: str,
    *,
    kind: CaseKind,
    customer_id: int,
    enrollment_id: int | None,
    event_id: int | None,
    label: str,
    text: str,
) -> int | None:
    """Open a case; gives its id, or None when its key had opened one before."""
    row = {
        "key": key,
        "kind": kind,
        "state": CaseState.OPEN,
        "customer_id": customer_id,
        "enrollment_id": enrollment_id,
        "event_id": event_id,
        "label": label,
        # PostgreSQL takes no NUL in a text; nobody wrote one on purpose.
        "text": text.replace("\x00", "")[:_KEPT],
        "opened_at": hand.now,
    }
    case_id: int | None = hand.session.connection().scalar(_OPEN, row)
    if case_id is not None:
        record_move(
            hand.session,
            "case",
            case_id,
            from_state=None,
            to_state=CaseState.OPEN,
            event="opened",
            at=hand.now,
            why=label,
        )
    return case_id
