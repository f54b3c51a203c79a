"""Processes of our own on this machine: started apart, and ended with all that they started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Final, NamedTuple

_GIVES_BACK_SECONDS: Final = 15
_DIES_SECONDS: Final = 5
_LOOKS_SECONDS: Final = 0.1
_STATS: Final = Path("/proc")


class Kin(NamedTuple):
    """A process that lives, and to whom it belongs."""

    pid: int
    parent: int
    group: int


def start_apart(
    python_arguments: list[str], environment: Mapping[str, str], *, log: Path
) -> subprocess.Popen[bytes]:
    """Start a Python process in a session of its own, which no key at our terminal reaches."""
    with log.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [sys.executable, *python_arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end_as_by_ctrl_c() -> None:
    """Let a service manager's stop and a closed terminal end us in order, with all we started.

    By themselves they end a process where it stands. What was told to outlive its terminal does.
    """

    def end(word: int, _frame: FrameType | None) -> None:
        sys.exit(128 + word)

    def end_too(_word: int, _frame: FrameType | None) -> None:
        # Whoever has taken the other meanwhile, as a web server does, ends in its own order.
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, end_too)


def stop(process: subprocess.Popen[bytes], *, patience: float = _GIVES_BACK_SECONDS) -> None:
    """End a process that was started apart, and all that it started, each in whatever session.

    Prefect's worker gives each run a session of its own, and does not end them in order when it
    ends. Each is asked to end once nobody whom it started lives: a run that sends gives back what
    it has not called, and tells that it ended while its worker and its server still listen. Who
    lives after so many seconds is killed, or as soon as somebody interrupts the waiting. Safe to
    repeat.
    """
    family = {process.pid}
    try:
        _end(family, signal.SIGTERM, patience)
    finally:
        _end(family, signal.SIGKILL, _DIES_SECONDS)
        with suppress(subprocess.TimeoutExpired):
            # Its threads may take a moment longer than itself.
            process.wait(_DIES_SECONDS)


def _end(family: set[int], word: signal.Signals, patience: float) -> None:
    """Tell each of a family once, also who joins it meanwhile, and wait until none lives."""
    told: set[int] = set()
    deadline = monotonic() + patience
    while living := _living(family):
        if monotonic() > deadline:
            return
        waits = set() if word is signal.SIGKILL else {one.parent for one in living}
        for one in living:
            if one.pid not in waits | told:
                told.add(one.pid)
                with suppress(ProcessLookupError):
                    os.kill(one.pid, word)
        sleep(_LOOKS_SECONDS)


def _living(family: set[int]) -> list[Kin]:
    """Give who of a family lives, and take into it whoever they started."""
    everybody = list(find_processes())
    while (
        joined := {one.pid for one in everybody if one.parent in family or one.group in family}
        - family
    ):
        family |= joined
    return [one for one in everybody if one.pid in family]


def find_processes() -> Iterator[Kin]:
    """Give all processes of this machine that live; who ended and waits to be missed does not."""
    return _read_stats() if (_STATS / "self" / "stat").exists() else ask_ps()


def _read_stats() -> Iterator[Kin]:
    for path in _STATS.glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name stands in brackets, and may hold brackets and spaces itself.
            state, parent, group, *_ = path.read_bytes().rpartition(b")")[2].split()
            if state not in b"ZX":
                yield Kin(int(path.parent.name), int(parent), int(group))


def ask_ps() -> Iterator[Kin]:
    """Give the same by the ``ps`` of a machine that shows its processes in no folder."""
    words = ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat="]
    told = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    for line in told.stdout.splitlines():
        pid, parent, group, state = line.split()
        if state[0] not in "ZX":
            yield Kin(int(pid), int(parent), int(group))
