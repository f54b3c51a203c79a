"""The kill test: real worker processes, killed at random instants in the middle of a send.

``python -m tests.soak.kill --kills 200`` kills that many workers with SIGKILL, half of them while
one works and half while three do, in a send of 25 messages a kill, on SQLite and on PostgreSQL.
The stand-ins run in a process of their own and drop connections, are busy, fail after accepting,
stall, and post every webhook twice and in any order. Their record is the judge: nobody got a
message twice (P1), nobody is owed one that they neither have nor we list in doubt, and what we
say was accepted they have (P2).
"""

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import Session

from tests.shop import make_shop
from tests.soak.judging import MANY, Ours, Told, judge
from tests.soak.servers import free_port, fresh_database, postgres_server
from winback.database.engine import make_engine
from winback.database.tables import Event, Message, Move, SourceCustomer
from winback.delivery.leases import LEASE
from winback.sandbox.faults import ByChance, Fault, FaultPlan, SelfReports
from winback.sandbox.stand_ins import Sandbox, stand_ins_apart
from winback.states import EventState, MessageState

MESSAGES_A_KILL: Final = 25
IN_FLIGHT: Final = 4
"""Calls of one worker at a time: what a kill leaves in doubt at most, as operators set it."""

LOOKS_AT: Final = (2, 16, 25 * 60)
"""Minutes after the send at which workers come by once more: retries, and looks for evidence."""

_ANYWHERE: Final = 1 / 7
_HOUR_OF_TEXTS: Final = 13
_LATENCY_SECONDS: Final = 0.05
_STALL_SECONDS: Final = 40
"""Longer than a worker waits for an answer."""

_FAULTS: Final = {
    Fault.DROP_BEFORE: 0.02,
    Fault.DROP_AFTER: 0.03,
    Fault.ERROR_BEFORE: 0.01,
    Fault.ERROR_AFTER: 0.03,
    Fault.BUSY: 0.02,
    Fault.BUSY_SILENT: 0.01,
    Fault.DELAY: 0.005,
}

_CAMPAIGN: Final = """\
campaign: six-month
lapse: {after: 6 months, not_after: 24 months}
audience: {daily_limit: 100000}
holdout: 0%
measure_for: 90 days
steps:
  - {step: check-in, wait: 0 days, channel: sms, template: check-in, otherwise: email}
"""

_PATIENCE_SECONDS: Final = 3600


@dataclass(slots=True)
class Arena:
    """Where workers live and die: the shop, its database, the stand-ins, and chance."""

    home: Path
    environment: Mapping[str, str]
    stand: Sandbox
    engine: Engine
    rng: Random
    told: Told
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start one more worker, as a scheduler would."""
        self.told.workers += 1
        with (self.home / "workers.log").open("ab") as log:
            self.workers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "winback", "send"],
                    cwd=self.home,
                    env=dict(self.environment),
                    stdout=log,
                    stderr=log,
                )
            )

    def keep(self, count: int) -> None:
        """See to it that so many work; one that ended by itself is followed by another."""
        for worker in [one for one in self.workers if one.poll() is not None]:
            self.workers.remove(worker)
            if worker.returncode:
                self.told.failures.append(f"a worker ended with {worker.returncode}")
        while len(self.workers) < count:
            self.start()

    def kill(self) -> None:
        """Kill one of the workers at this instant."""
        victim = self.rng.choice(self.workers)
        self.workers.remove(victim)
        victim.kill()
        if victim.wait() == -signal.SIGKILL:  # Else it had ended just before.
            self.told.kills += 1
            self.told.in_the_send += self.is_owed()

    def is_owed(self) -> bool:
        """Say whether there is still something to send, or all has yet to be planned."""
        with Session(self.engine.execution_options(winback_reads_only=True)) as session:
            queued = select(exists().where(Message.state == MessageState.QUEUED))
            planned = select(exists().where(Message.id.is_not(None)))
            return bool(session.scalar(queued)) or not session.scalar(planned)

    def kill_all(self) -> None:
        """Let nobody live on."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()

    def command(self, *words: str) -> None:
        """Run one command to its end; a failure is noted."""
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "winback", *words],
            cwd=self.home,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.told.failures.append(f"winback {words[0]}: {done.stderr[-500:]}")


def kill_test(database_url: str, *, kills: int, seed: int, name: str) -> Told:
    """Send 25 messages a kill while workers are killed, then go on to the end and judge."""
    begun = time.monotonic()
    told = Told(name, messages=MESSAGES_A_KILL * kills)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = _make_home(folder / "home", told.messages)
        stand = stack.enter_context(stand_ins_apart(folder / "record.db", seed=seed))
        environment = _environment(home, database_url, stand)
        engine = make_engine(database_url)
        stack.callback(engine.dispose)
        arena = Arena(home, environment, stand, engine, Random(seed), told)  # noqa: S311 - replays
        _lapse(arena)
        stack.enter_context(_receiver(arena))
        stand.faults = _faulty(seed)
        stack.callback(arena.kill_all)
        _kill_them(arena, kills)
        if kills >= MANY:
            _stop_one(arena)
        _come_to_rest(arena)
        _judge(arena)
    told.seconds = round(time.monotonic() - begun, 1)
    return told


