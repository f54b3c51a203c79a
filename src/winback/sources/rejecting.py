"""Keep the rows that could not be taken, and let go of them when they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, cast, delete, literal, select, true
from sqlalchemy.dialects.postgresql import JSONB

from winback.database.bulk import Cell
from winback.database.tables import RejectedRow
from winback.sources.protocol import Part
from winback.sources.staging import BATCH, INSERTS, rejected, write_staged

_COLUMNS: Final = ("place", "row_hash", "external_id", "waits_for", "reason", "row")
_LONGEST_VALUE: Final = 500


@dataclass(slots=True)
class Rejects:
    """The rejected rows of one slice: staged as they come, kept when the slice is taken."""

    connection: Connection
    source: str
    part: Part
    path: str
    count: int = 0
    _waiting: list[tuple[Cell, ...]] = field(default_factory=list)

    def copy(self) -> "Rejects":
        """Give another one that goes on from here, for a transaction that may begin again."""
        return replace(self, _waiting=[*self._waiting])

    def add(
        self,
        key: int | str,
        reason: str,
        row: Mapping[str, str],
        *,
        external_id: str | None = None,
        waits_for: str | None = None,
    ) -> None:
        """Note one row with its reason; ``key`` is its line, or its place in full."""
        # A NUL cannot stand in PostgreSQL's text; a whole file in one value is of no help.
        longest = None if waits_for else _LONGEST_VALUE
        shown = {
            str(name).replace("\0", "�"): str(value).replace("\0", "�")[:longest]
            for name, value in row.items()
        }
        written = json.dumps(shown, ensure_ascii=False)
        digest = blake2b(f"{reason}\x1f{written}".encode(), digest_size=16).hexdigest()
        place = f"{self.path}:{key}" if isinstance(key, int) else key
        self._waiting.append((place, digest, external_id, waits_for, reason, written))
        self.count += 1
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is noted to its temporary table; not while a COPY runs."""
        write_staged(self.connection, rejected, _COLUMNS, self._waiting)
        self._waiting = []

    def forget(
        self, *, is_whole: bool, first_line: int, but: ColumnElement[bool] | None = None
    ) -> None:
        """Let go of what stood where this slice was read; ``but`` names rows that still hold."""
        place = (
            RejectedRow.place.startswith(f"{self.path}:", autoescape=True)
            if is_whole
            else RejectedRow.place == f"{self.path}:{first_line}"
        )
        condition = place if but is None else place & ~but
        self.connection.execute(delete(RejectedRow).where(self._mine(), condition))

    def forget_ids(self, ids: ColumnElement[bool]) -> None:
        """Let go of rows by their ids, wherever they stood."""
        self.connection.execute(
            delete(RejectedRow).where(self._mine(), RejectedRow.external_id.is_not(None), ids)
        )

    def any_kept(self) -> bool:
        """Say whether there are rejected rows of this part at all: mostly there are none."""
        mine = {"of_source": self.source, "of_part": self.part}
        return self.connection.execute(_ANY_KEPT, mine).first() is not None

    def keep(self, now: datetime) -> None:
        """Keep what is staged."""
        self.flush()
        if not self.count:
            return
        row = rejected.c.row
        chosen = select(
            literal(self.source),
            literal(self.part),
            rejected.c.place,
            rejected.c.row_hash,
            rejected.c.external_id,
            rejected.c.waits_for,
            rejected.c.reason,
            cast(row, JSONB) if self.connection.dialect.name == "postgresql" else row,
            literal(now, RejectedRow.rejected_at.type),
        ).where(true())
        insert = INSERTS[self.connection.dialect.name]
        self.connection.execute(
            insert(RejectedRow)
            .from_select(["source", "part", *_COLUMNS, "rejected_at"], chosen)
            .on_conflict_do_nothing(index_elements=["source", "part", "place", "row_hash"])
        )

    def _mine(self) -> ColumnElement[bool]:
        return (RejectedRow.source == self.source) & (RejectedRow.part == self.part)


_ANY_KEPT: Final = (
    select(RejectedRow.id)
    .where(RejectedRow.source == bindparam("of_source"), RejectedRow.part == bindparam("of_part"))
    .limit(1)
)


def waiting_condition(source: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Give the SQL condition: a rejected purchase that waits for its customer."""
    return (
        (RejectedRow.source == source)
        & (RejectedRow.part == "purchases")
        & RejectedRow.waits_for.is_not(None)
    )
