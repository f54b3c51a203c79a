"""How long a run keeps trying to write while the database is away, pure.

What is known of calls that were made is worth a long wait: nobody else knows it, and a result
that is lost is a doubt that nobody sends again (FACTS.md DS-4). Times are seconds of a clock that
only goes on.
"""

from dataclasses import dataclass
from typing import Final

AGAIN_AFTER: Final = 0.5
"""Seconds between two tries."""

LONGEST: Final = 600.0
"""So long results are kept in memory: a slow pull or a restart of the server is over by then."""

AT_THE_END: Final = 30.0
"""So long they are tried when the run is being ended: whoever ends it will not wait for more."""


@dataclass(slots=True)
class Patience:
    """Since when nothing could be written, and when to try again."""

    longest: float = LONGEST
    since: float | None = None
    again_at: float = 0.0

    @property
    def is_tried(self) -> bool:
        """Say whether the last try failed."""
        return self.since is not None

    def waits(self, now: float) -> bool:
        """Say whether it is too early for another try."""
        return self.is_tried and now < self.again_at

    def fails(self, now: float) -> bool:
        """Note that a try failed; says whether another one is worth it."""
        if self.since is None:
            self.since = now
        self.again_at = now + AGAIN_AFTER
        return now < self.since + self.longest

    def is_over(self) -> None:
        """Note that a try went well."""
        self.since = None
