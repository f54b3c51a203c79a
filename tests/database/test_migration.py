"""Upgrading a database with history in it: every row stays, on both servers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    insert,
    select,
    text,
)

from winback.database import engine as engine_module
from winback.database.engine import make_engine, upgrade
from winback.database.tables import Message, Table

REVISIONS = engine_module._known_revisions()[:-1]
"""What was released before this version."""

Rows = dict[str, list[Mapping[str, Any]]]


@pytest.fixture
def old(database_url: str, tmp_path: Path) -> Iterator[Engine]:
    """Give a database that an earlier version made, empty."""
    is_sqlite = database_url.startswith("sqlite")
    engine = make_engine(f"sqlite:///{tmp_path}/old.db" if is_sqlite else database_url)
    if not is_sqlite:
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    yield engine
    engine.dispose()


def bring_to(engine: Engine, revision: str) -> None:
    """Make the schema of an earlier version."""
    config = Config()
    config.set_main_option("script_location", str(engine_module._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def tables_of(engine: Engine) -> MetaData:
    """Read from the database which tables it has."""
    found = MetaData()
    found.reflect(engine)
    found.remove(found.tables["alembic_version"])
    return found


def fill(engine: Engine, tables: MetaData, now: datetime) -> None:
    """Put three rows into every table; each refers to the rows of its number."""
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            rows = [
                {column.name: value_for(column, number, now) for column in table.columns}
                for number in (1, 2, 3)
            ]
            connection.execute(insert(table), rows)


def value_for(column: Column[Any], number: int, now: datetime) -> Any:
    """Give a value that fits a column, another one in each row."""
    length = getattr(column.type, "length", None) or 20
    match column.type:
        case Boolean():
            return number == 1
        case Integer():
            return number
        case DateTime():
            return now.replace(minute=number, tzinfo=now.tzinfo)
        case Date():
            return date(2026, 1, number)
        case String():
            return f"{column.name}-{number}"[-length:]
        case _:
            return {"row": number}


def read(engine: Engine, tables: MetaData) -> Rows:
    """Read all rows of all tables, by the columns that ``tables`` knows."""
    with engine.connect() as connection:
        return {
            table.name: [
                row._asdict() for row in connection.execute(select(table).order_by(*table.columns))
            ]
            for table in tables.sorted_tables
        }


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_keeps_every_row(old: Engine, revision: str, now: datetime) -> None:
    """Enrollments, messages and links of an earlier version are all there, unchanged."""
    bring_to(old, revision)
    before = tables_of(old)
    fill(old, before, now)
    kept = read(old, before)

    upgrade(old)

    assert read(old, before) == kept
    assert all(len(rows) == 3 for rows in kept.values())
    assert {"enrollments", "messages", "links", "vouchers", "events"} <= kept.keys()
    with old.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []
    assert broken_references(old) == []


def broken_references(engine: Engine) -> Sequence[Any]:
    """Give the rows that refer to nothing; PostgreSQL never has any."""
    if engine.dialect.name != "sqlite":
        return []
    with engine.connect() as connection:
        return connection.execute(text("PRAGMA foreign_key_check")).all()


def test_old_messages_get_what_new_columns_mean(old: Engine, now: datetime) -> None:
    """A message of before has the first priority, stands under no lease and was not looked for."""
    bring_to(old, "0001")
    before = tables_of(old)
    fill(old, before, now)

    upgrade(old)

    with old.connect() as connection:
        found = connection.execute(
            select(Message.priority, Message.worker_id, Message.looks, Message.look_at)
        ).all()
    assert [tuple(row) for row in found] == [(1, None, 0, None)] * 3
