"""What befalls a process of the crash matrix; each is applied inside that process, for good."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import aiohttp
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect

from winback import failpoints


class End(StrEnum):
    """How a transaction ends for a process that never learns how it ended (FACTS.md DS-23)."""

    SENT = "sent"
    """COMMIT is on its way; the process dies before the answer."""
    LOST = "lost"
    """The commit took effect; the process is told that the connection broke."""
    UNDONE = "undone"
    """The commit took no effect; the process is told that the connection broke."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to a process; by default nothing."""

    dies_at: str = ""
    """A failpoint, as ``WINBACK_FAILPOINT`` names it."""
    commit: str = ""
    """The transaction whose first commit ends as ``end`` says."""
    end: End | None = None
    tells: Path | None = None
    """Where every failpoint passed, and every commit and call between, is written."""


NOTHING: Final = Fate()


def meet(fate: Fate) -> None:
    """Let this process meet its fate."""
    if fate.dies_at:
        # What the variable does to a process that is started anew.
        failpoints.watch(failpoints.dying_at(fate.dies_at))
    elif fate.end is not None:
        _break_commits(fate.commit, fate.end)
    elif fate.tells is not None:
        _tell(fate.tells)


def _break_commits(name: str, end: End) -> None:
    """Let the first commit of one transaction end unknown, in SQLAlchemy's way to the driver."""
    dialects: Any = DefaultDialect
    committed, undone = dialects.do_commit, dialects.do_rollback
    wanted, passed = f"{name}.before_commit", ""

    def watcher(point: str) -> None:
        nonlocal passed
        if passed != "done":
            passed = point

    def do_commit(self: Any, connection: Any) -> None:
        nonlocal passed
        if passed != wanted:
            committed(self, connection)
            return
        passed = "done"
        match end:
            case End.SENT:
                _send_commit(self.name, connection)
                os._exit(failpoints.EXIT_CODE)
            case End.LOST:
                committed(self, connection)
            case End.UNDONE:
                undone(self, connection)
        raise self.dbapi.OperationalError("the connection broke")

    dialects.do_commit = do_commit
    failpoints.watch(watcher)


def _send_commit(database: str, connection: Any) -> None:
    """Send COMMIT and do not wait for what comes back; SQLite has nobody to wait for."""
    if database == "sqlite":
        connection.commit()
        return
    wire = connection.driver_connection.pgconn
    wire.send_query(b"COMMIT")
    while wire.flush():
        pass


def _tell(file: Path) -> None:
    """Write down every point passed, every commit and every call, in their order.

    A transaction that writes nothing but temporary tables is none of these: nobody else sees
    whether it was committed, and whoever dies in it leaves nothing.
    """
    told = file.open("a", encoding="ascii", buffering=1)
    clients: Any = aiohttp.ClientSession
    requested = clients._request

    @event.listens_for(Engine, "commit")
    def on_commit(connection: Connection) -> None:
        if not connection.get_execution_options().get("winback_reads_only"):
            told.write("COMMIT\n")

    async def request(self: Any, *words: Any, **named: Any) -> Any:
        told.write("CALL\n")
        return await requested(self, *words, **named)

    def watcher(point: str) -> None:
        told.write(f"{point}\n")

    clients._request = request
    failpoints.watch(watcher)
