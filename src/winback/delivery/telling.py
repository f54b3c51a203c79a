"""Tell, once for each reason, why a step that is due is not queued: decisions of its enrollment."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.database.history import record_decision, record_decisions
from winback.database.tables import Decision, Enrollment
from winback.delivery.planning import Plan
from winback.delivery.run import Run
from winback.delivery.windows import tomorrow_start
from winback.outcomes.unplanned import NOT_PLANNED


def tell_owner(session: Session, run: Run, waits: Sequence[tuple[Plan, str]]) -> None:
    """Note, once a day, that a step waits for codes that the shop does not know yet."""
    if not waits:
        return
    today = tomorrow_start(run.now, run.zone) - timedelta(days=1)
    told = set(
        session.scalars(
            select(Decision.enrollment_id).where(
                Decision.customer_id.in_([plan.row.customer_id for plan, _ in waits]),
                Decision.what == "postponed",
                Decision.at >= today,
            )
        )
    )
    record_decisions(
        session,
        [
            {
                "customer_id": plan.row.customer_id,
                "campaign": plan.row.campaign,
                "enrollment_id": plan.row.id,
                "what": "postponed",
                "why": f"{plan.step.step}: {why}",
                "at": run.now,
            }
            for plan, why in waits
            if plan.row.id not in told
        ],
    )


def tell_unplanned(session: Session, run: Run, enrollment_id: int, kind: str) -> None:
    """Note that what is due of an enrollment cannot be planned, for an error of this kind.

    It is noted again where something else was decided since, or about another step.
    """
    row = session.execute(_ENROLLMENT, {"enrollment": enrollment_id}).one()
    known = {"customer": row.customer_id, "enrollment": enrollment_id}
    last = session.execute(_LAST_DECISION, known).one_or_none()
    if (
        last is not None
        and (last.what, last.why) == (NOT_PLANNED, kind)
        and (row.due_on is None or local_date(last.at, run.zone) >= row.due_on)
    ):
        return
    record_decision(
        session,
        row.customer_id,
        what=NOT_PLANNED,
        why=kind,
        at=run.now,
        campaign=row.campaign,
        enrollment_id=enrollment_id,
    )


_ENROLLMENT: Final = select(Enrollment.customer_id, Enrollment.campaign, Enrollment.due_on).where(
    Enrollment.id == bindparam("enrollment")
)
_LAST_DECISION: Final = (
    select(Decision.what, Decision.why, Decision.at)
    .where(
        Decision.customer_id == bindparam("customer"),
        Decision.enrollment_id == bindparam("enrollment"),
    )
    .order_by(Decision.at.desc(), Decision.id.desc())
    .limit(1)
)