def _make_home(home: Path, customers: int) -> Path:
    """Write a shop of customers who are all due, where it is early afternoon right now."""
    today = datetime.now(UTC).date()
    make_shop(home, customers=0, lapsed_on=today)
    (home / "config" / "campaigns" / "six-month.yaml").write_text(_CAMPAIGN, encoding="utf-8")
    settings = home / "config" / "winback.yaml"
    text = settings.read_text(encoding="utf-8")
    limits = f"daily_limits: {{email: 100000, sms: 100000}}\n  in_flight: {IN_FLIGHT}"
    settings.write_text(
        text.replace("daily_limits: {email: 2000, sms: 500}", limits), encoding="utf-8"
    )
    sources = home / "config" / "sources.yaml"
    text = sources.read_text(encoding="utf-8")
    sources.write_text(text.replace("phone: phone,", "phone: phone, time_zone: zone,"), "utf-8")
    zone = _afternoon(datetime.now(UTC))
    bought_on = today - timedelta(days=190)
    with (
        (home / "data" / "customers.csv").open("w", newline="", encoding="utf-8") as people,
        (home / "data" / "orders.csv").open("w", newline="", encoding="utf-8") as orders,
    ):
        written, bought = csv.writer(people), csv.writer(orders)
        written.writerow(["id", "first", "last", "email", "phone", "news", "texts", "zone"])
        bought.writerow(["order_no", "customer_id", "date", "total"])
        for number in range(customers):
            # Every third has a number, and gets a text.
            phone = _phone_of(number) if number % 3 == 0 else ""
            addresses = [_mail_of(number), phone]
            written.writerow([number, "Ann", "Oakley", *addresses, "yes", "yes", zone])
            bought.writerow([number, number, bought_on, "40.00"])
    return home


def _mail_of(number: int) -> str:
    return f"ann.{number}@example.com"


def _phone_of(number: int) -> str:
    return f"+4479{11000000 + number}"


def _afternoon(now: datetime) -> str:
    """Give a zone in which texts may leave at this hour, on any day of the week."""
    ahead = (_HOUR_OF_TEXTS - now.hour + 10) % 24 - 10
    # The names of these zones say how far they are behind.
    return f"Etc/GMT{-ahead:+d}"


def _environment(home: Path, database_url: str, stand: Sandbox) -> dict[str, str]:
    keys = stand.credentials
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    if "PYTHONPATH" in os.environ:
        kept["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return kept | {
        "WINBACK_HOME": str(home),
        "WINBACK_DATABASE_URL": database_url,
        "WINBACK_SECRET": "a-secret-of-the-tests",
        "WINBACK_SENDGRID_URL": stand.sendgrid_url,
        "WINBACK_TWILIO_URL": stand.twilio_url,
        "SENDGRID_API_KEY": keys.api_key,
        "SENDGRID_WEBHOOK_KEYS": keys.webhook_key,
        "TWILIO_ACCOUNT_SID": keys.account_sid,
        "TWILIO_AUTH_TOKEN": keys.auth_token,
    }


def _lapse(arena: Arena) -> None:
    """Pull and enroll everybody, so that all that is left is to send."""
    code = (
        "import asyncio\n"
        "from winback import day\n"
        "from winback.clock import SystemClock\n"
        "from winback.house import open_business\n"
        "with open_business(writes=True) as (business, now):\n"
        "    one = day.Day(business, now, SystemClock())\n"
        "    asyncio.run(day.pull(one))\n"
        "    asyncio.run(day.detect(one))\n"
    )
    subprocess.run([sys.executable, "-c", code], env=dict(arena.environment), check=True)  # noqa: S603


@contextmanager
def _receiver(arena: Arena) -> Iterator[None]:
    """Serve webhooks as ``winback serve`` does; what comes before it listens is posted again."""
    port = free_port()
    with (arena.home / "serve.log").open("ab") as log:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "winback", "serve", "--port", str(port)],
            cwd=arena.home,
            env=dict(arena.environment),
            stdout=log,
            stderr=log,
        )
    arena.stand.deliver_to(f"http://127.0.0.1:{port}", "https://win.example.com")
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def _faulty(seed: int) -> FaultPlan:
    return FaultPlan(
        choose=ByChance(seed, _FAULTS),
        latency_seconds=_LATENCY_SECONDS,
        delay_seconds=_STALL_SECONDS,
        duplicate_webhooks=0.3,
        reorder_webhooks=0.5,
        reports_by_itself=SelfReports(delay_seconds=1.0),
    )


