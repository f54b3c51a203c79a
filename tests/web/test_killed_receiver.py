"""The receiver is killed with SIGKILL while it takes events: nothing is lost, nothing kept twice.

A real process of ``winback serve``, and a provider that posts each batch until it is taken.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from http.client import HTTPConnection, HTTPException, RemoteDisconnected
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Engine, select

from tests.shop import make_shop
from tests.soak.servers import free_port
from winback.database.tables import Event

KILLS = 2
BATCHES = 8
EVENTS = 800
"""In each batch; large enough that a kill falls into the middle of one."""
PATIENCE_SECONDS = 120


class Provider(threading.Thread):
    """Posts signed batches one after the other, each again and again until it is taken."""

    def __init__(self, port: int, batches: Sequence[bytes]) -> None:
        super().__init__(name="provider", daemon=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._port = port
        self._batches = batches
        self._changed = threading.Condition()
        self._stops = threading.Event()
        self._may_begin = threading.Semaphore(0)
        self.tries = 0
        """How many posts were begun over an open connection."""
        self.cut_off = 0
        """How many of them ended without an answer."""
        self.taken = 0
        """How many batches were answered 200."""

    @property
    def public_key(self) -> str:
        """The key that the receiver verifies with."""
        public = self.key.public_key()
        written = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(written).decode()

    def run(self) -> None:
        """Post all."""
        for batch in self._batches:
            self._may_begin.acquire()
            while not self._stops.is_set() and not self._post(batch):
                self._stops.wait(0.02)
            with self._changed:
                self.taken += not self._stops.is_set()
                self._changed.notify_all()

    def go_on(self, batches: int) -> None:
        """Allow so many batches more: on a busy machine all would be taken before a kill."""
        self._may_begin.release(batches)

    def wait_for_a_try(self) -> None:
        """Wait until one more post is begun."""
        with self._changed:
            before = self.tries
            assert self._changed.wait_for(lambda: self.tries > before, PATIENCE_SECONDS)

    def stop(self) -> None:
        """Give up, whatever is left."""
        self._stops.set()
        self.go_on(len(self._batches))
        self.join(PATIENCE_SECONDS)

    def _post(self, body: bytes) -> bool:
        timestamp = str(int(time.time()))
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.connect()
        except OSError:
            return False
        with self._changed:
            self.tries += 1
            self._changed.notify_all()
        try:
            connection.request("POST", "/webhooks/sendgrid/events", body, headers)
            return connection.getresponse().status == 200
        except (RemoteDisconnected, OSError, HTTPException):
            self.cut_off += 1
            return False
        finally:
            connection.close()


def test_no_event_is_lost_or_kept_twice_when_the_receiver_is_killed(
    tmp_path: Path, database_url: str, engine: Engine
) -> None:
    """What was answered 200 is stored, what was not is posted again and stored once (SG-21).

    FACTS.md SG-22, SG-24.
    """
    rng = Random(7)  # noqa: S311 - replays
    keys = [[f"event-{batch}-{number}" for number in range(EVENTS)] for batch in range(BATCHES)]
    port = free_port()
    provider = Provider(port, [written(batch) for batch in keys])
    home = make_shop(tmp_path / "home", customers=0, lapsed_on=date(2026, 3, 2))
    environment = environ(home, database_url, provider)
    provider.start()
    try:
        for kill in range(KILLS):
            provider.go_on(1)
            with served(home, port, environment) as receiver:
                provider.wait_for_a_try()
                # The first falls into the post for sure, the next ones anywhere.
                threading.Event().wait(rng.uniform(0, 0.05) if kill else 0)
                receiver.kill()
            answered = [key for batch in keys[: provider.taken] for key in batch]
            assert set(answered) <= set(stored(engine))
        provider.go_on(BATCHES)
        with served(home, port, environment):
            provider.join(PATIENCE_SECONDS)
    finally:
        provider.stop()
    assert provider.taken == BATCHES
    assert provider.cut_off > 0
    assert sorted(stored(engine)) == sorted(key for batch in keys for key in batch)


def written(keys: Sequence[str]) -> bytes:
    """Write a batch as SendGrid does."""
    return json.dumps(
        [
            {
                "email": "ann@example.com",
                "timestamp": 1772445600,
                "event": "delivered",
                "sg_event_id": key,
                "sg_message_id": f"{key}.recvd-1",
            }
            for key in keys
        ]
    ).encode()


def stored(engine: Engine) -> list[str]:
    """Give SendGrid's ids of all that is stored."""
    with engine.connect() as connection:
        return [key.partition(":")[2] for key in connection.scalars(select(Event.key))]


def environ(home: Path, database_url: str, provider: Provider) -> dict[str, str]:
    """Give the environment of the receiver."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {
        "WINBACK_HOME": str(home),
        "WINBACK_DATABASE_URL": database_url,
        "WINBACK_SECRET": "a-secret-of-the-tests",
        "SENDGRID_WEBHOOK_KEYS": provider.public_key,
    }


@contextmanager
def served(
    home: Path, port: int, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``winback serve``; it is gone after the block."""
    command = [sys.executable, "-m", "winback", "serve", "--port", str(port)]
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, cwd=home, env=dict(environment), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
