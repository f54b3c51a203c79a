"""Where many enrollments stand on their timelines: read at once, and written down at once.

The cursor is ``next_step`` and ``due_on``. ``passing`` moves it on from what is done, ``waking``
from sleep; both ask the pure ``timeline``, and have here what it must know and where it writes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from winback.database.among import among, aside
from winback.database.history import record_decisions
from winback.database.many import insert_rows, update_rows
from winback.database.tables import Enrollment, StepPassage, Voucher, table_of
from winback.enrollment.circumstances import last_day
from winback.enrollment.conditions import Standpoint, conditions_of
from winback.enrollment.timeline import ARRIVED, Circumstances, Passed, StepEnd
from winback.states import VoucherState

Given = Callable[[Row[Any]], Circumstances]
"""What the timeline must know of an enrollment besides its place."""


def read_cursors(session: Session, enrollment_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """Read where enrollments stand; the rows stay locked for the transaction.

    So that of two writers who pass the same step the second one sees it passed.
    """
    return session.connection().execute(_CURSORS, {"ids": enrollment_ids}).all()


def circumstances_for(session: Session, run: Standpoint, rows: Sequence[Row[Any]]) -> Given:
    """Give what tells the circumstances of these enrollments; a few queries for all of them."""
    ids = [row.id for row in rows]
    holds = conditions_of(session, run, rows)
    days = _voucher_days(session, ids, run)
    done: defaultdict[int, set[str]] = defaultdict(set)
    for enrollment_id, step in session.connection().execute(_PASSED, {"ids": ids}):
        done[enrollment_id].add(step)

    def given(row: Row[Any]) -> Circumstances:
        return Circumstances(
            holds=partial(holds, row),
            last_days=days[row.id],
            is_gentle=row.is_gentle,
            done=done[row.id],
        )

    return given


@dataclass(slots=True)
class CursorWrites:
    """What is to be written of a batch: passages of steps, decisions, and where cursors go."""

    run: Standpoint
    passages: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    cursors: list[dict[str, Any]] = field(default_factory=list)

    def end_step(self, row: Row[Any], how: StepEnd, passed: Passed, *, at: datetime) -> None:
        """Note how an enrollment got past a step; a decision too where nothing arrived."""
        self.passages.append(
            {
                "enrollment_id": row.id,
                "step": passed.step,
                "how": how.value,
                "why": passed.why,
                "at": at,
            }
        )
        if how not in ARRIVED:
            self.decide(row, how.value, f"{passed.step}: {passed.why}")

    def pass_at_once(self, row: Row[Any], passed: Iterable[Passed]) -> None:
        """Note the steps that are passed on the way to the next one."""
        for one in passed:
            self.end_step(row, StepEnd.PASSED, one, at=self.run.now)

    def decide(self, row: Row[Any], what: str, why: str) -> None:
        """Note a decision."""
        self.decisions.append(
            {
                "customer_id": row.customer_id,
                "campaign": row.campaign,
                "enrollment_id": row.id,
                "what": what,
                "why": why,
                "at": self.run.now,
            }
        )

    def move_cursor(self, row: Row[Any], **changes: Any) -> None:
        """Note where the cursor goes: ``next_step``, ``due_on``, ``is_gentle``, ``is_asleep``."""
        stays = {name: getattr(row, name) for name in _MOVED}
        self.cursors.append({"b_id": row.id, "b_next_step": row.next_step, **stays, **changes})

    def write(self, session: Session) -> None:
        """Write all of it; a cursor that somebody else moved meanwhile stays where it is."""
        connection = session.connection()
        insert_rows(connection, table_of(StepPassage), self.passages)
        record_decisions(session, self.decisions)
        update_rows(connection, table_of(Enrollment), self.cursors)


def _voucher_days(
    session: Session, ids: Sequence[int], run: Standpoint
) -> defaultdict[int, dict[str, date]]:
    found: defaultdict[int, dict[str, date]] = defaultdict(dict)
    rows = session.connection().execute(_ISSUED, {"ids": ids})
    for enrollment_id, offer, expires_at in rows:
        if enrollment_id is None or expires_at is None:
            continue
        day = last_day(expires_at, run.zone)
        # One that was good on the day a step was done may be over by the day it is noticed.
        if day >= run.today:
            found[enrollment_id][offer] = day
    return found


_MOVED: Final = ("next_step", "due_on", "is_gentle", "is_asleep")
_CURSORS: Final = (
    select(
        Enrollment.id,
        Enrollment.customer_id,
        Enrollment.campaign,
        Enrollment.campaign_version_id,
        Enrollment.state,
        Enrollment.next_step,
        Enrollment.due_on,
        Enrollment.is_asleep,
        Enrollment.is_gentle,
        Enrollment.value,
        Enrollment.reason.label("enrollment_reason"),
    )
    .where(among(Enrollment.id, "ids"))
    .order_by(Enrollment.id)
    .with_for_update(key_share=True)
)
_PASSED: Final = select(StepPassage.enrollment_id, StepPassage.step).where(
    among(StepPassage.enrollment_id, "ids")
)
_ISSUED: Final = select(Voucher.enrollment_id, Voucher.offer, Voucher.expires_at).where(
    among(Voucher.enrollment_id, "ids"), aside(Voucher.state) == VoucherState.ISSUED
)
