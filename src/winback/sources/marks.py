"""The watermarks of a source: how far each file or query was read, moved with the rows."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from winback.database.bulk import on_conflict
from winback.database.tables import SourceWatermark, table_of
from winback.sources.protocol import Mark, Part

_KEEP_MARK: Final = on_conflict(
    insert(table_of(SourceWatermark)),
    "source",
    "part",
    "path",
    replaces=("size", "line", "fingerprint", "pulled_at"),
)
Marks = Mapping[tuple[Part, str], Mark]
"""How far each file, or the query, of each part was read."""
_MARKS: Final = select(
    SourceWatermark.part,
    SourceWatermark.path,
    SourceWatermark.size,
    SourceWatermark.line,
    SourceWatermark.fingerprint,
    SourceWatermark.pulled_at,
).where(SourceWatermark.source == bindparam("source"))


def marks_of(connection: Connection, source: str) -> Marks:
    """Give how far a source was read."""
    rows = connection.execute(_MARKS, {"source": source})
    return {
        (row.part, row.path): Mark(row.size, row.line, row.fingerprint, row.pulled_at)
        for row in rows
    }


def keep_mark(connection: Connection, source: str, part: Part, *, path: str, mark: Mark) -> None:
    """Keep how far one file or query was read."""
    kept = {
        "source": source,
        "part": part,
        "path": path,
        "size": mark.size,
        "line": mark.line,
        "fingerprint": mark.fingerprint,
        "pulled_at": mark.pulled_at,
    }
    connection.execute(_KEEP_MARK, kept)
