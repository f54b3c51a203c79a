"""Begin a transaction again that PostgreSQL ended so that another one could go on.

Two transactions that want the same rows in different orders would wait for each other for ever; of
the two one is ended, and nothing is wrong with it. On SQLite writers take turns, and none is.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from winback.failpoints import Commit, committing

_log = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES: Final = 5
_ENDED_FOR_ANOTHER: Final = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected."""


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
    return getattr(error.orig, "sqlstate", None) in _ENDED_FOR_ANOTHER
