"""How many signed events a second one core of the receiver stores, on both databases.

The receiver is ours, FastAPI under uvicorn in a process of its own; it is judged by its processor
seconds, so that neither who posts nor PostgreSQL counts. Batches are as large as SendGrid makes
them (768 KB, FACTS.md SG-21) and signed as SendGrid signs; each event belongs to a message that
was sent. The floor of the same run is what storing takes at least: the signature checked, the
batch parsed, and one bulk INSERT of its raw rows into the same table, in this process.

The floor of 2,000 is for storing: each 200 means that the batch is committed. ``winback serve``
also applies what it stored, right after the answer; what that costs together is printed beside.
That nothing is lost when the receiver is killed is tested in tests/web/test_killed_receiver.py.

    python benchmarks/webhooks.py --messages 1000
"""

import argparse
import http.client
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import orjson
import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from events import Batch, make_batches, public_of
from machine import KINDS, Databases, beside, conditions, databases, told
from outbox import environ, fill_due, make_home, run_child
from sqlalchemy import func, make_url, select

from winback.database.engine import make_engine, open_database
from winback.database.tables import Event, Message
from winback.providers.signatures import verify_sendgrid
from winback.sandbox.stand_ins import stand_ins_apart
from winback.states import Channel, EventState, Mode

STORED_FLOOR = 2_000
"""Events stored for each processor second of the receiver."""
PATH = "/webhooks/sendgrid/events"
START_SECONDS = 60
APPLIED_SECONDS = 600
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver: its process and its port."""

    process: subprocess.Popen[bytes]
    port: int

    def processor_seconds(self) -> float:
        """Give what it used so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def post(self, batches: Sequence[Batch]) -> None:
        """Post all, one after the other over a kept connection; each must be taken."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for batch in batches:
            connection.request("POST", PATH, batch.body, batch.headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
        connection.close()


@contextmanager
def receiver(environment: dict[str, str], *, applies: bool) -> Iterator[Receiver]:
    """Run ``winback serve``, or the same app when it only stores, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ["-m", "winback", "serve", "--port", str(port)]
    command = serve if applies else [__file__, "--store-only", str(port)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port, process)
            yield Receiver(process, port)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError("the receiver did not start")


