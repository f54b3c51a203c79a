"""Pass steps of many enrollments at once: how the cursor moves on from a step that is done.

``timeline`` says what comes next; here it is asked for a whole batch with a handful of queries,
since every accepted message passes a step.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import BindParameter, Row, bindparam, insert, select, update
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.database.history import record_decisions
from winback.database.tables import Enrollment, StepPassage, Voucher, table_of
from winback.enrollment.circumstances import last_day
from winback.enrollment.conditions import Standpoint, campaigns_of, conditions_of
from winback.enrollment.timeline import ARRIVED, Circumstances, Next, StepEnd, next_due
from winback.states import EnrollmentState, VoucherState

_ON_THE_TIMELINE: Final = (EnrollmentState.ACTIVE, EnrollmentState.HANDED_OVER)


@dataclass(frozen=True, slots=True)
class Done:
    """How one enrollment got past one step; ``why`` is needed where nothing arrived.

    ``at`` is when that was, where it is noticed only now; None means just now.
    """

    enrollment_id: int
    step: str
    how: StepEnd
    why: str = ""
    at: datetime | None = None


@dataclass(slots=True)
class _Writes:
    passages: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    cursors: list[dict[str, Any]]


def pass_steps(session: Session, run: Standpoint, done: Sequence[Done]) -> None:
    """Record how steps were got past, for good, and set what comes next and when.

    Called when messages were accepted, skipped, failed, dropped as stale or left unconfirmed for
    24 hours, when cases were opened, and for what is passed without a message. Writes the decision
    for every end by which nothing arrived. Safe to repeat: a step has one passage, and a cursor
    moves only from that step. Who is handed over moves on without a due day; who sleeps keeps the
    waking day.
    """
    for batch in _one_per_enrollment(done):
        _pass_batch(session, run, batch)


def _one_per_enrollment(done: Sequence[Done]) -> Iterator[dict[int, Done]]:
    waiting = list(done)
    while waiting:
        batch: dict[int, Done] = {}
        later = [one for one in waiting if batch.setdefault(one.enrollment_id, one) is not one]
        yield batch
        waiting = later


def _pass_batch(session: Session, run: Standpoint, batch: dict[int, Done]) -> None:
    rows = _enrollments(session, list(batch))
    campaigns = campaigns_of(session, run, (row.campaign_version_id for row in rows))
    passages = _passages(session, list(batch))
    days = _voucher_days(session, list(batch), run)
    holds = conditions_of(session, run, rows)
    writes = _Writes([], [], [])
    for row in rows:
        one, campaign = batch[row.id], campaigns[row.campaign_version_id]
        # Also when a step that was left unconfirmed turns out to have been accepted.
        ends_gentleness = (
            row.is_gentle and one.how in ARRIVED and campaign.step(one.step).offer is None
        )
        following = None
        if one.step not in passages[row.id]:
            done_at = one.at or run.now
            _note(writes, run, row, (one.step, one.how, one.why), at=done_at)
            if row.state in _ON_THE_TIMELINE and row.next_step == one.step:
                given = Circumstances(
                    holds=partial(holds, row),
                    last_days=days[row.id],
                    is_gentle=row.is_gentle and not ends_gentleness,
                    done=passages[row.id],
                )
                following = _following(campaign, one.step, run, done_at=done_at, given=given)
                for passed in following.passed:
                    _note(writes, run, row, (passed.step, StepEnd.PASSED, passed.why), at=run.now)
        if following is not None or ends_gentleness:
            writes.cursors.append(
                _cursor(row, campaign, following, ends_gentleness=ends_gentleness)
            )
    _write(session, writes)


def _following(
    campaign: Campaign, step: str, run: Standpoint, *, done_at: datetime, given: Circumstances
) -> Next:
    following = next_due(campaign, step, done_on=local_date(done_at, run.zone), given=given)
    # What fell due before anybody noticed is due today: its freshness begins now.
    return replace(following, due_on=max(following.due_on, run.today))


def _cursor(
    row: Row[Any], campaign: Campaign, following: Next | None, *, ends_gentleness: bool
) -> dict[str, Any]:
    values = {
        "b_id": row.id,
        "b_step": row.next_step,
        "next_step": row.next_step,
        "due_on": row.due_on,
        "is_gentle": row.is_gentle and not ends_gentleness,
    }
    if following is not None:
        values |= {"next_step": following.step, "due_on": _due_day(row, campaign, following)}
    return values


def _due_day(row: Row[Any], campaign: Campaign, following: Next) -> date | None:
    if row.state is EnrollmentState.HANDED_OVER:
        return None
    if not row.is_asleep or row.due_on is None:
        return following.due_on
    # Accepted while asleep: the claim came before the wish to wait, which still holds.
    return row.due_on if following.step is not None else campaign.rest.after(row.due_on)


def _note(
    writes: _Writes, run: Standpoint, row: Row[Any], end: tuple[str, StepEnd, str], *, at: datetime
) -> None:
    step, how, why = end
    writes.passages.append(
        {"enrollment_id": row.id, "step": step, "how": how.value, "why": why, "at": at}
    )
    if how not in ARRIVED:
        writes.decisions.append(
            {
                "customer_id": row.customer_id,
                "campaign": row.campaign,
                "enrollment_id": row.id,
                "what": how.value,
                "why": f"{step}: {why}",
                "at": run.now,
            }
        )


def _write(session: Session, writes: _Writes) -> None:
    connection = session.connection()
    if writes.passages:
        connection.execute(_INSERT_PASSAGES, writes.passages)
    record_decisions(session, writes.decisions)
    if writes.cursors:
        connection.execute(_SET_CURSORS, writes.cursors)


_INSERT_PASSAGES: Final = insert(table_of(StepPassage))

_ENROLLMENTS: Final = table_of(Enrollment)
_SET_CURSORS: Final = (
    update(_ENROLLMENTS)
    .where(
        _ENROLLMENTS.c.id == bindparam("b_id"),
        _ENROLLMENTS.c.next_step.is_not_distinct_from(bindparam("b_step")),
    )
    .values({name: bindparam(name) for name in ("next_step", "due_on", "is_gentle")})
)


def _enrollments(session: Session, ids: list[int]) -> Sequence[Row[Any]]:
    return session.execute(_PASSING, {"ids": ids}).all()


_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)

_PASSING: Final = (
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
    .where(Enrollment.id.in_(_IDS))
    .order_by(Enrollment.id)
    # Locked, so that of two writers who pass the same step the second one sees it passed.
    .with_for_update()
)


def _passages(session: Session, ids: list[int]) -> defaultdict[int, set[str]]:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for enrollment_id, step in session.execute(_PASSED, {"ids": ids}):
        found[enrollment_id].add(step)
    return found


_PASSED: Final = select(StepPassage.enrollment_id, StepPassage.step).where(
    StepPassage.enrollment_id.in_(_IDS)
)


def _voucher_days(
    session: Session, ids: list[int], run: Standpoint
) -> defaultdict[int, dict[str, date]]:
    found: defaultdict[int, dict[str, date]] = defaultdict(dict)
    for enrollment_id, offer, expires_at in session.execute(_ISSUED, {"ids": ids}):
        if enrollment_id is None or expires_at is None:
            continue
        day = last_day(expires_at, run.zone)
        # One that was good on the day a step was done may be over by the day it is noticed.
        if day >= run.today:
            found[enrollment_id][offer] = day
    return found


_ISSUED: Final = select(Voucher.enrollment_id, Voucher.offer, Voucher.expires_at).where(
    Voucher.enrollment_id.in_(_IDS), Voucher.state == VoucherState.ISSUED
)
