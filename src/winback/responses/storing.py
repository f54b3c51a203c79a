"""Keep what was reported, raw and once: stored and committed before anybody is answered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import insert
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.tables import Event, table_of
from winback.states import EventKind, EventState

_KEEP_NEW: Final = on_conflict(insert(table_of(Event)), "key").returning(table_of(Event).c.id)
"""One statement for any number of rows, each of them once by its key."""


class Raw(Protocol):
    """One raw record, as ``providers.incoming`` splits it off a request."""

    @property
    def key(self) -> str:
        """What makes it one fact."""

    @property
    def origin(self) -> str:
        """Where it came in."""

    @property
    def body(self) -> dict[str, Any]:
        """The single record."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """What a person did on a page of ours, or on a link."""

    key: str
    kind: EventKind
    message_id: int
    said: dict[str, Any] = field(default_factory=dict)
    origin: str = "page"


def store_events(session: Session, raws: Sequence[Raw], now: datetime) -> list[int]:
    """Store raw records; gives the ids of those that are new. Safe to repeat (FACTS.md SG-22)."""
    rows = [
        {
            "key": raw.key,
            "origin": raw.origin,
            "body": raw.body,
            "received_at": now,
            "state": EventState.RECEIVED,
        }
        for raw in raws
    ]
    return _insert(session, rows)


def store_page(session: Session, stored: StoredPage, now: datetime) -> list[int]:
    """Store what a person did on one of our pages; gives its id where it is new."""
    row = {
        "key": stored.key,
        "origin": stored.origin,
        "kind": stored.kind,
        "body": stored.said,
        "message_id": stored.message_id,
        "occurred_at": now,
        "received_at": now,
        "state": EventState.RECEIVED,
    }
    return _insert(session, [row])


def _insert(session: Session, rows: list[dict[str, Any]]) -> list[int]:
    if not rows:
        return []
    connection = session.connection()
    return sorted(connection.scalars(_KEEP_NEW, rows))