def store_only(port: int) -> None:
    """Serve the app of ``winback serve`` without applying what it stores."""
    import uvicorn  # noqa: PLC0415 - in the receiver's process only

    from winback.clock import SystemClock  # noqa: PLC0415 - the same
    from winback.house import open_business  # noqa: PLC0415 - the same
    from winback.web.app import WebhookKeys, make_app  # noqa: PLC0415 - the same
    from winback.web.receiver import server_config  # noqa: PLC0415 - the same

    with open_business(writes=False) as (business, _):
        keys = WebhookKeys(sendgrid_events=business.environment.sendgrid_webhook_keys)
        app = make_app(business, webhook_keys=keys, clock=SystemClock(), applies_at_once=False)
        uvicorn.Server(server_config(app, host="127.0.0.1", port=port)).run()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where all runs take place, and the key that SendGrid would sign with."""

    home: Path
    server: Databases
    count: int
    key: ec.EllipticCurvePrivateKey

    @contextmanager
    def sent(self, kind: str) -> Iterator[tuple[str, dict[str, str], list[Batch]]]:
        """Give a database whose messages are sent, its environment, and the posts about them."""
        with self.server.fresh(kind) as url:
            fill_due(self.home, url, self.count, Channel.EMAIL)
            with stand_ins_apart() as stand:
                environment = environ(self.home, url, stand)
                run_child("worker.py", "capture", os.devnull, environment=environment)
            environment["SENDGRID_WEBHOOK_KEYS"] = public_of(self.key)
            yield url, environment, list(make_batches(_sent(url), self.key))


def _sent(url: str) -> list[tuple[str, str, str]]:
    engine = make_engine(url)
    with engine.connect() as reading:
        rows = reading.execute(
            select(Message.send_id, Message.provider_message_id, Message.customer_id).where(
                Message.send_id.is_not(None)
            )
        ).all()
    engine.dispose()
    return [(str(sid), str(mid), f"ann.{customer}@example.com") for sid, mid, customer in rows]


def counted(url: str) -> tuple[int, int]:
    """Give how many events are stored, and how many of them are applied."""
    engine = make_engine(url)
    with engine.connect() as reading:
        row = reading.execute(
            select(
                func.count(), func.count().filter(Event.state == EventState.APPLIED)
            ).select_from(Event)
        ).one()
    engine.dispose()
    return int(row[0]), int(row[1])


def measure(bench: Bench, kind: str) -> bool:
    """Measure one database, print, and say whether the floor is kept."""
    print(f"\n{bench.server.version(kind)}", flush=True)
    with bench.sent(kind) as (url, environment, batches):
        count = sum(batch.events for batch in batches)
        mean = sum(len(batch.body) for batch in batches) / len(batches) / 1024
        beside("events", f"{count:,} in {len(batches)} posts of {mean:.0f} KB, the mean")
        bare = measure_bare(bench, kind, batches)
        with receiver(environment, applies=False) as running:
            used, began = running.processor_seconds(), perf_counter()
            running.post(batches)
            seconds, own = perf_counter() - began, running.processor_seconds() - used
            stored, _ = counted(url)
            running.post(batches)
            again = running.processor_seconds() - used - own
            after, _ = counted(url)
    is_whole = stored == after == count
    if not is_whole:
        print(f"  WRONG: of {count} events {stored} are stored, {after} after a repeat")
    is_kept = told(
        "stored for each processor second",
        count / own,
        STORED_FLOOR,
        beside=f"{own:.2f} s; {count / seconds:,.0f}/s by the clock, one post at a time",
    )
    beside("of the bare floor", f"{bare / own:.0%}   (bare {count / bare:,.0f} a second)")
    beside("the same posts once more", f"{count / again:,.0f} for each processor second")
    return _measure_applied(bench, kind) and is_kept and is_whole


def _measure_applied(bench: Bench, kind: str) -> bool:
    """Let ``winback serve`` store and apply all; says whether it did."""
    with bench.sent(kind) as (url, environment, batches):
        count = sum(batch.events for batch in batches)
        with receiver(environment, applies=True) as running:
            used, began = running.processor_seconds(), perf_counter()
            running.post(batches)
            answered, applied = perf_counter() - began, 0
            until = time.monotonic() + APPLIED_SECONDS
            while applied < count and time.monotonic() < until:
                time.sleep(0.2)
                _, applied = counted(url)
            own = running.processor_seconds() - used
    beside(
        "stored and applied, a second",
        f"{count / own:,.0f} for each processor second   (all answered after {answered:.1f} s)",
    )
    if applied != count:
        print(f"  WRONG: of {count} events {applied} were applied")
    return applied == count


def measure_bare(bench: Bench, kind: str, batches: Sequence[Batch]) -> float:
    """Give the processor seconds of the least that storing takes, in a database of its own."""
    key, now = public_of(bench.key), datetime.now(UTC)
    with bench.server.fresh(kind) as url:
        open_database(url, Mode.SANDBOX, now).dispose()
        insert = BareSqlite(url) if kind == "sqlite" else BarePostgres(url)
        spent = process_time()
        for batch in batches:
            verify_sendgrid(batch.headers, batch.body, keys=[key], now=now)
            insert.take([(one["sg_event_id"], one) for one in orjson.loads(batch.body)], now)
        spent = process_time() - spent
        assert insert.close() == sum(batch.events for batch in batches)
    return spent


class BareSqlite:
    """One executemany for a batch."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(str(make_url(url).database))

    def take(self, rows: Sequence[tuple[str, Any]], now: datetime) -> None:
        """Store a batch."""
        at = f"{now:%Y-%m-%d %H:%M:%S.%f}"
        self._connection.executemany(
            "INSERT INTO events (key, origin, body, received_at, state, error) "
            "VALUES (?, 'sendgrid.events', ?, ?, 'received', '')",
            [(key, orjson.dumps(body).decode(), at) for key, body in rows],
        )
        self._connection.commit()

    def close(self) -> int:
        """Give how many were stored."""
        (count,) = self._connection.execute("SELECT count(*) FROM events").fetchone()
        self._connection.close()
        return int(count)


class BarePostgres:
    """One INSERT for a batch."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(
            make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        )

    def take(self, rows: Sequence[tuple[str, Any]], now: datetime) -> None:
        """Store a batch."""
        self._connection.execute(
            "INSERT INTO events (key, origin, body, received_at, state, error) "
            "SELECT key, 'sendgrid.events', body::jsonb, %s, 'received', '' "
            "FROM unnest(%s::text[], %s::text[]) AS given(key, body)",
            (now, [key for key, _ in rows], [orjson.dumps(body).decode() for _, body in rows]),
        )
        self._connection.commit()

    def close(self) -> int:
        """Give how many were stored."""
        row = self._connection.execute("SELECT count(*) FROM events").fetchone()
        self._connection.close()
        assert row is not None
        return int(row[0])


def main() -> int:
    """Measure both databases; 1 when the floor is not kept."""
    options = _options()
    if options.store_only:
        store_only(options.store_only)
        return 0
    print(conditions())
    folder = Path(tempfile.mkdtemp())
    try:
        home = folder / "home"
        home.mkdir()
        make_home(home, 256)
        with databases(folder, options.databases) as server:
            bench = Bench(home, server, options.messages, ec.generate_private_key(ec.SECP256R1()))
            kept = [measure(bench, kind) for kind in options.databases]
    finally:
        shutil.rmtree(folder)
    return 0 if all(kept) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=20_000, help="2.55 events each")
    parser.add_argument("--databases", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--store-only", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
