"""Make the engine, and see to it that the database fits this version and this mode.

SQLite is created and upgraded by itself; an old PostgreSQL schema is refused with the sentence
that names the command.
"""

import secrets
import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from winback.database.bulk import insert_new
from winback.database.tables import Installation
from winback.errors import ConfigError, SchemaError
from winback.failpoints import committing
from winback.states import Mode

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_DRIVERS: Final = frozenset({"sqlite", "sqlite+pysqlite", "postgresql+psycopg"})
_PATIENCE_SECONDS: Final = 30.0
"""How long a writer waits for SQLite's lock, unless its engine says ``winback_patience``.

On PostgreSQL, where locks are those of rows, only an engine that says so waits no longer than that.
"""
READS_ONLY: Final = "25006"
"""The sqlstate of read_only_sql_transaction: a write to a server that became a standby."""
_STATEMENTS: Final = 5_000
"""Compiled statements kept; a day uses more than the default of 500, and compiling is slow."""
_PREPARED: Final = 1_000
"""Statements that a connection to SQLite keeps prepared; a day uses more than the usual 128."""


def make_engine(url: str, *, is_durable: bool = True) -> Engine:
    """Make an engine; for SQLite with WAL, a busy timeout, foreign keys and writer-first locks.

    ``postgresql://`` and ``postgres://`` are spoken to through psycopg 3. Errors of statements
    never show their values, which are people's. ``is_durable`` is about SQLite: whether a commit
    waits until a loss of power cannot take it back, which a server is set up for by itself.
    Raises ConfigError for an address that is none.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is not None and parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed is None or parsed.drivername not in _DRIVERS:
        raise ConfigError(
            "WINBACK_DATABASE_URL is no address of a database that winback knows; write "
            "sqlite:///var/winback.db or postgresql://user:password@host/name"
        )
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(
            parsed, pool_pre_ping=True, query_cache_size=_STATEMENTS, hide_parameters=True
        )
        _wait_no_longer(engine)
        _leave_standbys(engine)
        return engine
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    # As many kept connections as the receiver has threads at work; opening one costs its pragmas.
    engine = create_engine(
        parsed,
        query_cache_size=_STATEMENTS,
        hide_parameters=True,
        pool_size=20,
        connect_args={"cached_statements": _PREPARED},
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        # Transactions are begun below, as IMMEDIATE: a reader that turns writer halfway would
        # fail with "database is locked" whatever the busy timeout says.
        connection.isolation_level = None
        for pragma in (
            _busy_timeout(_PATIENCE_SECONDS),
            "journal_mode=WAL",
            f"synchronous={'FULL' if is_durable else 'NORMAL'}",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-65536",
        ):
            connection.execute(f"PRAGMA {pragma}")

    _take_turns(engine)
    return engine


def _wait_no_longer(engine: Engine) -> None:
    """Let a transaction with ``winback_patience`` wait no longer for another's lock.

    It fails as one does that finds SQLite locked: with an OperationalError.
    """

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        patience: float | None = connection.get_execution_options().get("winback_patience")
        if patience is not None:
            # At least one: nought would mean for ever.
            milliseconds = max(1, int(patience * 1000))
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")


def _leave_standbys(engine: Engine) -> None:
    """Let connections go whose server became a standby: new ones find who took its place."""

    @event.listens_for(engine, "handle_error")
    def _on_error(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == READS_ONLY:
            context.is_disconnect = True


def _take_turns(engine: Engine) -> None:
    """Let the threads of this process write to SQLite one after the other.

    SQLite itself lets waiting writers sleep, up to a tenth of a second at a time; a lock wakes
    the next one at once. Other processes are kept apart by SQLite's own lock, as ever.
    """
    turn = threading.Lock()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("winback_reads_only"):
            connection.exec_driver_sql("BEGIN DEFERRED")
            return
        options = connection.get_execution_options()
        patience: float = options.get("winback_patience", _PATIENCE_SECONDS)
        connection.info["has_turn"] = turn.acquire(timeout=patience)
        try:
            _begin_writing(connection, patience)
        except BaseException:
            _give_turn(connection)
            raise

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def _give_turn(connection: Connection) -> None:
        if connection.info.pop("has_turn", False):
            turn.release()


def _begin_writing(connection: Connection, patience: float) -> None:
    if patience == _PATIENCE_SECONDS:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    connection.exec_driver_sql(f"PRAGMA {_busy_timeout(patience)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA {_busy_timeout(_PATIENCE_SECONDS)}")


def _busy_timeout(seconds: float) -> str:
    return f"busy_timeout={int(seconds * 1000)}"


def open_database(url: str, mode: Mode | None, now: datetime) -> Engine:
    """Make the engine of a database that fits this version and mode.

    Mode None takes it as it is: for what must be done though no mode can be read.
    SQLite is created and upgraded; PostgreSQL is created when empty. A sandbox, which reaches
    nobody, does not wait for the disk at each commit. Raises SchemaError when a
    PostgreSQL schema is old, when the schema is newer than this program, when the database
    belongs to another mode, or cannot be reached.
    """
    engine = make_engine(url, is_durable=mode is not Mode.SANDBOX)
    try:
        _bring_up_to_date(engine, _known_revisions())
        if mode is not None:
            _belong(engine, mode, now)
    except OperationalError as unreachable:
        engine.dispose()
        reason = str(unreachable.orig).strip().splitlines()[0]
        raise SchemaError(f"the database cannot be reached: {reason}") from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def _bring_up_to_date(engine: Engine, known: Sequence[str]) -> None:
    at = _revision(engine)
    if at == known[-1]:
        return
    if at is not None and at not in known:
        raise SchemaError("the database was made by a newer winback; upgrade this one")
    if at is not None and engine.dialect.name != "sqlite":
        raise SchemaError(
            "the database has an older schema; stop other winbacks, then run: winback db upgrade"
        )
    upgrade(engine)


def upgrade(engine: Engine) -> None:
    """Bring the schema to this version; may be repeated, and by two processes at once."""
    # Loaded when needed: most starts find the schema right, and Alembic costs a tenth of a second.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with committing(engine.begin(), "start.upgrade") as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7716321)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _known_revisions() -> list[str]:
    """Give the revisions in order: each migration's file begins with its own, counted up."""
    return sorted(path.name.split("_")[0] for path in (_MIGRATIONS / "versions").glob("*_*.py"))


def _revision(engine: Engine) -> str | None:
    with engine.execution_options(winback_reads_only=True).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _belong(engine: Engine, mode: Mode, now: datetime) -> None:
    # Every start but the first only reads, and waits for nobody who writes.
    belongs_to = _mode_of(engine) or _found(engine, mode, now)
    if belongs_to != mode:
        raise SchemaError(
            f"this database was made in mode {belongs_to} and cannot be used in mode "
            f"{mode}; give mode {mode} a database of its own in WINBACK_DATABASE_URL"
        )


def _mode_of(engine: Engine) -> Mode | None:
    with Session(engine.execution_options(winback_reads_only=True)) as session:
        return session.scalar(select(Installation.mode))


def _found(engine: Engine, mode: Mode, now: datetime) -> Mode:
    """Make the installation, and give its mode: the other's, where two start at once."""
    with Session(engine) as session, committing(session.begin(), "start.belong"):
        row = {"id": 1, "mode": mode, "salt": secrets.token_hex(16), "made_at": now}
        session.connection().execute(insert_new(Installation), row)
        return session.scalars(select(Installation.mode)).one()


def salt_of(session: Session) -> str:
    """Give the salt that arms and variants are drawn with."""
    return session.scalars(select(Installation.salt)).one()
