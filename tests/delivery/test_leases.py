"""Leases: who died is found, who lives is left alone, and who lost a lease calls nobody (DS-10)."""

import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from winback.clock import SetClock
from winback.database.engine import make_engine
from winback.database.tables import Worker
from winback.delivery import leases
from winback.delivery.leases import (
    LEASE,
    Lease,
    beat,
    begin_worker,
    born,
    dead_workers,
    end_dead,
    end_worker,
    is_alive,
    is_running,
    leased,
    place,
)

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def add_worker(session: Session, now: datetime, **fields: Any) -> int:
    """Add a worker of another machine that beat just now."""
    values: dict[str, Any] = {"place": "elsewhere", "pid": 4711, "born": "1"}
    values |= {"started_at": now, "beat_at": now}
    found = session.execute(insert(Worker).values(values | fields).returning(Worker.id))
    return found.scalar_one()


def test_a_worker_that_beats_is_not_dead(session: Session, now: datetime) -> None:
    """A lease holds for a minute from its last beat, and each beat gives a new minute."""
    worker = begin_worker(session, now)

    assert dead_workers(session, now + LEASE - SECOND) == []
    assert beat(session, worker, now + LEASE - SECOND)
    assert dead_workers(session, now + LEASE + SECOND) == []
    assert is_alive(session, worker)


def test_who_does_not_beat_for_a_minute_is_dead_wherever_it_ran(
    session: Session, now: datetime
) -> None:
    """Of another machine nothing is known but its beats."""
    worker = add_worker(session, now)

    assert dead_workers(session, now + LEASE - SECOND) == []
    assert dead_workers(session, now + LEASE) == [worker]


def test_a_killed_process_of_this_machine_is_dead_at_once(session: Session, now: datetime) -> None:
    """A restart right after a SIGKILL finds what the killed one left, without waiting."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = born(child.pid)
    worker = add_worker(session, now, place=place(), pid=child.pid, born=mark)
    while_it_lived = dead_workers(session, now)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    # Its parent has not taken note yet.
    as_a_zombie = dead_workers(session, now)
    child.communicate()

    assert while_it_lived == []
    assert as_a_zombie == [worker]
    assert dead_workers(session, now) == [worker]


def test_a_process_that_took_over_the_number_is_another(session: Session, now: datetime) -> None:
    """Process ids come around again, in a container that was restarted at once."""
    mine = begin_worker(session, now)
    before = add_worker(session, now, place=place(), pid=os.getpid(), born="before")

    assert dead_workers(session, now) == [before]
    assert mine != before


def test_a_number_means_nothing_at_another_place(session: Session, now: datetime) -> None:
    """A pid of another machine is not looked for on this one."""
    add_worker(session, now, pid=2**22 - 1)

    assert dead_workers(session, now) == []


def test_the_first_process_always_runs() -> None:
    """What may not be signaled is there all the same."""
    assert is_running(1, "")
    assert not is_running(os.getpid(), "another")
    assert is_running(os.getpid(), born(os.getpid()))


def test_an_ended_lease_stays_ended(session: Session, now: datetime) -> None:
    """Who was found dead cannot come back: its beat fails, for good."""
    worker = add_worker(session, now)

    ended = end_dead(session, now + LEASE)

    assert ended == [worker]
    assert not beat(session, worker, now + LEASE)
    assert not is_alive(session, worker)
    assert end_dead(session, now + LEASE) == []


def test_who_signs_off_is_not_found_dead(session: Session, now: datetime) -> None:
    """An orderly end is no death."""
    worker = begin_worker(session, now)
    end_worker(session, worker, now)

    assert dead_workers(session, now + DAY) == []
    assert not is_alive(session, worker)


def test_old_workers_are_forgotten(session: Session, now: datetime) -> None:
    """A row a run would add up; a week after its end nothing asks for it any more."""
    long_ago = add_worker(session, now - 8 * DAY, ended_at=now - 7 * DAY - SECOND)
    lately = add_worker(session, now - DAY, ended_at=now - DAY)

    end_dead(session, now)

    assert list(session.scalars(select(Worker.id))) == [lately]
    assert long_ago != lately


def test_a_lease_holds_from_its_last_written_beat(engine: Engine, now: datetime) -> None:
    """Stopped for a minute, a worker must not call, until it has beaten again."""
    clock = SetClock(now)
    with Session(engine) as session, session.begin():
        lease = Lease(begin_worker(session, now), now)

    assert lease.holds(now + LEASE - SECOND)
    assert not lease.holds(now + LEASE)
    clock.set_to(now + LEASE)
    lease.renew(engine, clock)
    assert lease.holds(now + 2 * LEASE - SECOND)


def test_a_lost_lease_is_lost_for_good(engine: Engine, now: datetime) -> None:
    """What others have ended cannot be renewed (FACTS.md DS-10)."""
    clock = SetClock(now)
    with Session(engine) as session, session.begin():
        lease = Lease(begin_worker(session, now), now)
        end_dead(session, now + LEASE)

    clock.set_to(now + LEASE)
    lease.renew(engine, clock)

    assert lease.is_lost
    assert not lease.holds(now)


def test_a_worker_is_entered_for_the_length_of_its_run(engine: Engine, now: datetime) -> None:
    """While it runs it is alive; however it ends, it has signed off."""

    def ended_at() -> list[datetime | None]:
        with Session(engine) as session:
            return list(session.scalars(select(Worker.ended_at)))

    with pytest.raises(KeyboardInterrupt), leased(engine, SetClock(now)) as lease:
        assert lease.holds(now)
        assert ended_at() == [None]
        raise KeyboardInterrupt

    assert ended_at() == [now]


class Beats(threading.Event):
    """An end that comes after so many beats."""

    def __init__(self, beats: int, clock: SetClock) -> None:
        super().__init__()
        self.left = beats
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time go by at once."""
        self.left -= 1
        self.clock.set_to(self.clock.now() + timedelta(seconds=timeout or 0))
        return self.left < 0


def test_the_heart_beats_every_ten_seconds(engine: Engine, now: datetime) -> None:
    """Six beats fit into a lease, so that five may be missed."""
    clock = SetClock(now)
    with Session(engine) as session, session.begin():
        lease = Lease(begin_worker(session, now), now)

    leases._beat_until(Beats(3, clock), lease, engine, clock)

    with Session(engine) as session:
        assert session.scalars(select(Worker.beat_at)).one() == now + timedelta(seconds=30)


def test_the_heart_stops_when_the_lease_is_lost(
    engine: Engine, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is left to renew; the owner is told by id, without a name."""
    clock = SetClock(now)
    with Session(engine) as session, session.begin():
        lease = Lease(begin_worker(session, now), now)
        end_worker(session, lease.worker_id, now)
    many = Beats(100, clock)

    leases._beat_until(many, lease, engine, clock)

    assert many.left == 99
    assert caplog.messages == [f"worker {lease.worker_id} lost its lease: it stood still too long"]


def test_a_database_that_is_away_stops_calls_and_no_heart(
    now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Beats fail until it is back, each second one; meanwhile the lease runs out by itself."""
    clock = SetClock(now)
    empty = make_engine("sqlite://")
    lease = Lease(1, now)

    leases._beat_until(Beats(55, clock), lease, empty, clock)
    leases._end(lease, empty, clock)
    empty.dispose()

    assert not lease.is_lost
    assert not lease.holds(clock.now())
    assert clock.now() == now + timedelta(seconds=10 + 55)
    assert len(caplog.messages) == 56
