"""Which errors are worth another try: a transaction ended for another one, a database away.

Two transactions that want the same rows in different orders would wait for each other for ever; of
the two PostgreSQL ends one, nothing is wrong with it, and it begins again. On SQLite writers take
turns, and none is ended.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from winback.database.engine import READS_ONLY
from winback.failpoints import Commit, committing

_log = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES: Final = 5
_ENDED_FOR_ANOTHER: Final = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected."""
_GOES_AWAY: Final = frozenset({READS_ONLY, "57P01", "57P02", "57P03", "57P04", "57P05"})
"""It reads only, or its operator stops, drops or closes it."""


def retried(transact: Callable[[], T]) -> T:
    """Carry out one whole transaction, its commit too; anew where it was ended for another.

    ``transact`` begins with nothing and leaves nothing behind when it raises.
    """
    for _ in range(_TRIES - 1):
        try:
            return transact()
        except DBAPIError as ended:
            if not is_ended_for_another(ended):
                raise
            _log.info("a transaction begins again: %s", type(ended.orig).__name__)
    return transact()


def transacted(engine: Engine, name: Commit, work: Callable[[Session], T]) -> T:
    """Carry out ``work`` in a transaction of its own and commit it; anew if ended for another.

    Harmless where what it does stands in the database alone.
    """

    def transact() -> T:
        with Session(engine) as session, committing(session.begin(), name):
            return work(session)

    return retried(transact)


def is_ended_for_another(error: DBAPIError) -> bool:
    """Say whether the same transaction would go through now: all of it was rolled back."""
    return _sqlstate(error) in _ENDED_FOR_ANOTHER


def is_away(error: BaseException) -> bool:
    """Say whether the database cannot be worked with for now: the same may go through later.

    It is locked, gone, stopped, or became a standby that only reads. A statement that is wrong is
    none of these: it stays wrong.
    """
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return True
    return _sqlstate(error) in _GOES_AWAY


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
