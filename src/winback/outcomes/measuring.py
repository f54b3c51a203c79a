"""Bring the outcomes up to date: recomputed from facts, at a cost that follows what changed.

Safe to repeat, at any instant and by two processes: every row is computed whole from purchases,
messages and vouchers, and written only where it differs. What could have changed since the last
measuring is found by the ids of history rows and by ``changed_at`` of customers; each window is
computed once more when it ends, so final numbers never rest on what an earlier look missed.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, Row, delete, select
from sqlalchemy.orm import Session

from winback.campaign.versions import campaign_of_version
from winback.clock import to_utc
from winback.database.tables import Enrollment, Outcome
from winback.failpoints import committing
from winback.outcomes import queries
from winback.outcomes.rule import Bought, Redeemed, Result, Sent, Window, result_of
from winback.settings import Settings

logger = logging.getLogger(__name__)

_CHUNK: Final = 2_000
_OVERLAP_ROWS: Final = 1_000
_OVERLAP: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MeasureCounts:
    """What one measuring did."""

    looked_at: int = 0
    """Enrollments whose facts could have changed."""
    changed: int = 0
    """Outcomes written because they differ from what stood there."""
    closed: int = 0
    """Of these, windows that ended since the last measuring."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far the last measuring saw."""

    as_of: datetime
    enrollments: int
    moves: int
    responses: int
    purchases: int


def measure(engine: Engine, *, settings: Settings, now: datetime) -> MeasureCounts:
    """Bring every outcome up to date; does nothing where nothing changed."""
    with Session(engine.execution_options(winback_reads_only=True)) as session:
        seen = _seen(session, now)
        ids = _changed_since(session, _read_mark(session), seen)
    looked_at = changed = closed = 0
    for start in range(0, len(ids), _CHUNK):
        with Session(engine) as session, committing(session.begin(), "measure.part"):
            part = _measure_part(session, ids[start : start + _CHUNK], settings, now=now)
        looked_at, changed, closed = (
            looked_at + part.looked_at,
            changed + part.changed,
            closed + part.closed,
        )
    mark = asdict(seen) | {"as_of": seen.as_of.isoformat()}
    with committing(engine.begin(), "measure.mark") as connection:
        connection.execute(queries.SET_MARK, {"mark": mark})
    logger.info("measured: looked at %d, changed %d, closed %d", looked_at, changed, closed)
    return MeasureCounts(looked_at, changed, closed)


def _seen(session: Session, now: datetime) -> _Mark:
    newest = session.connection().execute(queries.NEWEST).one()
    return _Mark(now, *(id_ or 0 for id_ in newest))


def _read_mark(session: Session) -> _Mark | None:
    kept = session.connection().scalars(queries.MARK).one_or_none()
    if kept is None:
        return None
    return _Mark(**kept | {"as_of": to_utc(datetime.fromisoformat(kept["as_of"]))})


def _changed_since(session: Session, mark: _Mark | None, seen: _Mark) -> Sequence[int]:
    """Give the enrollments whose facts could have changed since the mark, in order."""
    if mark is None:
        return session.scalars(select(Enrollment.id).order_by(Enrollment.id)).all()
    mark = _with_overlap(session, mark)
    since = asdict(mark) | {"until": seen.as_of}
    connection = session.connection()
    # One small query each: a single union of all would be planned worse by both databases.
    found = {id_ for lookup in queries.LOOKUPS for id_ in connection.scalars(lookup, since)}
    return sorted(found - {None})


def _with_overlap(session: Session, mark: _Mark) -> _Mark:
    """Look a little further back where a transaction that began earlier may commit later.

    SQLite has one writer at a time, so there ids and instants are committed in order.
    """
    if session.get_bind().dialect.name == "sqlite":
        return mark
    return _Mark(
        as_of=mark.as_of - _OVERLAP,
        enrollments=mark.enrollments - _OVERLAP_ROWS,
        moves=mark.moves - _OVERLAP_ROWS,
        responses=mark.responses - _OVERLAP_ROWS,
        purchases=mark.purchases - _OVERLAP_ROWS,
    )


