"""Leases by heartbeat: who sends, who died, and who may still call (FACTS.md DS-10).

A worker is one run of the send path in one process. It beats in a thread of its own, so that a
busy loop never looks dead; who does not beat for ``LEASE`` is dead to the others, and so is a
process of this machine that is gone. The clock is the machine's, never an as-of instant; machines
that share a database keep theirs in step.
"""

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, bindparam, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from winback.clock import Clock
from winback.database.tables import Worker, table_of
from winback.failpoints import committing

_log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
"""So long after its last beat a worker counts as dead, and makes no further call itself."""

BEAT_SECONDS: Final = 10
_AGAIN_SECONDS: Final = 1
"""After a beat that failed the next one comes sooner: the lease must not run out meanwhile."""
_PATIENCE: Final = 2.0
"""Seconds that a beat waits for a lock; each asks for the time anew."""
_KEPT: Final = timedelta(days=7)
_LONGEST_NAME: Final = 60


def place() -> str:
    """Name where a process id means something: host, boot and, where there is one, container."""
    parts = [socket.gethostname()[:_LONGEST_NAME]]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        # Not Linux: the host's name must do, and the lease judges what it cannot.
        pass
    return ":".join(parts)


def born(pid: int) -> str:
    """Tell when a process began, as the machine counts it; empty where that cannot be known.

    Two processes that had the same id one after the other differ in it.
    """
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004 - the 22nd of proc(5)


def is_running(pid: int, born_at: str) -> bool:
    """Say whether the process of this machine that began then still runs; if in doubt, it does."""
    if sys.platform == "win32":
        return True  # There, signal 0 is no question.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # It is somebody else's, so it is there.
    fields = _stat(pid)
    # Killed and not yet waited for by its parent: it will do nothing any more.
    is_zombie = bool(fields) and fields[0] in {"Z", "X"}
    is_another = bool(born_at) and bool(fields) and born(pid) != born_at
    return not is_zombie and not is_another


