"""Act on a tapped reason by the table: continue, go to, sleep, hand over, part, and answer."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import bindparam, func, select, update

from winback.campaign.actions import ActionKind
from winback.campaign.versions import campaign_of_version
from winback.clock import local_date
from winback.database.tables import Enrollment, Response, table_of
from winback.delivery.answers import queue_answer
from winback.enrollment import progress
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.enrollment.timeline import months_from
from winback.responses.cases import open_case
from winback.responses.hand import Enrolled, Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Matched
from winback.responses.months import months_to_choose, read_month
from winback.responses.table import Row, action_of, row_of
from winback.states import CaseKind, EnrollmentState, Reason


@dataclass(frozen=True, slots=True)
class _Given:
    """One reason that is news, and where it meets its enrollment."""

    reason: Reason
    row: Row
    event: Heard
    enrollment: Enrolled
    customer_id: int

    @property
    def why(self) -> str:
        return f"the customer {self.row.says}"


def give_reason(hand: Hand, matched: Matched, event: Heard) -> None:
    """Act on a reason; the same one as last time is no news, a later different one acts again.

    After a final state the state stays; what can still be answered or repaired, is. Of who was
    two customers the enrollment that goes on is meant, by the table of its campaign.
    """
    reason, message = Reason(event.extra["reason"]), matched.message
    if message is None or matched.customer_id is None:
        return
    enrollment = hand.going_on(message.enrollment_id)
    campaign = campaign_of_version(hand.session, enrollment.campaign_version_id)
    given = _Given(reason, row_of(reason, campaign), event, enrollment, matched.customer_id)
    action = _action_text(given.row, event)
    if not _is_news(hand, enrollment, reason, action):
        return
    hand.note(
        _next_key(hand, enrollment),
        customer_id=given.customer_id,
        kind="reason",
        reason=reason,
        action=action,
        at=event.at,
        enrollment_id=enrollment.id,
        message_id=message.id,
        event_id=event.event_id,
    )
    hand.count("reasons")
    # Before anything moves: conditions of later steps may ask for it.
    hand.session.connection().execute(
        _SET_REASON, {"enrollment_id": enrollment.id, "given": reason.value}
    )
    if reason.value in campaign.answers and queue_answer(
        hand.session, enrollment.id, reason.value, now=hand.now
    ):
        hand.count("answered")
    hand.decide(given.customer_id, "reason", f"{given.row.says}: {action}", enrollment)
    _act(hand, given)


def _act(hand: Hand, given: _Given) -> None:
    session, enrollment_id, row = hand.session, given.enrollment.id, given.row
    match row.kind:
        case ActionKind.GO_TO if row.step is not None:
            zone = hand.business.zone
            progress.go_to(session, enrollment_id, row.step, now=hand.now, zone=zone, why=given.why)
        case ActionKind.SLEEP:
            _sleep(hand, given)
        case ActionKind.HAND_OVER:
            _hand_over(hand, given)
        case ActionKind.PART:
            if move(session, enrollment_id, EnrollmentEvent.PARTED, now=hand.now, why=given.why):
                hand.count("parted")


def _sleep(hand: Hand, given: _Given) -> None:
    was_active = given.enrollment.state is EnrollmentState.ACTIVE
    slept = progress.sleep(
        hand.session,
        given.enrollment.id,
        until=_wakes_on(hand, given),
        now=hand.now,
        zone=hand.business.zone,
        why=given.why,
        is_gentle=given.row.is_gentle,
    )
    if slept:
        hand.count("slept")
    elif was_active:
        # A second sleep parts (DESIGN.md, section 5).
        is_parted = hand.enrollment(given.enrollment.id).state is EnrollmentState.PARTED
        hand.count("parted", int(is_parted))


def _wakes_on(hand: Hand, given: _Given) -> date:
    zone = hand.business.zone
    today = local_date(hand.now, zone)
    if given.row.months is not None:
        return months_from(today, given.row.months)
    written = str(given.event.extra.get("month") or "")
    chosen = read_month(written, local_date(given.event.at, zone))
    return chosen or months_to_choose(today)[0]


def _hand_over(hand: Hand, given: _Given) -> None:
    is_repair = given.reason is Reason.SERVICE
    open_case(
        hand,
        f"reason:{given.enrollment.id}:{given.event.event_id}",
        kind=CaseKind.REPAIR if is_repair else CaseKind.REPLY,
        customer_id=given.customer_id,
        enrollment_id=given.enrollment.id,
        event_id=given.event.event_id,
        label="complaint" if is_repair else given.reason.value.replace("_", " "),
        text="",
    )
    if progress.hand_over(hand.session, given.enrollment.id, now=hand.now, why=given.why):
        hand.count("handed_over")


def _action_text(row: Row, event: Heard) -> str:
    if row.kind is ActionKind.SLEEP and row.months is None:
        return f"sleep until {event.extra.get('month') or 'next month'}"
    return str(action_of(row))


def _is_news(hand: Hand, enrollment: Enrolled, reason: Reason, action: str) -> bool:
    connection = hand.session.connection()
    last = connection.execute(_LAST_REASON, {"enrollment_id": enrollment.id}).one_or_none()
    return last is None or tuple(last) != (reason.value, action)


def _next_key(hand: Hand, enrollment: Enrolled) -> str:
    before = hand.session.connection().scalar(_REASONS, {"enrollment_id": enrollment.id})
    return f"reason:{enrollment.id}:{before or 0}"


_ENROLLMENTS: Final = table_of(Enrollment)
_SET_REASON: Final = (
    update(_ENROLLMENTS)
    .where(_ENROLLMENTS.c.id == bindparam("enrollment_id"))
    .values(reason=bindparam("given"))
)
_IS_A_REASON: Final = (
    Response.enrollment_id == bindparam("enrollment_id"),
    Response.kind == "reason",
)
_LAST_REASON: Final = (
    select(Response.reason, Response.action)
    .where(*_IS_A_REASON)
    .order_by(Response.id.desc())
    .limit(1)
)
_REASONS: Final = select(func.count()).select_from(Response).where(*_IS_A_REASON)