def _measure_part(
    session: Session, ids: Sequence[int], settings: Settings, *, now: datetime
) -> MeasureCounts:
    """Compute some enrollments whole, and write those that differ from what stands there."""
    # On the connection, here and below: the session's own machinery is for objects.
    connection = session.connection()
    enrollments = connection.execute(queries.ENROLLMENTS, {"ids": ids}).all()
    before = {
        row.enrollment_id: dict(row)
        for row in connection.execute(queries.BEFORE, {"ids": ids}).mappings()
    }
    facts = _Facts.read(session, enrollments)
    after = [
        _columns(facts.result(row, settings))
        | {"enrollment_id": row.id, "is_window_over": row.measure_until <= now}
        for row in enrollments
        if not row.is_left_out
    ]
    differing = [row for row in after if _differs(row, before.get(row["enrollment_id"]))]
    _write(session, differing, now)
    left_out = [row.id for row in enrollments if row.is_left_out and row.id in before]
    if left_out:
        session.execute(delete(Outcome).where(Outcome.enrollment_id.in_(left_out)))
    closed = [
        row
        for row in differing
        if row["is_window_over"]
        and not before.get(row["enrollment_id"], {}).get("is_window_over", False)
    ]
    return MeasureCounts(len(enrollments), len(differing) + len(left_out), len(closed))


def _columns(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__slots__}


def _differs(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    return before is None or any(before[name] != value for name, value in row.items())


def _write(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if not rows:
        return
    connection = session.connection()
    connection.execute(queries.WRITE, [{**row, "computed_at": now} for row in rows])


@dataclass(frozen=True, slots=True)
class _Facts:
    """Purchases by customer, messages and redeemed vouchers by enrollment."""

    bought: Mapping[int, Sequence[Bought]]
    sent: Mapping[int, Sequence[Sent]]
    redeemed: Mapping[int, Sequence[Redeemed]]

    @classmethod
    def read(cls, session: Session, enrollments: Sequence[Row[Any]]) -> "_Facts":
        """Read the facts of some enrollments, one query for each kind."""
        if not enrollments:
            return cls({}, {}, {})
        versions = {row.id: row.campaign_version_id for row in enrollments}
        customers = {row.customer_id for row in enrollments}
        customers |= {row.merged_into for row in enrollments if row.merged_into}
        earliest = min(row.enrolled_on for row in enrollments)
        return cls(
            bought=_read_bought(session, customers, earliest),
            sent=_read_sent(session, versions),
            redeemed=_read_redeemed(session, versions),
        )

    def result(self, row: Row[Any], settings: Settings) -> Result:
        """Give what one enrollment came to."""
        business = settings.business
        window = Window(
            row.enrolled_at, row.enrolled_on, row.measure_until, business.zone, business.currency
        )
        bought = list(self.bought.get(row.customer_id, ()))
        if row.merged_into:
            bought += self.bought.get(row.merged_into, ())
        return result_of(window, bought, self.sent.get(row.id, ()), self.redeemed.get(row.id, ()))


def _read_bought(
    session: Session, customers: Collection[int], earliest: date
) -> Mapping[int, Sequence[Bought]]:
    found: defaultdict[int, list[Bought]] = defaultdict(list)
    for row in session.connection().execute(
        queries.BOUGHT, {"ids": list(customers), "earliest": earliest}
    ):
        customer_id, id_, source, external_id, *rest = row
        found[customer_id].append(Bought(id_, (source, external_id), *rest))
    return found


def _read_sent(session: Session, ids: Collection[int]) -> Mapping[int, Sequence[Sent]]:
    found: defaultdict[int, list[Sent]] = defaultdict(list)
    for row in session.connection().execute(queries.SENT, {"ids": list(ids)}):
        enrollment_id, *rest = row
        found[enrollment_id].append(Sent(*rest))
    return found


def _read_redeemed(
    session: Session, versions: Mapping[int, int]
) -> Mapping[int, Sequence[Redeemed]]:
    found: defaultdict[int, list[Redeemed]] = defaultdict(list)
    for row in session.connection().execute(queries.REDEEMED, {"ids": list(versions)}):
        campaign = campaign_of_version(session, versions[row.enrollment_id])
        cost_of = campaign.offers[row.offer].cost_of
        found[row.enrollment_id].append(
            Redeemed(row.code, row.redeemed_at, row.purchase_id, cost_of)
        )
    return found
