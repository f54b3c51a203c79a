"""How far the suppression lists of a provider were read: rows of ``source_watermarks``.

``size`` is the second up to which a list is known, ``pulled_at`` when it was last asked for. Of a
round that stopped halfway, ``fingerprint`` is the second that it reads up to, and ``line`` how many
entries of it are taken; a list that is not for our key has a word there instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.tables import SourceWatermark, table_of

PART: Final = "suppressions"

AGAIN_AFTER: Final = timedelta(hours=20)
"""A list is asked for once a day, and not missed by a day that begins a little earlier."""

OVERLAP: Final = timedelta(days=1)
"""So much of what is known is read again: an entry may show up late."""

_REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class ListMark:
    """How far one list was read, all in whole seconds of the epoch."""

    name: str
    known_until: int = 0
    reading_until: int | None = None
    taken: int = 0
    is_refused: bool = False
    asked_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Say whether it is to be asked for again."""
        return self.asked_at is None or self.asked_at <= now - AGAIN_AFTER

    @property
    def since(self) -> int | None:
        """From when on entries are to be read; None: all that there are."""
        if not self.known_until:
            return None
        return max(0, self.known_until - int(OVERLAP.total_seconds()))

    def begun(self, now: datetime) -> "ListMark":
        """Give the mark of a round, the one that stopped halfway if there is one."""
        begun = replace(self, asked_at=now, is_refused=False)
        if self.reading_until is not None:
            return begun
        return replace(begun, reading_until=int(now.timestamp()), taken=0)

    def left(self, now: datetime) -> "ListMark":
        """Give the mark of a list that is left alone this time."""
        return replace(self, asked_at=now)

    def passed(self, entries: int) -> "ListMark":
        """Give the mark after so many entries more."""
        return replace(self, taken=self.taken + entries)

    def ended(self) -> "ListMark":
        """Give the mark after the last page."""
        known = self.reading_until or self.known_until
        return replace(self, known_until=known, reading_until=None, taken=0)

    def refused(self) -> "ListMark":
        """Give the mark of a list that is not for our key; a later round begins anew."""
        return replace(self, reading_until=None, taken=0, is_refused=True)


_MARKS: Final = table_of(SourceWatermark)
_READ: Final = select(
    _MARKS.c.path, _MARKS.c.size, _MARKS.c.line, _MARKS.c.fingerprint, _MARKS.c.pulled_at
).where(_MARKS.c.source == bindparam("source"), _MARKS.c.part == PART)
_KEEP: Final = on_conflict(
    insert(_MARKS),
    "source",
    "part",
    "path",
    replaces=("size", "line", "fingerprint", "pulled_at"),
)
_REFUSING: Final = (
    select(_MARKS.c.source, _MARKS.c.path)
    .where(_MARKS.c.part == PART, _MARKS.c.fingerprint == _REFUSED)
    .order_by(_MARKS.c.source, _MARKS.c.path)
)


def read_marks(session: Session, source: str) -> dict[str, ListMark]:
    """Give the marks of a provider's lists by their names."""
    return {
        name: ListMark(
            name,
            known_until=size,
            reading_until=int(told) if told.isdecimal() else None,
            taken=line,
            is_refused=told == _REFUSED,
            asked_at=pulled_at,
        )
        for name, size, line, told, pulled_at in session.connection().execute(
            _READ, {"source": source}
        )
    }


def keep_marks(session: Session, source: str, marks: Iterable[ListMark]) -> None:
    """Keep marks; each replaces the one that was there."""
    rows = [
        {
            "source": source,
            "part": PART,
            "path": mark.name,
            "size": mark.known_until,
            "line": mark.taken,
            "fingerprint": _REFUSED if mark.is_refused else str(mark.reading_until or ""),
            "pulled_at": mark.asked_at,
        }
        for mark in marks
    ]
    if rows:
        session.connection().execute(_KEEP, rows)


def find_refused(session: Session) -> dict[str, str]:
    """Give the alert, key and sentence, of lists that our key may not read; empty: it may."""
    found = session.execute(_REFUSING).tuples().all()
    if not found:
        return {}
    names = ", ".join(name for _, name in found)
    says = (
        f"the key may not read suppression lists of {found[0][0]} ({names}): who is on one only "
        "there is learned when a mail to them is dropped; give the key the right to read "
        "suppressions and unsubscribe groups"
    )
    return {"lists:refused": says}
