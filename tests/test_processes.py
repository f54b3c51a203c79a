"""Processes that we start apart: ended with all that they started, and asked first."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from winback.processes import ask_ps, find_processes, start_apart, stop

# As Prefect's worker and its runs: a session of its own for each, and no word passed on.
WORKER = """
import signal, subprocess, sys
from pathlib import Path

def end(*_):
    if run.poll() is not None:
        Path(sys.argv[2], "heard").touch()
    sys.exit()

run = subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], start_new_session=True)
signal.signal(signal.SIGTERM, end)
while True:
    signal.pause()
"""
SENDS = """
import os, signal, sys
from pathlib import Path

def give_back(*_):
    Path(sys.argv[1], "gave back").touch()
    sys.exit()

signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "deaf" else give_back)
Path(sys.argv[1], "part").write_text(str(os.getpid()))
Path(sys.argv[1], "part").rename(Path(sys.argv[1], "sends"))
signal.pause()
signal.pause()
"""


HOLDS = """
import signal, sys
from pathlib import Path
from winback.processes import end_as_by_ctrl_c

end_as_by_ctrl_c()
try:
    print("ready", flush=True)
    while True:
        signal.pause()
finally:
    print("cleaned up", flush=True)
"""


@contextmanager
def at_work(folder: Path, run: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a worker with a run that sends; gives both once the run is at it."""
    worker = start_apart(["-c", WORKER, SENDS, str(folder), run], {}, log=folder / "log")
    deadline, pause = monotonic() + 30, Event()
    while not (folder / "sends").exists():
        assert monotonic() < deadline, (folder / "log").read_text(encoding="utf-8")
        pause.wait(0.02)
    try:
        yield worker, int((folder / "sends").read_text(encoding="ascii"))
    finally:
        stop(worker, patience=0)


def lives(pid: int) -> bool:
    """Say whether a process is there, and not only waits to be missed."""
    return any(one.pid == pid for one in find_processes())


def test_who_sends_gives_back_and_ends(tmp_path: Path) -> None:
    """Ctrl-C stops all: the run is asked first, and its worker when it has heard of its end."""
    with at_work(tmp_path, "hears") as (worker, sends):
        stop(worker)

        assert (tmp_path / "gave back").exists()
        assert (tmp_path / "heard").exists()
        assert not lives(sends)
        assert worker.returncode == 0


def test_who_does_not_hear_is_killed(tmp_path: Path) -> None:
    """Nobody sends on behind the back of who stopped it, not even who never heard of it."""
    with at_work(tmp_path, "deaf") as (worker, sends):
        stop(worker, patience=0.1)

        assert not lives(sends)
        assert worker.returncode == -signal.SIGKILL
        stop(worker)


def test_a_second_ctrl_c_waits_no_longer(tmp_path: Path) -> None:
    """Who interrupts the waiting too leaves nobody behind that sends."""
    with at_work(tmp_path, "deaf") as (worker, sends):
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                stop(worker)
        finally:
            signal.signal(signal.SIGALRM, before)

        assert not lives(sends)


def test_both_ways_to_look_see_the_same(tmp_path: Path) -> None:
    """A machine without a folder of its processes tells them by ps."""
    with at_work(tmp_path, "hears") as (worker, sends):
        family = {worker.pid, sends}

        seen = [{one for one in look if one.pid in family} for look in (find_processes(), ask_ps())]

    assert seen[0] == seen[1] == {(worker.pid, os.getpid(), worker.pid), (sends, worker.pid, sends)}


def test_who_ended_and_waits_to_be_missed_is_not_waited_for(tmp_path: Path) -> None:
    """Where nobody asks after an orphan, as in some containers, its name stays in the list."""
    ended = start_apart(["-c", "pass"], {}, log=tmp_path / "log")
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)

    assert [
        one for look in (find_processes(), ask_ps()) for one in look if one.pid == ended.pid
    ] == []

    stop(ended, patience=0)
    assert ended.returncode == 0


def ended_by(*words: signal.Signals, started_by: Sequence[str] = ()) -> tuple[str, int]:
    """Send signals to who would end as by Ctrl-C; gives what it said, and by what it ended."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [*started_by, sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True
    ) as holds:
        assert holds.stdout is not None
        assert holds.stdout.readline() == "ready\n"
        for word in words:
            holds.send_signal(word)
        said = holds.stdout.read()
    return said, holds.returncode


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGHUP], ids=["stopped", "terminal"])
def test_an_end_from_outside_is_as_orderly_as_ctrl_c(word: signal.Signals) -> None:
    """A service manager that stops us, or a terminal that closes, leaves nobody who sends."""
    assert ended_by(word) == ("cleaned up\n", 128 + signal.SIGTERM)


def test_what_was_told_to_outlive_its_terminal_does() -> None:
    """Under nohup a closed terminal is nothing to us."""
    told = ended_by(signal.SIGHUP, signal.SIGINT, started_by=["nohup"])

    assert told == ("cleaned up\n", -signal.SIGINT)
