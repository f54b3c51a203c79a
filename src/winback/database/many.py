"""Write many rows in one statement, with little work for each: what every message costs.

SQLAlchemy's own ``executemany`` makes parameters for each row anew, and psycopg sends each as a
statement of its own. Here SQLite gets plain tuples, and PostgreSQL all rows in one JSON document,
which it reads as a table; what is JSON itself comes beside it, one a line, so that it is read once
and not three times. Column types mean what they mean everywhere else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import JSON, Connection, Dialect, Table

from winback.database.types import Amount, Utc
from winback.money import to_units

_WHERE: Final = "b_"
"""What the columns that an update compares begin with in its rows."""

_LINES: Final = "l_"
"""What the parameters begin with that hold a column's documents."""

Values = list[Any]


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    skips_known: bool = False,
) -> None:
    """Append rows, all with the same keys, in their order; defaults are the database's own.

    With ``skips_known``, a row that breaks a unique index is left out.
    """
    if rows:
        dialect = connection.dialect
        sql = _insert_sql(table, tuple(rows[0]), dialect, skips_known=skips_known)
        _execute(connection, table, rows, sql=sql)


def update_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows by conditions of their own; all have the same keys.

    A key ``b_id`` is compared with the column ``id``, a key ``state`` is what the column
    ``state`` becomes: an update is guarded by the keys that begin so. Where a column may be
    empty, None is compared as any value. No two rows may mean the same one.
    """
    if rows:
        sql = _update_sql(table, tuple(rows[0]), connection.dialect)
        _execute(connection, table, rows, sql=sql)


def _execute(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, sql: str
) -> None:
    if connection.dialect.name == "sqlite":
        columns = [
            _stored(table, name, connection.dialect, [row[name] for row in rows])
            for name in _in_order(rows[0])
        ]
        connection.exec_driver_sql(sql, list(zip(*columns, strict=True)))
    else:
        documents, others = _parted(table, rows[0])
        beside = {f"{_LINES}{name}": _lines(row[name] for row in rows) for name in documents}
        if documents:
            rows = [{name: row[name] for name in others} for row in rows]
        written = orjson.dumps(_plain(table, rows)).decode()
        connection.exec_driver_sql(sql, {"rows": written, **beside})


def _parted(table: Table, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell the columns that hold JSON from the others."""
    documents: list[str] = []
    others: list[str] = []
    for name in names:
        (documents if isinstance(_type_of(table, name), JSON) else others).append(name)
    return documents, others


def _lines(documents: Iterable[Any]) -> str:
    """Write documents one a line, an empty one for None; none has a line break of its own."""
    return b"\n".join(b"" if one is None else orjson.dumps(one) for one in documents).decode()


def _plain(table: Table, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Give rows as JSON can write them; words and instants it knows how to write itself."""
    for name in rows[0]:
        kind = _type_of(table, name)
        if isinstance(kind, Utc) and any(
            one is not None and one.tzinfo is None for one in {row[name] for row in rows}
        ):
            raise ValueError("a naive time cannot be stored")
        if isinstance(kind, Amount):
            rows = [
                {**row, name: None if row[name] is None else to_units(row[name])} for row in rows
            ]
    return rows


def _stored(table: Table, name: str, dialect: Dialect, values: Values) -> Values:
    """Give a column's values as SQLite stores them."""
    if isinstance(_type_of(table, name), JSON):
        # Written by the quick writer, as in a document for PostgreSQL.
        return [None if value is None else orjson.dumps(value).decode() for value in values]
    process = _processor(table, name, dialect)
    if process is None:
        return values
    if not isinstance(values[0], date | Enum):
        return [process(value) for value in values]
    # Nearly always one and the same instant or word in all rows.
    known: dict[Any, Any] = {}
    for value in values:
        if value not in known:
            known[value] = process(value)
    return [known[value] for value in values]


@lru_cache(maxsize=512)
def _processor(table: Table, name: str, dialect: Dialect) -> Callable[[Any], Any] | None:
    process: Callable[[Any], Any] | None = (
        _type_of(table, name).dialect_impl(dialect).bind_processor(dialect)
    )
    return process


def _type_of(table: Table, name: str) -> Any:
    return table.c[name.removeprefix(_WHERE)].type


def _in_order(names: Iterable[str]) -> list[str]:
    """Give what is set before what is compared."""
    return sorted(names, key=lambda name: name.startswith(_WHERE))


@lru_cache(maxsize=512)
def _insert_sql(
    table: Table, names: tuple[str, ...], dialect: Dialect, *, skips_known: bool
) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    tail = " ON CONFLICT DO NOTHING" if skips_known else ""
    into = f'INSERT INTO "{table.name}" ({columns})'
    if dialect.name == "sqlite":
        return f"{into} VALUES ({', '.join('?' * len(names))}){tail}"
    return f"{into} SELECT {columns} FROM {_rows_of(table, names, dialect)}{tail}"  # noqa: S608


@lru_cache(maxsize=512)
def _update_sql(table: Table, names: tuple[str, ...], dialect: Dialect) -> str:
    ordered = _in_order(names)
    is_sqlite = dialect.name == "sqlite"

    def same(name: str) -> str:
        if not table.c[name.removeprefix(_WHERE)].nullable:
            return "="
        return "IS" if is_sqlite else "IS NOT DISTINCT FROM"

    given = {name: "?" if is_sqlite else f'v."{name}"' for name in ordered}
    sets = ", ".join(f'"{name}" = {given[name]}' for name in ordered if not name.startswith(_WHERE))
    guards = " AND ".join(
        f'"{table.name}"."{name.removeprefix(_WHERE)}" {same(name)} {given[name]}'
        for name in ordered
        if name.startswith(_WHERE)
    )
    source = "" if is_sqlite else f" FROM {_rows_of(table, names, dialect)}"
    return f'UPDATE "{table.name}" SET {sets}{source} WHERE {guards}'  # noqa: S608 - our own names


def _rows_of(table: Table, names: Sequence[str], dialect: Dialect) -> str:
    documents, others = _parted(table, names)
    typed = ", ".join(
        f'"{name}" {_type_of(table, name).compile(dialect=dialect)}' for name in others
    )
    if not documents:
        return f"json_to_recordset(%(rows)s::json) AS v({typed})"
    beside = ", ".join(
        f"unnest(string_to_array(%({_LINES}{name})s::text, chr(10), '')::jsonb[])"
        for name in documents
    )
    columns = ", ".join(f'"{name}"' for name in (*others, *documents))
    return f"ROWS FROM (json_to_recordset(%(rows)s::json) AS ({typed}), {beside}) AS v({columns})"
