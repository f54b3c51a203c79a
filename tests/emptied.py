"""One PostgreSQL database for all tests of a process, empty again for each.

To copy a database of fifty tables takes up to half a second, to empty it a few milliseconds. Its
name is another one each time, so that nothing left over from an earlier test finds it; where a
test changed the schema, the next one gets a database that is made anew.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, insert, make_url, select, text

from winback.database.engine import open_database
from winback.database.tables import Table
from winback.states import Mode

_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = %s AND pid <> pg_backend_pid()
"""
_SCHEMA = text("""
    SELECT md5(string_agg(line, ';' ORDER BY line)) FROM (
        SELECT concat_ws(' ', c.relname, c.relkind, c.reloptions, a.attname, a.atttypid,
                         a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
        UNION ALL
        SELECT concat_ws(' ', conname, contype, conrelid::regclass) FROM pg_constraint
        UNION ALL
        SELECT concat_ws(' ', tgname, tgrelid::regclass, tgenabled) FROM pg_trigger
        WHERE NOT tgisinternal
    ) AS lines
""")
_HAS_VERSION = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_VERSION = text("SELECT version_num FROM alembic_version")
_COUNT_FROM_ONE = text("""
    SELECT setval(c.oid::regclass, 1, false) FROM pg_class c WHERE c.relkind = 'S'
""")
_TABLES = Table.metadata.sorted_tables


@dataclass(slots=True)
class EmptiedDatabase:
    """A migrated database on a server, as good as new each time that ``renew`` is asked."""

    server: str
    made_at: datetime
    name: str = ""
    schema: str = ""
    rows: dict[str, list[dict[str, Any]]] | None = None
    """What its tables held when it was new."""

    def renew(self) -> str:
        """Give the URL of a database that nobody has used, in mode sandbox."""
        if self.name:
            self._rename()
            engine = self._engine()
            with engine.begin() as connection:
                is_as_made = _schema(connection) == self.schema
                if is_as_made:
                    self._empty(connection)
            engine.dispose()
            if not is_as_made:
                self.drop()
        if not self.name:
            self._make()
        return self._url()

    def drop(self) -> None:
        """Take it away, if there is one."""
        if not self.name:
            return
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)".encode())
        self.name = ""

    def _make(self) -> None:
        self.name = _fresh_name()
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self.name}".encode())
        open_database(self._url(), Mode.SANDBOX, self.made_at).dispose()
        engine = self._engine()
        with engine.connect() as connection:
            self.schema = _schema(connection)
            self.rows = {
                table.name: [dict(row._mapping) for row in connection.execute(select(table))]
                for table in _TABLES
            }
        engine.dispose()

    def _rename(self) -> None:
        name = _fresh_name()
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(_END_OTHERS, (self.name,))
            connection.execute(f"ALTER DATABASE {self.name} RENAME TO {name}".encode())
        self.name = name

    def _empty(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            "; ".join(f'DELETE FROM "{table.name}"' for table in reversed(_TABLES))
        )
        connection.execute(_COUNT_FROM_ONE)
        for table in _TABLES:
            if rows := (self.rows or {})[table.name]:
                connection.execute(insert(table), rows)

    def _url(self) -> str:
        return make_url(self.server).set(database=self.name).render_as_string(hide_password=False)

    def _engine(self) -> Engine:
        return create_engine(make_url(self._url()).set(drivername="postgresql+psycopg"))


def _schema(connection: Connection) -> str:
    """Give a word that is another one when the schema, or what Alembic says of it, is."""
    lines = connection.scalar(_SCHEMA)
    version = connection.scalar(_VERSION) if connection.scalar(_HAS_VERSION) else None
    return f"{lines} {version}"


def _fresh_name() -> str:
    return f"winback_{os.getpid()}_{os.urandom(4).hex()}"
