"""The associates' desk: who waits, what we promised them, and what came of it."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.history import record_move
from winback.database.tables import Case
from winback.delivery.answers import queue_answer
from winback.enrollment import progress
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.errors import ConfigError, WinbackError
from winback.responses.hand import Hand
from winback.responses.purchases import PURCHASE
from winback.responses.results import CONSEQUENCES, Consequence, Result
from winback.responses.stopping import stop_person
from winback.states import CaseKind, CaseState, EnrollmentState, SuppressionReason


def take(session: Session, case_id: int, *, by: str, now: datetime) -> None:
    """Take a case: nobody else works on it meanwhile.

    Raises ConfigError for an unknown case, WinbackError for one that somebody has or that is
    closed. Taking one's own again changes nothing.
    """
    case = _case(session, case_id)
    if case.state is CaseState.TAKEN and case.taken_by == by:
        return
    taken = session.execute(
        update(Case)
        .where(Case.id == case_id, Case.state == CaseState.OPEN)
        .values(state=CaseState.TAKEN, taken_by=by)
        .returning(Case.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not taken:
        holder = f"taken by {case.taken_by}" if case.state is CaseState.TAKEN else "closed"
        raise WinbackError(f"case {case_id} is {holder}")
    _record(session, case_id, CaseState.OPEN, CaseState.TAKEN, event="taken", now=now)


def note(session: Session, case_id: int, text: str, *, now: datetime) -> None:
    """Add a dated line to a case's note; raises ConfigError for an unknown case."""
    case = _case(session, case_id)
    line = f"{now:%Y-%m-%d %H:%M} {text.strip()}"
    session.execute(
        update(Case)
        .where(Case.id == case_id)
        .values(note=f"{case.note}\n{line}".strip())
        .execution_options(synchronize_session=False)
    )


def close(
    session: Session,
    business: Business,
    case_id: int,
    result: Result,
    *,
    now: datetime,
    step: str | None = None,
) -> str:
    """Note a case's result and do what follows from it; gives a sentence that says what.

    ``step`` resumes there instead of where the timeline stood. While another case of the
    enrollment is open, a person still answers, and nothing is resumed. Raises ConfigError for an
    unknown case or an impossible step, WinbackError for a case that is closed.
    """
    case = _case(session, case_id)
    if case.state is CaseState.CLOSED:
        raise WinbackError(f"case {case_id} is closed already, with the result {case.result}")
    if step is not None and result is not Result.RESOLVED:
        raise ConfigError("only the result resolved goes on at a step")
    follows = CONSEQUENCES[result]
    _settle(session, case, result, follows, now=now)
    hand = Hand(session, business, now)
    hand.decide(case.customer_id, "case_result", f"{case.kind} case: {follows.says}")
    if result is Result.DO_NOT_CONTACT:
        stop_person(hand, case.customer_id, SuppressionReason.ASSOCIATE, source="desk")
        return "nothing is sent to this customer any more, on any channel"
    if follows.event is None:
        return "the case stays open for another try"
    return _move(hand, case, follows, follows.event, step=step)


def _settle(
    session: Session, case: Case, result: Result, follows: Consequence, *, now: datetime
) -> None:
    is_over = follows.case_state is CaseState.CLOSED
    done = session.execute(
        update(Case)
        .where(Case.id == case.id, Case.state == case.state)
        .values(
            state=follows.case_state,
            result=result.value,
            closed_at=now if is_over else None,
            taken_by=case.taken_by if is_over else None,
        )
        .returning(Case.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not done:
        raise WinbackError(f"somebody else changed case {case.id} just now; look at it again")
    if case.state is not follows.case_state:
        _record(session, case.id, case.state, follows.case_state, event=result, now=now)


def _move(
    hand: Hand, case: Case, follows: Consequence, event: EnrollmentEvent, *, step: str | None
) -> str:
    if case.enrollment_id is None:
        return "the case is closed"
    enrollment_id = hand.going_on(case.enrollment_id).id
    if event is EnrollmentEvent.RESUMED:
        return _resume(hand, case, enrollment_id, step, why=follows.says)
    if move(hand.session, enrollment_id, event, now=hand.now, why=follows.says):
        if event is EnrollmentEvent.PURCHASED:
            queue_answer(hand.session, enrollment_id, PURCHASE, now=hand.now)
        return f"the enrollment is {hand.enrollment(enrollment_id).state}"
    return f"the enrollment stays {hand.enrollment(enrollment_id).state}"


def _resume(hand: Hand, case: Case, enrollment_id: int, step: str | None, *, why: str) -> str:
    state = hand.enrollment(enrollment_id).state
    if state is not EnrollmentState.HANDED_OVER:
        if step is not None:
            raise ConfigError(f"the enrollment is {state}, not handed over: no step to go on at")
        return f"the case is closed; the enrollment stays {state}"
    if _others_wait(hand.session, case, enrollment_id):
        return "the case is closed; another case of this customer still waits"
    zone = hand.business.zone
    refusal = progress.why_not_resume(hand.session, enrollment_id, step, now=hand.now, zone=zone)
    if refusal is not None:
        raise ConfigError(f"cannot go on at {step or 'the next step'}: {refusal}")
    progress.resume(hand.session, enrollment_id, step=step, now=hand.now, zone=zone, why=why)
    row = hand.enrollment(enrollment_id)
    return f"resumed: {row.next_step or 'the rest'} comes next, on {row.due_on}"


def _others_wait(session: Session, case: Case, enrollment_id: int) -> bool:
    waiting = session.scalar(
        select(func.count())
        .select_from(Case)
        .where(
            Case.enrollment_id == enrollment_id,
            Case.id != case.id,
            Case.state != CaseState.CLOSED,
            Case.kind.in_((CaseKind.REPLY, CaseKind.REPAIR)),
        )
    )
    return bool(waiting)


def _case(session: Session, case_id: int) -> Case:
    case = session.get(Case, case_id, populate_existing=True)
    if case is None:
        raise ConfigError(f"there is no case {case_id}; winback desk lists those that wait")
    return case


def _record(
    session: Session,
    case_id: int,
    from_state: CaseState,
    to_state: CaseState,
    *,
    event: str,
    now: datetime,
) -> None:
    record_move(
        session,
        "case",
        case_id,
        from_state=from_state,
        to_state=to_state,
        event=event,
        at=now,
    )
