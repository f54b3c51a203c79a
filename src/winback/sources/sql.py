"""Sources that are databases: two queries, read only, streamed (FACTS.md SEC-21)."""

import difflib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, CursorResult, Engine, create_engine, make_url, text
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from winback.errors import SourceError
from winback.sources.config import CustomerColumns, PurchaseColumns, Sql
from winback.sources.protocol import QUERY, BadRow, Mark, Part, Row, Slice
from winback.sources.query_refusals import why_no_entry, why_refused
from winback.sources.values import to_text

_LONG_AGO: Final = datetime(1970, 1, 2, tzinfo=UTC)
_BATCH: Final = 5_000


class SqlSource:
    """The queries of one source."""

    def __init__(self, name: str, how: Sql, zone: ZoneInfo) -> None:
        """``zone`` is the zone in which the database's naive times are."""
        self._name = name
        self._how = how
        self._zone = zone

    def slices(self, part: Part, marks: Mapping[str, Mark]) -> Generator[Slice, None, None]:
        """Give the answer to the part's query, while the connection is open."""
        configured = self._how.customers if part == "customers" else self._how.purchases
        if configured is None:
            return
        mark = marks.get(QUERY)
        since = _LONG_AGO
        if mark is not None and mark.pulled_at is not None:
            overlap = self._how.overlap
            since = mark.pulled_at - timedelta(days=overlap.days + 31 * overlap.months)
        with self._connected(part) as connection, self.refusing(part):
            statement = text(configured.query)
            if "since" in statement._bindparams:  # noqa: SLF001 - no public way to ask a text
                statement = statement.bindparams(since=self._written(connection, since))
            result = connection.execution_options(stream_results=True, yield_per=_BATCH).execute(
                statement
            )
            yield _Answer(self, part, result)

    @property
    def name(self) -> str:
        """The source's name."""
        return self._name

    @property
    def row_limit(self) -> int:
        """How many rows a query may give."""
        return self._how.row_limit

    @contextmanager
    def _connected(self, part: Part) -> Iterator[Connection]:
        with ExitStack() as opened:
            try:
                engine = _engine(self._how.url.get_secret_value())
                opened.callback(engine.dispose)
                connection = opened.enter_context(engine.connect())
                _read_only(connection, self._zone, minutes=self._how.timeout_minutes)
            except (NoSuchModuleError, ImportError):
                raise SourceError(
                    f"{self._name}: the driver of this database is not installed"
                ) from None
            except SQLAlchemyError as refused:
                raise SourceError(
                    f"{self._name}: no connection to the database for {part}: "
                    f"{why_no_entry(refused)}; mend url in config/sources.yaml or the database"
                ) from None
            yield connection

    def _written(self, connection: Connection, since: datetime) -> datetime:
        """Give ``:since`` as the database compares it: PostgreSQL knows zones, others do not."""
        if connection.dialect.name == "postgresql":
            return since
        return since.astimezone(self._zone).replace(tzinfo=None)

    @contextmanager
    def refusing(self, part: Part) -> Iterator[None]:
        """Turn what the database says of a query into one sentence without values of rows."""
        try:
            yield
        except SQLAlchemyError as refused:
            raise SourceError(
                f"{self._name}: the query of {part} was refused: {why_refused(refused)}; "
                "try it by hand"
            ) from None


@dataclass(slots=True)
class _Answer:
    """The rows of one query."""

    source: SqlSource
    part: Part
    result: CursorResult[tuple[object, ...]]
    count: int = 0

    path = QUERY
    is_whole = True
    first_line = 1

    def names(self) -> Sequence[str]:
        """Give the result's columns, which carry our names."""
        model = CustomerColumns if self.part == "customers" else PurchaseColumns
        known = list(model.model_fields)
        there = list(self.result.keys())
        for name in there:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
                raise SourceError(
                    f"{self.source.name}: the query of {self.part} gives an unknown column "
                    f"{name!r}; {hint}"
                )
        for name, field in model.model_fields.items():
            if field.is_required() and name not in there:
                raise SourceError(
                    f"{self.source.name}: the query of {self.part} gives no column {name!r}; "
                    f"it gives {', '.join(there)}"
                )
        return there

    def rows(self) -> Iterator[Row | BadRow]:
        """Give the rows as text, streaming."""
        with self.source.refusing(self.part):
            for values in self.result:
                self.count += 1
                if self.count > self.source.row_limit:
                    raise SourceError(
                        f"{self.source.name}: the query of {self.part} gives more than "
                        f"{self.source.row_limit:,} rows; narrow it or raise row_limit"
                    )
                yield self.count, [to_text(value) for value in values]

    def earlier_rows(self) -> Iterator[Row | BadRow]:
        """Give nothing: an answer is whole."""
        return iter(())

    def progress(self) -> tuple[int, int]:
        """Give nothing: nobody knows how many rows there will be."""
        return 0, 0

    def mark(self, now: datetime) -> Mark:
        """Give the start of this pull."""
        return Mark(pulled_at=now)


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        # A shop's file is never created and never written.
        database = (
            parsed.database if parsed.database.startswith("file:") else f"file:{parsed.database}"
        )
        parsed = parsed.set(database=database, query={"mode": "ro", "uri": "true"})
    return create_engine(parsed, hide_parameters=True)


def _read_only(connection: Connection, zone: ZoneInfo, *, minutes: int) -> None:
    """Make the connection one that cannot write, and stops what takes too long."""
    match connection.dialect.name:
        case "sqlite":
            connection.exec_driver_sql("PRAGMA query_only=ON")
        case "postgresql":
            connection.execute(
                text("SELECT set_config('statement_timeout', :limit, false)"),
                {"limit": f"{minutes}min"},
            )
            connection.execute(
                text("SELECT set_config('TimeZone', :zone, false)"), {"zone": zone.key}
            )
            connection.commit()
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        case "mysql" | "mariadb":
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            connection.commit()
        case _:
            pass
