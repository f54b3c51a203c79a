"""What failed at the database is left alone for a moment, by all calls of a batch.

Each try may wait two seconds for a lock, and the loop with it: were each call to try anew, a
batch would hold up for minutes what is already on its way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from winback.clock import Clock

LASTS: Final = timedelta(seconds=1)
"""So long nothing is tried after a failure."""


@dataclass(slots=True)
class Setback:
    """When the database last failed whoever wanted one thing of it, and how."""

    clock: Clock
    _last: tuple[datetime, SQLAlchemyError] | None = None

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Try something; raises the last failure at once where that was a moment ago."""
        if self._last is not None and self.clock.now() < self._last[0] + LASTS:
            raise self._last[1]
        try:
            yield
        except SQLAlchemyError as failure:
            self._last = (self.clock.now(), failure)
            raise
