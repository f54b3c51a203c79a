"""Write many rows at once: ``executemany`` on SQLite, COPY or a plain insert on PostgreSQL.

Rows of ``write_rows`` are tuples of text, whole numbers and None, already in the form that the
column types store (instants as ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC, amounts as ten-thousandths,
flags as 0 or 1).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, insert, text

from winback.database.tables import Table, table_of

Cell = str | int | None
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def on_conflict(statement: Insert, *keys: str, replaces: Sequence[str] = ()) -> Insert:
    """Give an insert that skips rows whose keys are known, or replaces the columns named.

    Without keys, every unique index counts. SQLite and PostgreSQL write this alike. The inserts
    of SQLAlchemy's two dialects do the same, but are compiled anew each time they are run: a
    clause given as text is what lets the compiled statement be kept.
    """
    target = f" ({', '.join(keys)})" if keys else ""
    changes = ", ".join(f"{name} = excluded.{name}" for name in replaces)
    doing = f"DO UPDATE SET {changes}" if changes else "DO NOTHING"
    chosen = statement.execution_options()  # a copy
    chosen._post_values_clause = text(f"ON CONFLICT{target} {doing}")  # noqa: SLF001 - as dialects do
    return chosen


@cache
def insert_new(mapped: type[Table]) -> Insert:
    """Give the statement that inserts rows which break no unique index, and skips the others."""
    return on_conflict(insert(table_of(mapped)))


def write_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> None:
    """Append rows to a table; both names come from our own code, never from outside."""
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, rows)
        return
    driver: Any = connection.connection.driver_connection
    text = _copy_text(rows)
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        copy.write(text.encode())


def _copy_text(rows: Sequence[Sequence[Cell]]) -> str:
    """Give rows in COPY's text format.

    Almost no row holds a sign that COPY minds: all are written at once, and only where the
    counts of these signs are not what they must be, each row is looked at alone.
    """
    width = len(rows[0])
    form = "\t".join(["%s"] * width) + "\n"
    text = "".join([form % row for row in map(tuple, rows)])
    is_plain = (
        "\\" not in text
        and "\r" not in text
        and text.count("\n") == len(rows)
        and text.count("\t") == len(rows) * (width - 1)
        and "None" not in text
    )
    return text if is_plain else "".join([_copy_line(row) for row in rows])


def _copy_line(row: Sequence[Cell]) -> str:
    """Give a row in COPY's text format."""
    cells = ["\\N" if cell is None else cell if type(cell) is str else str(cell) for cell in row]
    line = "\t".join(cells)
    # Almost no row holds one of the signs that COPY minds: count them over the whole row, and
    # look at single cells only where there are more than we wrote ourselves.
    if (
        line.count("\t") == len(cells) - 1
        and line.count("\\") == row.count(None)
        and "\n" not in line
        and "\r" not in line
    ):
        return line + "\n"
    escaped = ["\\N" if cell is None else str(cell).translate(_ESCAPES) for cell in row]
    return "\t".join(escaped) + "\n"
