"""Read from the copy what the rehearsal did there."""

from collections import Counter
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.database.tables import (
    Case,
    Decision,
    Enrollment,
    Message,
    Move,
    StepPassage,
    Voucher,
)
from winback.delivery.rehearsing import REHEARSAL
from winback.enrollment.timeline import ARRIVED
from winback.rehearsal.copying import Copied
from winback.rehearsal.results import Entry, Reason, Sending
from winback.states import CaseKind, Channel, MessageState, VoucherState

_CALLED_FOR: Final = {CaseKind.CALL: Channel.CALL, CaseKind.LETTER: Channel.LETTER}


def sendings(session: Session, zone: ZoneInfo) -> tuple[Sending, ...]:
    """Give all that would leave, in order: messages, and calls and letters for an associate."""
    found = [*_messages(session, zone), *_cases(session, zone)]
    return tuple(sorted(found, key=lambda one: (one.at, one.campaign, one.customer_id, one.step)))


def _messages(session: Session, zone: ZoneInfo) -> Iterator[Sending]:
    for row in session.execute(_SENT):
        yield Sending(
            at=row.accepted_at,
            day=local_date(row.accepted_at, zone),
            customer_id=row.customer_id,
            campaign=row.campaign,
            arm=row.arm,
            step=row.step,
            channel=row.channel,
            variant=row.variant,
            is_answer=row.is_answer,
            segments=row.segments,
            cost=row.cost,
        )


_SENT: Final = (
    select(
        Message.accepted_at,
        Message.customer_id,
        Enrollment.campaign,
        Enrollment.arm,
        Message.step,
        Message.channel,
        Message.variant,
        Message.is_answer,
        Message.segments,
        Message.cost,
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(Message.provider == REHEARSAL, Message.accepted_at.is_not(None))
)


def _cases(session: Session, zone: ZoneInfo) -> Iterator[Sending]:
    for row in session.execute(_OPENED):
        yield Sending(
            at=row.opened_at,
            day=local_date(row.opened_at, zone),
            customer_id=row.customer_id,
            campaign=row.campaign,
            arm=row.arm,
            step=row.step,
            channel=_CALLED_FOR[row.kind],
        )


_OPENED: Final = (
    select(
        Case.opened_at,
        Case.customer_id,
        Enrollment.campaign,
        Enrollment.arm,
        Case.step,
        Case.kind,
    )
    .join(Enrollment, Enrollment.id == Case.enrollment_id)
    .where(Case.kind.in_(_CALLED_FOR), Case.step.is_not(None))
)


def entries(session: Session, copied: Copied) -> tuple[Entry, ...]:
    """Give who would be enrolled, in order, in either arm."""
    rows = session.execute(_ENTERED, {"first": copied.next_enrollment})
    return tuple(Entry(*row) for row in rows)


_ENTERED: Final = (
    select(Enrollment.enrolled_on, Enrollment.customer_id, Enrollment.campaign, Enrollment.arm)
    .where(Enrollment.id >= bindparam("first"))
    .order_by(Enrollment.enrolled_on, Enrollment.id)
)


def codes(session: Session) -> dict[tuple[str, str], int]:
    """Count the codes that would be given to somebody, by campaign and offer."""
    return {(campaign, offer): count for campaign, offer, count in session.execute(_GIVEN)}


_GIVEN: Final = (
    select(Voucher.campaign, Voucher.offer, func.count())
    .where(
        Voucher.state != VoucherState.FREE,
        Voucher.id.in_(
            select(Move.thing_id).where(
                Move.thing == "voucher", Move.from_state == VoucherState.FREE
            )
        ),
    )
    .group_by(Voucher.campaign, Voucher.offer)
    .order_by(Voucher.campaign, Voucher.offer)
)


def postponed(session: Session) -> tuple[Reason, ...]:
    """Count the messages that would have to wait, by what they wait for; the most first."""
    counts: Counter[str] = Counter()
    for _, why in session.execute(_POSTPONED):
        # Written as "step: reason".
        counts[why.partition(": ")[2]] += 1
    return tuple(Reason("postponed", why, count) for why, count in counts.most_common())


_POSTPONED: Final = (
    select(Decision.enrollment_id, Decision.why).where(Decision.what == "postponed").distinct()
)


def passed(session: Session, copied: Copied) -> tuple[Reason, ...]:
    """Count the steps that nobody would get, by how and why; the most first."""
    rows = session.execute(_PASSED, {"first": copied.next_passage})
    return tuple(Reason(how, why, count) for how, why, count in rows)


_PASSED: Final = (
    select(StepPassage.how, StepPassage.why, func.count())
    .where(
        StepPassage.id >= bindparam("first"),
        StepPassage.how.not_in([how.value for how in ARRIVED]),
    )
    .group_by(StepPassage.how, StepPassage.why)
    .order_by(func.count().desc(), StepPassage.how, StepPassage.why)
)


def queued(session: Session) -> dict[Channel, int]:
    """Count the messages that would still wait at the end, by channel."""
    return dict(session.execute(_QUEUED).tuples().all())


_QUEUED: Final = (
    select(Message.channel, func.count())
    .where(Message.state == MessageState.QUEUED)
    .group_by(Message.channel)
    .order_by(Message.channel)
)
