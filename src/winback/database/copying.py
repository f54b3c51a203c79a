"""Copy chosen rows of a live database into a private SQLite file, without writing to the first.

The live database is read in one transaction that it itself keeps from writing, and that locks no
row: the copy shows one instant, and nobody waits for it. Rows travel in the form in which SQLite
stores them, so that no value is turned into an object and back.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as Driver
from typing import Any, Final

import sqlalchemy
from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Connection,
    Date,
    Engine,
    Integer,
    String,
    Text,
    cast,
    event,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from winback.database.engine import make_engine
from winback.database.tables import Table
from winback.database.types import Utc

_BATCH: Final = 5_000
_INSTANT: Final = "YYYY-MM-DD HH24:MI:SS.US"


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one instant of a database, and that cannot write to it."""
    if engine.dialect.name == "postgresql":
        snapshot = engine.execution_options(isolation_level="REPEATABLE READ")
        with snapshot.connect() as connection:
            yield connection.execution_options(postgresql_readonly=True)
        return
    with engine.execution_options(winback_reads_only=True).connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("PRAGMA query_only=OFF")


def make_scratch(path: Path) -> Engine:
    """Make an empty SQLite database with every table, for one process, thrown away afterwards.

    Foreign keys are not minded, since a copy of some rows points to rows that were left behind,
    and nothing is kept safe from a loss of power.
    """
    engine = make_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Driver, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA synchronous=OFF")

    Table.metadata.create_all(engine)
    return engine


def copy_rows(
    source: Connection,
    scratch: Connection,
    table: sqlalchemy.Table,
    *conditions: ColumnElement[bool],
    without: Collection[str] = (),
) -> int:
    """Copy the rows of a table for which all conditions hold; gives how many were read.

    A row that is there already stays as it is. Columns of ``without`` are left empty.
    """
    columns = [column for column in table.columns if column.name not in without]
    wanted = select(*(_as_stored(column, source) for column in columns)).where(*conditions)
    names = ", ".join(column.name for column in columns)
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - our names
    count = 0
    found = source.execute(wanted, execution_options={"yield_per": _BATCH})
    for rows in found.partitions():
        scratch.exec_driver_sql(insert, [tuple(row) for row in rows])
        count += len(rows)
    return count


def _as_stored(column: sqlalchemy.Column[Any], source: Connection) -> ColumnElement[Any]:
    """Give the SQL of a column in the form in which SQLite stores its values."""
    if source.dialect.name == "sqlite":
        return type_coerce(column, NullType)
    kind: TypeEngine[Any] = column.type
    if isinstance(kind, Utc):
        in_utc = func.timezone(literal_column("'UTC'"), column)
        return func.to_char(in_utc, literal_column(f"'{_INSTANT}'"), type_=String)
    if isinstance(kind, Boolean):
        return cast(column, Integer)
    if isinstance(kind, JSON | Date):
        return cast(column, Text)
    return type_coerce(column, NullType)