def _stat(pid: int) -> list[str]:
    """Give the fields of proc(5) from the third on; none where there is no such file."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The second one, the name, may hold blanks and brackets.
    return line.rpartition(")")[2].split()


def begin_worker(session: Session, at: datetime) -> int:
    """Enter this process as a worker; gives its id."""
    pid = os.getpid()
    values = {"place": place(), "pid": pid, "born": born(pid), "started_at": at, "beat_at": at}
    worker_id: int = session.connection().execute(_BEGIN, values).scalar_one()
    return worker_id


def beat(session: Session, worker_id: int, at: datetime) -> bool:
    """Renew a lease; False when others have ended it, which is for good."""
    done = session.connection().execute(_BEAT, {"worker": worker_id, "at": at})
    return done.rowcount == 1


def is_alive(session: Session, worker_id: int) -> bool:
    """Say whether nobody has ended the worker, and let nobody do so before this commits."""
    return session.scalar(_IS_ALIVE, {"worker": worker_id}) is not None


def end_worker(session: Session, worker_id: int, at: datetime) -> None:
    """Note that a worker is through; safe to repeat."""
    session.connection().execute(_END, {"worker": worker_id, "at": at})


def dead_workers(session: Session, at: datetime) -> list[int]:
    """Give the workers that are dead and not yet ended, oldest first."""
    return [id_ for id_, _ in _dead(session, at)]


def end_dead(session: Session, at: datetime) -> list[int]:
    """End the leases of the dead, for good, and forget who ended long ago; gives who was ended.

    A worker that beats at this moment is left alone.
    """
    connection = session.connection()
    ended = [
        id_
        for id_, beat_at in _dead(session, at)
        if connection.execute(_END_DEAD, {"worker": id_, "seen": beat_at, "at": at}).rowcount
    ]
    connection.execute(_FORGET, {"until": at - _KEPT})
    return ended


def _dead(session: Session, at: datetime) -> list[tuple[int, datetime]]:
    here = place()
    return [
        (row.id, row.beat_at)
        for row in session.execute(_NOT_ENDED)
        if row.beat_at <= at - LEASE or (row.place == here and not is_running(row.pid, row.born))
    ]


_WORKERS: Final = table_of(Worker)
_IS_IT: Final = (_WORKERS.c.id == bindparam("worker"), _WORKERS.c.ended_at.is_(None))
_BEGIN: Final = insert(_WORKERS).returning(_WORKERS.c.id)
_BEAT: Final = update(_WORKERS).where(*_IS_IT).values(beat_at=bindparam("at"))
_END: Final = update(_WORKERS).where(*_IS_IT).values(ended_at=bindparam("at"))
_END_DEAD: Final = _END.where(_WORKERS.c.beat_at == bindparam("seen"))
_FORGET: Final = delete(_WORKERS).where(_WORKERS.c.ended_at < bindparam("until"))
_IS_ALIVE: Final = select(_WORKERS.c.id).where(*_IS_IT).with_for_update(read=True)
_NOT_ENDED: Final = (
    select(_WORKERS.c.id, _WORKERS.c.place, _WORKERS.c.pid, _WORKERS.c.born, _WORKERS.c.beat_at)
    .where(_WORKERS.c.ended_at.is_(None))
    .order_by(_WORKERS.c.id)
)


class LeaseLost(Exception):
    """Others ended this worker: it may claim nothing and call nobody any more."""


class Lease:
    """A worker's own view of its lease: good from the last beat that was written, for ``LEASE``."""

    def __init__(self, worker_id: int, at: datetime) -> None:
        self.worker_id = worker_id
        self.is_lost = False
        """Others ended it: what this worker had claimed is theirs to judge."""
        self._good_until = at + LEASE

    def holds(self, at: datetime) -> bool:
        """Say whether this worker may still call somebody."""
        return not self.is_lost and at < self._good_until

    def renew(self, engine: Engine, clock: Clock) -> None:
        """Beat once; raises SQLAlchemyError where the database cannot be written to."""
        # Asked before: the wait for the database's turn is no part of the new span.
        at = clock.now()
        with Session(engine) as session, committing(session.begin(), "worker.beat"):
            is_mine = beat(session, self.worker_id, at)
        if is_mine:
            self._good_until = at + LEASE
        else:
            self.is_lost = True


@contextmanager
def leased(engine: Engine, clock: Clock) -> Iterator[Lease]:
    """Be a worker for the length of the block, and beat meanwhile in a thread."""
    at = clock.now()
    with Session(engine) as session, committing(session.begin(), "worker.begin"):
        lease = Lease(begin_worker(session, at), at)
    is_over = threading.Event()
    heart = threading.Thread(
        target=_beat_until, args=(is_over, lease, engine, clock), name="winback-beat", daemon=True
    )
    heart.start()
    try:
        yield lease
    finally:
        is_over.set()
        heart.join()
        _end(lease, engine, clock)


def _beat_until(is_over: threading.Event, lease: Lease, engine: Engine, clock: Clock) -> None:
    hurried = engine.execution_options(winback_patience=_PATIENCE)
    pause = BEAT_SECONDS
    while not lease.is_lost and not is_over.wait(pause):
        pause = _AGAIN_SECONDS
        try:
            lease.renew(hurried, clock)
            pause = BEAT_SECONDS
        except SQLAlchemyError as away:
            # Calls stop by themselves when the lease runs out; until then it may come back.
            _log.warning("worker %d could not beat: %s", lease.worker_id, type(away).__name__)
    if lease.is_lost:
        _log.warning("worker %d lost its lease: it stood still too long", lease.worker_id)


def _end(lease: Lease, engine: Engine, clock: Clock) -> None:
    try:
        with Session(engine) as session, committing(session.begin(), "worker.end"):
            end_worker(session, lease.worker_id, clock.now())
    except SQLAlchemyError as away:
        # The others will find it dead; what ended this block matters more.
        _log.warning("worker %d could not sign off: %s", lease.worker_id, type(away).__name__)
