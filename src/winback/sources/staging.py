"""The temporary tables that rows wait in while ids, ordinals and changes are resolved in SQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from mmap import mmap
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from winback.database.bulk import Cell, write_rows
from winback.database.types import Amount, RowId, Utc
from winback.errors import SourceError
from winback.sources.customer_rows import FRESH_COLUMNS

BATCH: Final = 20_000
_ONE_PULL: Final = 7716322
_FILTER_BITS: Final = 27
_SORT_CACHE: Final = -24_576
"""In KiB, as SQLite counts negative sizes."""
INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@contextmanager
def pulling_connection(engine: Engine) -> Iterator[Connection]:
    """Give a connection for a pull: on SQLite its temporary tables stand in files, not memory."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            try:
                yield connection
            except BaseException:
                # Not given to anybody else: its temporary tables go with it.
                connection.invalidate()
                raise
            return
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA temp_store=FILE")
        try:
            yield connection
        finally:
            connection.rollback()
            # Changing it back also drops the temporary tables.
            driver.execute("PRAGMA temp_store=MEMORY")


@contextmanager
def without_writing(connection: Connection) -> Iterator[None]:
    """Have a transaction that writes nothing but temporary tables.

    On SQLite it takes no lock: however slow a source is, nobody waits for it.
    """
    connection.execution_options(winback_reads_only=True)
    try:
        with connection.begin():
            _stage_in_utc(connection)
            yield
    finally:
        connection.execution_options(winback_reads_only=False)


def one_pull_at_a_time(connection: Connection) -> None:
    """Wait for what another pull writes; SQLite's writers wait for each other anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ONE_PULL)))
        _stage_in_utc(connection)


def _stage_in_utc(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Staged instants are written in UTC and without a zone.
        connection.execute(text("SET LOCAL TIME ZONE 'UTC'"))


@contextmanager
def staged_apart(connection: Connection, *tables: Table) -> Iterator[None]:
    """Have temporary tables that outlive a transaction: filled in one, used in the next."""
    with without_writing(connection):
        _create(connection, tables)
    try:
        yield
    except SourceError:
        # After any other error the connection is not used again, and they are gone with it.
        with without_writing(connection):
            _drop(connection, tables)
        raise
    with without_writing(connection):
        _drop(connection, tables)


@contextmanager
def staged(connection: Connection, *tables: Table) -> Iterator[None]:
    """Have temporary tables for as long as they are needed, within a transaction."""
    _create(connection, tables)
    yield
    # After an error the transaction is rolled back, and they are gone with it.
    _drop(connection, tables)


def _create(connection: Connection, tables: Sequence[Table]) -> None:
    for table in tables:
        connection.exec_driver_sql(_written(table, connection.dialect))


def _drop(connection: Connection, tables: Sequence[Table]) -> None:
    for table in reversed(tables):
        connection.exec_driver_sql(f"DROP TABLE {table.name}")


@lru_cache(maxsize=64)
def _written(table: Table, dialect: Dialect) -> str:
    # A day creates the same few tables; compiling one takes longer than creating it.
    return str(CreateTable(table).compile(dialect=dialect))


def write_staged(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> None:
    """Append rows to a temporary table."""
    write_rows(connection, table.name, columns, rows)


def know_sizes(connection: Connection, *tables: Table) -> None:
    """Let PostgreSQL's planner know how much was staged."""
    if connection.dialect.name == "postgresql":
        for table in tables:
            connection.exec_driver_sql(f"ANALYZE {table.name}")


@contextmanager
def small_sorts(connection: Connection) -> Iterator[None]:
    """Let SQLite sort in little memory: it takes as much for a sort as it has for its cache."""
    if connection.dialect.name != "sqlite":
        yield
        return
    size = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    connection.exec_driver_sql(f"PRAGMA cache_size={_SORT_CACHE}")
    yield
    connection.exec_driver_sql(f"PRAGMA cache_size={size}")


def next_ids(connection: Connection, table: str, many: Select[tuple[int]]) -> int:
    """Set ids aside and give the one before the first; ``many`` selects how many are needed."""
    if connection.dialect.name == "sqlite":
        return int(
            connection.execute(
                select(func.coalesce(func.max(literal_column("id")), 0)).select_from(text(table))
            ).scalar_one()
        )
    sequence = func.pg_get_serial_sequence(table, "id")
    last = int(connection.execute(select(func.nextval(sequence))).scalar_one())
    count = connection.execute(many).scalar_one()
    connection.execute(select(func.setval(sequence, last + count)))
    return last


class MaybeSeen:
    """Says of a key that it is new, or that it may have been seen; in 16 MB, however many.

    What may have been seen is decided in SQL: almost all rows never get there.
    """

    def __init__(self) -> None:
        # Mapped, not allocated: a small slice then touches only the pages it needs.
        self._bits = mmap(-1, 1 << (_FILTER_BITS - 3))

    def add(self, key: str) -> bool:
        """Note a key; True if it may have been noted before."""
        spot = hash(key) & ((1 << _FILTER_BITS) - 1)
        place, bit = spot >> 3, 1 << (spot & 7)
        if self._bits[place] & bit:
            return True
        self._bits[place] |= bit
        return False


def _temporary(name: str, *columns: Column[Any]) -> Table:
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"])


purchases = _temporary(
    "staged_purchases",
    Column("n", Integer),
    Column("external_id", Text),
    Column("ordinal", Integer, server_default="1"),
    Column("customer", Text),
    Column("purchased_at", Utc),
    Column("purchased_on", Date),
    Column("is_date_only", Boolean),
    Column("amount", Amount),
    Column("currency", String(3)),
    Column("kind", String(32)),
    Column("refund_of", Text),
    Column("voucher_code", Text),
    Column("store", Text),
    Column("product", Text),
    Column("category", Text),
)
"""Purchases as read; without ids, ``external_id`` is the hash, ``ordinal`` the place in equals."""

repeats = _temporary("staged_repeats", Column("external_id", Text))
"""Ids that may stand in the slice more than once."""

new_customers = _temporary(
    "staged_new_customers", Column("seq", Integer), Column("external_id", Text)
)
"""Customers that only their purchases name."""

corrected = _temporary(
    "staged_corrected", Column("purchase_id", RowId), Column("customer_id", RowId)
)
"""Purchases that changed, and whose they were."""

fresh = _temporary(
    "staged_fresh",
    Column("seq", Integer, primary_key=True, autoincrement=False),
    *(
        Column(
            name,
            RowId
            if name == "customer_id"
            else Integer
            if name == "n"
            else Utc
            if name.endswith("_at")
            else Text,
        )
        for name in FRESH_COLUMNS
    ),
    Column("is_known", Boolean),
    Column("is_joined", Boolean),
)
"""Customers that are new or changed, normalized."""

consents = _temporary(
    "staged_consents",
    Column("customer_id", RowId),
    Column("state", String(32)),
    Column("is_written", Boolean),
    Column("evidence", Text),
    Column("given_at", Utc),
)
"""Consents that say something new on one channel."""

rejected = _temporary(
    "staged_rejected",
    Column("place", Text),
    Column("row_hash", String(64)),
    Column("external_id", Text),
    Column("waits_for", Text),
    Column("reason", Text),
    Column("row", Text),
)
"""Rows that cannot be taken."""


def customers_table(names: Sequence[str]) -> Table:
    """Give the table of customers as read, with the mapped columns as text."""
    return _temporary(
        "staged_customers",
        Column("n", Integer, primary_key=True, autoincrement=False),
        Column("row_hash", Text),
        *(Column(name, Text) for name in names),
    )
