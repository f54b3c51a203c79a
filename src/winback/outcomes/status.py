"""Where everything stands: counts by state, the oldest unresolved, the last runs."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from winback.business import Business
from winback.database.tables import Case, Enrollment, Event, Message, StageRun, Voucher
from winback.outcomes.needs import find_needs
from winback.outcomes.unknown import read_unknown
from winback.states import (
    CaseState,
    EnrollmentState,
    EventState,
    MessageState,
    Mode,
    Stage,
    VoucherState,
)
from winback.vouchers.stock import stock


def read_status(session: Session, business: Business, *, now: datetime) -> dict[str, Any]:
    """Give counts by state, every state listed, zeros too; works on an empty database.

    ``oldest`` names what has been unresolved the longest, None where nothing is; ``runs`` the
    last run of each stage with the kind of its error, None where it never ran;
    ``needs_a_person`` what waits for one, a template edit that cannot go live, a paused channel
    and codes to export among it; ``unknown`` every message in doubt.
    """
    must_be_exported = business.settings.mode is not Mode.SANDBOX
    lines = stock(session, business.campaigns, now=now, must_be_exported=must_be_exported)
    return {
        "as_of": now,
        "enrollments": _counted(session, Enrollment.state, EnrollmentState),
        "messages": _counted(session, Message.state, MessageState),
        "vouchers": _counted(session, Voucher.state, VoucherState),
        "cases": _counted(session, Case.state, CaseState),
        "events": _counted(session, Event.state, EventState),
        "oldest": {
            "queued_message": session.scalar(
                select(func.min(Message.due_at)).where(Message.state == MessageState.QUEUED)
            ),
            "unconfirmed_message": session.scalar(
                select(func.min(Message.claimed_at)).where(
                    Message.state.in_([MessageState.SENDING, MessageState.UNCONFIRMED])
                )
            ),
            "open_case": session.scalar(
                select(func.min(Case.opened_at)).where(Case.state != CaseState.CLOSED)
            ),
            "waiting_event": session.scalar(
                select(func.min(Event.received_at)).where(Event.state == EventState.RECEIVED)
            ),
            "dead_event": session.scalar(
                select(func.min(Event.received_at)).where(Event.state == EventState.DEAD)
            ),
        },
        "unknown": [one.plain() for one in read_unknown(session)],
        "runs": {stage.value: _last_run(session, stage) for stage in Stage},
        "needs_a_person": [asdict(need) for need in find_needs(session, business, lines, now=now)],
    }


def _counted(
    session: Session, column: InstrumentedAttribute[Any], words: type[StrEnum]
) -> dict[str, int]:
    query = select(column, func.count()).group_by(column)
    counted = dict(session.execute(query).tuples().all())
    return {word.value: counted.get(word, 0) for word in words}


def _last_run(session: Session, stage: Stage) -> dict[str, Any] | None:
    run = session.scalars(
        select(StageRun)
        .where(StageRun.stage == stage)
        .order_by(StageRun.started_at.desc(), StageRun.id.desc())
        .limit(1)
    ).one_or_none()
    if run is None:
        return None
    started: datetime = run.started_at
    return {
        "as_of": run.as_of,
        "started_at": started,
        "ended_at": run.ended_at,
        "by": run.by,
        "counts": run.counts,
        "error": run.error,
    }