def _kill_them(arena: Arena, kills: int) -> None:
    """Kill at instants that chance spreads over the send: one alive at first, then three.

    The next instant is when the stand-ins have been called so many times more, and a moment
    later: so kills fall into the send, however slow the machine starts processes. One of seven
    falls anywhere in a worker's first seconds instead.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while arena.told.kills < kills and time.monotonic() < until:
        alive = 1 if arena.told.kills < kills // 2 else 3
        arena.keep(alive)
        if arena.rng.random() < _ANYWHERE:
            time.sleep(arena.rng.uniform(0, 2))
        else:
            _wait_for_calls(arena, arena.rng.randrange(1, MESSAGES_A_KILL), alive)
            time.sleep(arena.rng.uniform(0, 2 * _LATENCY_SECONDS))
        arena.keep(alive)
        arena.kill()


def _wait_for_calls(arena: Arena, more: int, alive: int) -> None:
    """Wait until the stand-ins were called so many times more, or nothing is owed any more."""
    until, seen = time.monotonic() + _PATIENCE_SECONDS, 0
    count = arena.stand.calls + more
    while arena.stand.calls < count:
        arena.keep(alive)
        time.sleep(0.02)
        seen += 1
        if seen % 50 == 0 and not arena.is_owed():
            return
        if time.monotonic() > until:
            raise AssertionError("the workers do not come forward")


def _stop_one(arena: Arena) -> None:
    """Let a worker stand still for longer than its lease, while others take its place (DS-10)."""
    arena.keep(2)
    _wait_for_calls(arena, 2 * MESSAGES_A_KILL, 2)
    arena.keep(2)
    slow = arena.workers[0]
    slow.send_signal(signal.SIGSTOP)
    until = time.monotonic() + LEASE.total_seconds() + 5
    while time.monotonic() < until:
        arena.keep(2)
        time.sleep(0.2)
    arena.command("send")
    slow.send_signal(signal.SIGCONT)
    arena.told.stopped += 1


def _come_to_rest(arena: Arena) -> None:
    """Go on without kills: the rest of today, then look-ups, until doubts are a day old."""
    _let_them_finish(arena)
    # A worker that stalls is waited for; nothing goes wrong any more but the webhooks.
    arena.stand.faults = FaultPlan(
        duplicate_webhooks=0.3, reorder_webhooks=0.5, reports_by_itself=SelfReports()
    )
    now = datetime.now(UTC)
    for ahead in LOOKS_AT:
        at = (now + timedelta(minutes=ahead)).isoformat(timespec="minutes")
        arena.command("send", "--as-of", at)
    until = time.monotonic() + _PATIENCE_SECONDS
    while arena.stand.reports_waiting and time.monotonic() < until:
        time.sleep(0.05)
    last = (now + timedelta(minutes=25 * 60 + 1)).isoformat(timespec="minutes")
    arena.command("respond", "--as-of", last)


def _let_them_finish(arena: Arena) -> None:
    for worker in arena.workers:
        worker.wait()
    arena.keep(1)
    for worker in arena.workers:
        worker.wait()
    arena.keep(0)


def _judge(arena: Arena) -> None:
    """Read both sides, and the history of doubts, and judge."""
    told, record = arena.told, arena.stand.record
    told.calls = arena.stand.calls
    number_of = {_mail_of(number): number for number in range(told.messages)}
    number_of |= {_phone_of(number): number for number in range(told.messages)}
    heard = [(mail.send_id, number_of[mail.to_address]) for mail in record.mails()]
    heard += [(text.send_id, number_of[text.to_number]) for text in record.texts()]
    with Session(arena.engine) as session:
        rows = [
            Ours(int(row.external_id), row.send_id, row.state, row.reason)
            for row in session.execute(_OURS)
        ]
        told.doubted = session.scalar(_DOUBTED) or 0
        told.orphans = session.scalar(_ORPHANS) or 0
        told.unread = session.scalar(_UNREAD) or 0
    judge(told, heard, rows)
    told.resolved = told.doubted - told.unknown


_OURS: Final = select(
    SourceCustomer.external_id, Message.send_id, Message.state, Message.reason
).join(SourceCustomer, SourceCustomer.customer_id == Message.customer_id)
_DOUBTED: Final = select(func.count(Move.thing_id.distinct())).where(
    Move.thing == "message", Move.to_state == MessageState.UNCONFIRMED
)
_ORPHANS: Final = _DOUBTED.where(Move.why.contains("the worker died"))
_UNREAD: Final = select(func.count()).where(Event.state != EventState.APPLIED)


def _print(told: Told) -> None:
    sys.stdout.write(json.dumps(asdict(told)) + "\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    """Run the kill test on both databases; the exit code says whether every promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200, help="how many, on each database")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    given = parser.parse_args(words)
    is_well = True
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder)
        for name in given.database or ("sqlite", "postgresql"):
            server = stack.enter_context(postgres_server()) if name == "postgresql" else None
            with fresh_database(folder, server) as url:
                told = kill_test(url, kills=given.kills, seed=given.seed, name=name)
            _print(told)
            is_well = is_well and told.is_well and told.kills == given.kills
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
