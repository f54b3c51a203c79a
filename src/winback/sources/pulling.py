"""Pull every source: what is new or changed, each slice in one transaction, safe to repeat.

A slice is read into temporary tables first, and its transaction begins only when all of it is
there: however slow a source is, on SQLite nobody who writes waits for it.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from winback.database.retrying import retried
from winback.errors import ConfigError, SourceError
from winback.failpoints import committing
from winback.settings import Settings
from winback.sources.config import Files, SourceConfig
from winback.sources.customer_rows import CustomerForm
from winback.sources.files import FilesSource
from winback.sources.marks import Marks, keep_mark, marks_of
from winback.sources.protocol import Mark, Part, Progress, Reading, Slice, Source
from winback.sources.purchase_rows import PurchaseForm
from winback.sources.sql import SqlSource
from winback.sources.staging import (
    one_pull_at_a_time,
    pulling_connection,
    without_writing,
)
from winback.sources.taking_customers import TakingCustomers
from winback.sources.taking_purchases import Taken, Taking
from winback.sources.waiting import WAITING_NAMES, Waiting, any_waiting
from winback.states import Mode

__all__ = ["Progress", "PullCounts", "Reading", "pull_each", "pull_sources"]

logger = logging.getLogger(__name__)

_PARTS: Final[tuple[Part, ...]] = ("customers", "purchases")
_TRIES: Final = 3
"""How often a pull looks for what is left of a part before it gives way to another pull."""


@dataclass(frozen=True, slots=True)
class PullCounts:
    """What a pull came to, in rows."""

    read: int = 0
    added: int = 0
    changed: int = 0
    rejected: int = 0

    def __add__(self, other: "PullCounts") -> "PullCounts":
        return PullCounts(
            self.read + other.read,
            self.added + other.added,
            self.changed + other.changed,
            self.rejected + other.rejected,
        )


def pull_sources(
    engine: Engine,
    sources: Sequence[SourceConfig],
    *,
    settings: Settings,
    secret: str,
    home: Path,
    now: datetime,
    only: str | None = None,
    progress: Progress | None = None,
) -> PullCounts:
    """Pull all sources, or one by name, and give the counts of all; as ``pull_each``."""
    each = pull_each(
        engine,
        sources,
        settings=settings,
        secret=secret,
        home=home,
        now=now,
        only=only,
        progress=progress,
    )
    return sum(each.values(), PullCounts())


def pull_each(
    engine: Engine,
    sources: Sequence[SourceConfig],
    *,
    settings: Settings,
    secret: str,
    home: Path,
    now: datetime,
    only: str | None = None,
    progress: Progress | None = None,
) -> dict[str, PullCounts]:
    """Pull all sources, or one by name, and give the counts of each.

    A file or query that must be refused does not stop the others; once all were pulled, it
    raises SourceError with one sentence for each. So a day never goes on with half the facts.
    """
    names = [source.name for source in sources]
    if only is not None and only not in names:
        known = ", ".join(names) or "none yet"
        raise ConfigError(f"there is no source {only!r} in config/sources.yaml; there is {known}")
    pulled: dict[str, PullCounts] = {}
    refused: list[SourceError] = []
    for source in sources:
        if only in (None, source.name):
            pull = _Pull(engine, source, settings, secret=secret, home=home, now=now, tell=progress)
            pulled[source.name] = pull.all_parts(refused)
    if refused:
        raise SourceError(
            "\n".join(map(str, refused)), discreet="\n".join(one.discreet for one in refused)
        )
    return pulled


class _PulledMeanwhile(Exception):
    """Another pull took from this source since this one began to read: nothing is written."""


class _Pull:
    """One source being pulled."""

    def __init__(
        self,
        engine: Engine,
        source: SourceConfig,
        settings: Settings,
        *,
        secret: str,
        home: Path,
        now: datetime,
        tell: Progress | None,
    ) -> None:
        self._engine = engine
        self._source = source
        self._settings = settings
        self._secret = secret
        self._now = now
        self._tell = tell
        self._zone = settings.business.zone
        zone = source.how.time_zone
        self._source_zone = ZoneInfo(zone) if zone else self._zone
        self._marks: Marks = {}
        self._rows: Source = _source_of(source, settings, home, self._source_zone)

    def all_parts(self, refused: list[SourceError]) -> PullCounts:
        """Pull customers, then purchases; notes what was refused."""
        counts = PullCounts()
        for part in _PARTS:
            if getattr(self._source.how, part) is not None:
                counts += self._part(part, refused)
        logger.info(
            "pulled %s: read %d, added %d, changed %d, rejected %d",
            self._source.name,
            counts.read,
            counts.added,
            counts.changed,
            counts.rejected,
        )
        return counts

    def _part(self, part: Part, refused: list[SourceError]) -> PullCounts:
        """Pull one part; where another pull took from the source meanwhile, what that one left.

        It may have died, or read for an hour: nothing is taken for done that has no mark.
        """
        counts, told = PullCounts(), list[SourceError]()
        for _ in range(_TRIES):
            # What is refused is read and refused again, and told once.
            told = []
            try:
                with pulling_connection(self._engine) as connection:
                    for taken in self._slices(connection, part, told):
                        counts += taken
                break
            except _PulledMeanwhile:
                logger.info("%s: another pull has taken from it; looking again", self._source.name)
        else:
            told.append(
                SourceError(
                    f"{self._source.name}: another pull takes from it at the same time, and its "
                    f"{part} may not all be there; wait until that one has ended, then pull again"
                )
            )
        refused += told
        return counts

    def _slices(
        self, connection: Connection, part: Part, refused: list[SourceError]
    ) -> Iterator[PullCounts]:
        """Take each slice since the marks, in a transaction: rows, sums and watermark together."""
        with without_writing(connection):
            self._marks = marks_of(connection, self._source.name)
            has_waiting = part == "purchases" and any_waiting(connection, self._source.name)
        if has_waiting:
            yield self._waiting(connection)
        marks = {path: mark for (its, path), mark in self._marks.items() if its == part}
        with closing(self._rows.slices(part, marks)) as pieces:
            while True:
                # A refused file leaves nothing behind; the files beside it are taken.
                try:
                    piece = next(pieces, None)
                    if piece is None:
                        return
                    yield self._take(connection, part, piece)
                except SourceError as error:
                    refused.append(error)
                    if _is_over(pieces):
                        return

    def _take(self, connection: Connection, part: Part, piece: Slice) -> PullCounts:
        names = piece.names()

        def step(rows: int) -> None:
            if self._tell is not None:
                done, total = piece.progress()
                self._tell(Reading(self._source.name, part, piece.path, rows, done, total))

        taking: TakingCustomers | Taking
        with Session(bind=connection, join_transaction_mode="rollback_only") as session:
            if part == "customers":
                taking = TakingCustomers(
                    connection,
                    session,
                    self._customer_form(names),
                    self._settings.business.currency,
                    self._now,
                    step,
                )
            else:
                taking = Taking(
                    connection,
                    session,
                    self._purchase_form(piece.path, names),
                    self._now,
                    self._source.how.customers is None,
                    step,
                )
            return self._taken(taking, part, piece)

    def _taken(self, taking: TakingCustomers | Taking, part: Part, piece: Slice) -> PullCounts:
        """Read a slice, then write it; again where PostgreSQL ended that for another's sake."""
        with taking.staged(piece) as write:
            # Known before the lock is taken: a file may be read once more for it.
            mark = None if isinstance(piece, Waiting) else piece.mark(self._now)
            writing = partial(self._written, taking, write, part=part, path=piece.path, mark=mark)
            taken = retried(writing)
        return PullCounts(taken.read, taken.added, taken.changed, taken.rejected)

    def _written(
        self,
        taking: TakingCustomers | Taking,
        write: Callable[[], Taken],
        *,
        part: Part,
        path: str,
        mark: Mark | None,
    ) -> Taken:
        """Write what was read of a slice, and commit it with its watermark.

        Raises _PulledMeanwhile where another pull has taken from the source since: what was read
        then stands on what is no longer so.
        """
        connection, session, source = taking.connection, taking.session, self._source.name
        with committing(connection.begin(), "pull.part"):
            one_pull_at_a_time(connection)
            if marks_of(connection, source) != self._marks:
                raise _PulledMeanwhile
            try:
                taken = write()
                session.commit()
            except BaseException:
                # What it knows of the rows goes with the transaction, which may begin again.
                session.rollback()
                raise
            if mark is not None:
                keep_mark(connection, source, part, path=path, mark=mark)
            marks = marks_of(connection, source)
        self._marks = marks
        return taken

    def _waiting(self, connection: Connection) -> PullCounts:
        """Take purchases whose customer came since; they were counted as read before."""
        form = PurchaseForm(
            source=self._source.name,
            path="waiting",
            names=WAITING_NAMES,
            currency=self._settings.business.currency,
            source_zone=ZoneInfo("UTC"),
            business_zone=self._zone,
            date_format=None,
        )
        piece = Waiting(connection, self._source.name)
        with Session(bind=connection, join_transaction_mode="rollback_only") as session:
            taking = Taking(
                connection,
                session,
                form,
                self._now,
                False,  # noqa: FBT003 - as a field
                lambda _rows: None,
            )
            return replace(self._taken(taking, "purchases", piece), read=0)

    def _customer_form(self, names: Sequence[str]) -> CustomerForm:
        customers = self._source.how.customers
        is_said = customers is not None and customers.sms_consent_is == "written"
        return CustomerForm(
            source=self._source.name,
            names=names,
            country=self._settings.business.country,
            source_zone=self._source_zone,
            business_zone=self._zone,
            date_format=self._source.how.date_format,
            is_sms_written=is_said or self._settings.mode is Mode.SANDBOX,
            secret=self._secret,
        )

    def _purchase_form(self, path: str, names: Sequence[str]) -> PurchaseForm:
        return PurchaseForm(
            source=self._source.name,
            path=path,
            names=names,
            currency=self._settings.business.currency,
            source_zone=self._source_zone,
            business_zone=self._zone,
            date_format=self._source.how.date_format,
        )


def _source_of(source: SourceConfig, settings: Settings, home: Path, zone: ZoneInfo) -> Source:
    """Make what reads a source: one line for each kind."""
    if isinstance(source.how, Files):
        business = settings.business
        context = f"{business.currency} {business.country} {business.time_zone} {settings.mode}"
        return FilesSource(source.name, source.how, home, context=context)
    return SqlSource(source.name, source.how, zone)


def _is_over(pieces: Generator[Slice, None, None]) -> bool:
    """Say whether a generator ended by its own error, and gives nothing more."""
    return getattr(pieces, "gi_frame", None) is None
