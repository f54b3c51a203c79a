"""A shop whose customers are all due for one message, and the processes that send it.

The second step of the shipped campaign, rendered by its shipped template: a mail where nobody has
a number, a text where everybody has. What comes of it is judged by the stand-in's own record.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select
from stored import NOW, Shares, fill

from winback.campaign.loading import load_campaigns
from winback.database.engine import make_engine, open_database
from winback.database.tables import Message
from winback.sandbox.stand_ins import Sandbox
from winback.states import Channel, MessageState, Mode

REPOSITORY = Path(__file__).parent.parent
STEP = "check-in"
_LIMITS = "daily_limits: {email: 2000, sms: 500}"
_DONE_SECONDS = 60


def make_home(home: Path, in_flight: int) -> Path:
    """Write the shipped example, with limits that let everything through."""
    shutil.copytree(REPOSITORY / "templates", home / "templates")
    shutil.copytree(REPOSITORY / "config", home / "config")
    settings = home / "config" / "winback.yaml"
    written = settings.read_text(encoding="utf-8")
    assert _LIMITS in written
    wide = f"daily_limits: {{email: 1000000, sms: 1000000}}\n  in_flight: {in_flight}"
    settings.write_text(written.replace(_LIMITS, wide), encoding="utf-8")
    return home


def fill_due(home: Path, url: str, count: int, channel: Channel) -> None:
    """Write so many customers into an empty database; each is due for one message today."""
    engine = open_database(url, Mode.SANDBOX, NOW)
    shares = Shares(count, count, 0, count, every=1 if channel is Channel.SMS else 0)
    fill(engine, load_campaigns(home)[0], shares)
    engine.dispose()


def environ(home: Path, url: str, stand: Sandbox) -> dict[str, str]:
    """Give the environment of a worker."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    keys = stand.credentials
    return kept | {
        "WINBACK_HOME": str(home),
        "WINBACK_DATABASE_URL": url,
        "WINBACK_SECRET": "bench" * 8,
        "WINBACK_SENDGRID_URL": stand.sendgrid_url,
        "WINBACK_TWILIO_URL": stand.twilio_url,
        "SENDGRID_API_KEY": keys.api_key,
        "SENDGRID_WEBHOOK_KEYS": keys.webhook_key,
        "TWILIO_ACCOUNT_SID": keys.account_sid,
        "TWILIO_AUTH_TOKEN": keys.auth_token,
    }


class Child:
    """A process of one of our scripts that says when it is ready and waits for a line to go."""

    def __init__(self, script: str, *words: str, environment: Mapping[str, str]) -> None:
        command = [sys.executable, str(Path(__file__).with_name(script)), *words]
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said()

    def __enter__(self) -> Self:
        """Give the process, which is ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let it end."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait until it is done, and give what it found."""
        found = self._said()
        self._process.wait(_DONE_SECONDS)
        return found

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark died; see above")
        said: dict[str, Any] = json.loads(line)
        return said


def run_child(script: str, *words: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run one process from its start to its result."""
    with Child(script, *words, environment=environment) as child:
        child.go()
        return child.result()


@dataclass(frozen=True, slots=True)
class Judged:
    """What the stand-in's record and our rows say of one send."""

    accepted: int
    distinct: int
    rows: int

    def is_whole(self, count: int) -> bool:
        """Say whether everybody got one message and each row says so; tell where not."""
        is_whole = self.accepted == self.distinct == self.rows == count
        if not is_whole:
            print(f"  WRONG: of {count} messages {self}")
        return is_whole


def judge(record: Path, url: str) -> Judged:
    """Count what was accepted, by the stand-in's record, and the rows that say so."""
    connection = sqlite3.connect(record)
    accepted, distinct = connection.execute(
        "SELECT count(*), count(DISTINCT send_id) FROM "
        "(SELECT send_id FROM mails UNION ALL SELECT send_id FROM texts)"
    ).fetchone()
    connection.close()
    engine = make_engine(url)
    with engine.connect() as reading:
        rows = reading.scalar(
            select(func.count()).where(
                Message.step == STEP,
                Message.state == MessageState.ACCEPTED,
                Message.provider_message_id.is_not(None),
            )
        )
    engine.dispose()
    return Judged(accepted, distinct, rows or 0)


@contextmanager
def measured(stand: Sandbox) -> Iterator[list[float]]:
    """Give a list that holds the stand-in's processor seconds of the block, after it."""
    spent: list[float] = []
    before = stand.processor_seconds()
    yield spent
    spent.append(stand.processor_seconds() - before)
