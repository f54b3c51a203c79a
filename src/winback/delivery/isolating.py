"""Let one row that nobody can work at stop nobody else.

Rows are worked at many at once, in one transaction. What raises about one of them would end it for
all, and every later run too: so they are halved until that one stands alone, and it is put aside.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.orm import Session

from winback.database.retrying import transacted
from winback.delivery.leases import LeaseLost
from winback.errors import tell_discreetly
from winback.failpoints import Commit

_log = logging.getLogger(__name__)

T = TypeVar("T")

MOST: Final = 50
"""So many a run puts aside; what raises about more than these is no fault of single rows."""


class RowError(Exception):
    """Something raised about rows, and may be the fault of one of them."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


@contextmanager
def working_at_rows() -> Iterator[None]:
    """Turn what may be one row's fault into a RowError; neither a lock nor a lost lease is.

    Set around the work alone: a commit that fails is no row's fault, and may have gone through.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_a_row(error):
            raise
        raise RowError(error) from error


def transacted_rows(engine: Engine, name: Commit, work: Callable[[Session], T]) -> T:
    """Work at rows in a transaction of its own; raises RowError, and then nothing was done."""

    def guarded(session: Session) -> T:
        with working_at_rows():
            return work(session)

    return transacted(engine, name, guarded)


def _is_of_a_row(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    # A statement that was not even tried has a value that its column cannot hold.
    is_of_the_house = isinstance(error, SQLAlchemyError) and not isinstance(error, StatementError)
    return not is_of_the_house and not isinstance(error, LeaseLost)


@dataclass(slots=True)
class Isolation:
    """Works at rows of one kind, and counts those that a run has put aside."""

    what: str
    """The kind of row, for the log."""
    number: int = 0
    left: Exception | None = None
    """What was raised about rows that are left as they are, since too many were put aside."""

    def work(
        self,
        ids: Sequence[int],
        at_once: Callable[[Sequence[int]], None],
        put_aside: Callable[[int, str], None] | None = None,
    ) -> None:
        """Work at these; ``put_aside`` is given each that cannot be worked at, and why not.

        Without it such a row is left as it is, for the next run to try. Each call of either is a
        transaction of its own, and says by a RowError that nothing was done. Why is the kind of
        the error alone: what it says may hold a name or an address.
        """
        try:
            at_once(ids)
        except RowError as broken:
            error = broken.error
        else:
            return
        if self.number >= MOST:
            _log.error("%d %ss are left: %s", len(ids), self.what, tell_discreetly(error))
            self.left = self.left or error
            return
        if len(ids) > 1:
            half = len(ids) // 2
            self.work(ids[:half], at_once, put_aside)
            self.work(ids[half:], at_once, put_aside)
            return
        self.number += 1
        _log.error("%s %d is put aside: %s", self.what, ids[0], tell_discreetly(error))
        if put_aside is None:
            return
        try:
            put_aside(ids[0], type(error).__name__)
        except RowError as worse:
            # It is left as it was: the next run meets it again, and puts it aside again.
            left = tell_discreetly(worse.error)
            _log.error("%s %d cannot even be put aside: %s", self.what, ids[0], left)

    def tell(self) -> None:
        """Raise what rows were left for; asked last of all, when the others are worked at."""
        if self.left is not None:
            raise self.left
