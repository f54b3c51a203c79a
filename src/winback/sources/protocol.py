"""What every kind of source gives: slices of rows, and how far it was read.

A connector to one more shop is one module with a class that has ``slices``, and one line in
``winback.sources.pulling``.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

Part = Literal["customers", "purchases"]
QUERY: Final = "query"
"""The path of a query's answer."""
Row = tuple[int, Sequence[str]]
"""A line (or number) from 1, and the values in the order of the slice's columns, all text."""


class BadRow(ValueError):
    """One row that cannot be taken: its reason is kept with it."""

    def __init__(self, line: int, reason: str, values: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason
        self.values = values


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one file, or a query, was read."""

    size: int = 0
    """Bytes up to the end of the last complete line that was read."""
    line: int = 0
    """Lines in these bytes."""
    fingerprint: str = ""
    pulled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a pull has come: what a progress bar shows."""

    source: str
    part: Part
    path: str
    rows: int
    done: int
    total: int
    """In bytes for files; 0 where nobody knows."""


Progress = Callable[[Reading], None]


class Slice(Protocol):
    """Rows that are taken together: one file, what a file grew by, or the answer to a query."""

    @property
    def path(self) -> str:
        """Name it as people know it: the file, or ``query``."""

    @property
    def is_whole(self) -> bool:
        """Say whether it replaces what was read of this path before."""

    @property
    def first_line(self) -> int:
        """Give the line that it begins at."""

    def names(self) -> Sequence[str]:
        """Give our names of the columns, in the order of the values; raises SourceError."""

    def rows(self) -> Iterator[Row | BadRow]:
        """Give the rows, streaming; raises SourceError when the whole of it must be refused."""

    def earlier_rows(self) -> Iterator[Row | BadRow]:
        """Give the rows of this path that stand before it; none where it is whole."""

    def progress(self) -> tuple[int, int]:
        """Give how much was read, and of how much."""

    def mark(self, now: datetime) -> Mark:
        """Give how far it was read, once all rows were."""


class Source(Protocol):
    """One place where customers and purchases come from."""

    def slices(self, part: Part, marks: Mapping[str, Mark]) -> Generator[Slice, None, None]:
        """Give what is new or changed in a part since the marks; raises SourceError.

        Closed before its end where another pull takes from the source meanwhile.
        """
