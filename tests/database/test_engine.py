"""The database: made by itself, upgraded, true to its mode; both servers agree with the tables."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, delete, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from winback.database import engine as engine_module
from winback.database.engine import open_database, upgrade
from winback.database.tables import Customer, Installation, Table
from winback.errors import ConfigError, SchemaError
from winback.states import Mode


def test_migrations_make_just_what_the_tables_say(engine: Engine) -> None:
    """The migrations and the tables never drift apart."""
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_migrations_are_counted_up() -> None:
    """A migration's file begins with its revision, so that the newest is known without Alembic."""
    migrations = Path(engine_module.__file__).parent / "migrations"
    scripts = ScriptDirectory(str(migrations))

    revisions = [script.revision for script in scripts.walk_revisions()][::-1]

    assert engine_module._known_revisions() == revisions


def test_upgrade_may_be_repeated(engine: Engine) -> None:
    """A second upgrade changes nothing."""
    upgrade(engine)
    upgrade(engine)


def test_a_database_belongs_to_its_mode(database_url: str, now: datetime) -> None:
    """A sandbox database refuses to go live."""
    with pytest.raises(SchemaError, match="made in mode sandbox and cannot be used in mode live"):
        open_database(database_url, Mode.LIVE, now)


def test_a_start_waits_for_no_writer(tmp_path: Path, now: datetime) -> None:
    """Where others write without a break, SQLite's lock may not come in half a minute."""
    url = f"sqlite:///{tmp_path / 'winback.db'}"
    open_database(url, Mode.SANDBOX, now).dispose()
    with closing(sqlite3.connect(tmp_path / "winback.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        open_database(url, Mode.SANDBOX, now).dispose()


@pytest.mark.parametrize(
    ("mode", "synchronous"), [(Mode.SANDBOX, 1), (Mode.TEST, 2), (Mode.LIVE, 2)]
)
def test_no_loss_of_power_takes_a_commit_back(
    tmp_path: Path, now: datetime, mode: Mode, synchronous: int
) -> None:
    """P1, FACTS.md SG-21: a claim is on the disk before the call, an event before the answer.

    In WAL mode only ``synchronous=FULL``, which is 2, waits for it; a sandbox reaches nobody.
    """
    engine = open_database(f"sqlite:///{tmp_path / 'winback.db'}", mode, now)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    engine.dispose()


def test_two_first_starts_make_one_installation(engine: Engine, now: datetime) -> None:
    """Whoever comes second belongs to what the first one made, or is told whose it is."""
    with engine.begin() as connection:
        connection.execute(delete(Installation))
    both = Barrier(2)

    def start(mode: Mode) -> str:
        both.wait()
        try:
            open_database(engine.url.render_as_string(hide_password=False), mode, now).dispose()
        except SchemaError as refused:
            return str(refused)
        return "made"

    with ThreadPoolExecutor(2) as threads:
        said = sorted(threads.map(start, [Mode.SANDBOX, Mode.LIVE]))

    assert said[0] == "made"
    assert "this database was made in mode" in said[1]


def test_an_unknown_revision_is_refused(database_url: str, engine: Engine, now: datetime) -> None:
    """A database of a newer winback is not touched."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaError, match="newer winback"):
        open_database(database_url, Mode.SANDBOX, now)


def test_sqlite_makes_itself_where_nothing_is(tmp_path: Path, now: datetime) -> None:
    """The first run needs no set-up: folder, file and schema are made."""
    engine = open_database(f"sqlite:///{tmp_path}/deep/winback.db", Mode.SANDBOX, now)

    with Session(engine) as session:
        assert session.scalars(select(Customer)).all() == []
    engine.dispose()


def test_naive_times_are_refused(engine: Engine) -> None:
    """A time without a zone never reaches the database."""
    with Session(engine) as session, pytest.raises(Exception, match="naive time"):
        naive = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        session.execute(insert(Customer).values(first_seen_at=naive, changed_at=naive))


def test_times_come_back_in_utc(session: Session, now: datetime) -> None:
    """What goes in aware comes out aware, the same instant, in UTC."""
    session.add(Customer(first_seen_at=now, changed_at=now))
    session.commit()

    assert session.scalars(select(Customer.changed_at)).one() == now


@pytest.mark.parametrize("url", ["winback.db", "mysql://shop/x", "postgresql+nothing://h/x", ""])
def test_an_address_that_is_none_gets_one_sentence(url: str, now: datetime) -> None:
    """A mistyped WINBACK_DATABASE_URL is told plainly, without showing what may hold a password."""
    with pytest.raises(ConfigError, match="WINBACK_DATABASE_URL is no address") as refused:
        open_database(url, Mode.SANDBOX, now)

    assert not url or url not in str(refused.value).replace("winback.db or", "")


def test_an_older_schema_is_upgraded_or_refused(engine: Engine) -> None:
    """SQLite upgrades itself; a shared server is refused with the command that does it."""
    known = [*engine_module._known_revisions(), "9998"]

    if engine.dialect.name == "sqlite":
        engine_module._bring_up_to_date(engine, known)
    else:
        with pytest.raises(SchemaError, match="run: winback db upgrade"):
            engine_module._bring_up_to_date(engine, known)


def test_errors_of_statements_show_no_values(session: Session, now: datetime) -> None:
    """What people are called never stands in an error's text (FACTS.md SEC-22)."""
    row = {"id": 1, "given_name": "Oakley", "first_seen_at": now, "changed_at": now}
    session.execute(insert(Customer).values(**row))

    with pytest.raises(IntegrityError) as refused:
        session.execute(insert(Customer).values(**row))

    assert "Oakley" not in str(refused.value)


def test_who_makes_calls_waits_for_no_lock_long(tmp_path: Path, now: datetime) -> None:
    """Another process holds SQLite's lock: a hurried write gives up soon, and works afterwards."""
    path = tmp_path / "winback.db"
    engine = open_database(f"sqlite:///{path}", Mode.SANDBOX, now)
    hurried = engine.execution_options(winback_patience=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(OperationalError, match="locked"), hurried.begin():
        raise AssertionError("the lock is another's")
    other.execute("ROLLBACK")
    with hurried.begin() as connection:
        waits = connection.execute(text("PRAGMA busy_timeout")).scalar_one()

    assert waits == 30_000, "as whoever uses the connection next expects"
    other.close()
    engine.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_makes_calls_waits_for_no_row_long(engine: Engine, now: datetime) -> None:
    """PostgreSQL's locks are those of rows: a hurried write gives up soon, as on SQLite (DS-11)."""
    hurried = engine.execution_options(winback_patience=0.01)
    with engine.begin() as connection:
        connection.execute(insert(Customer).values(id=1, first_seen_at=now, changed_at=now))
    taken = select(Customer.id).with_for_update()

    with engine.begin() as other:
        other.execute(taken)
        with pytest.raises(OperationalError, match="lock timeout"), hurried.begin() as connection:
            connection.execute(taken)
    with hurried.begin() as connection:
        assert connection.execute(taken).scalar_one() == 1
    with engine.begin() as connection:
        waits = connection.execute(text("SHOW lock_timeout")).scalar_one()

    assert waits == "0", "as whoever uses the connection next expects"
