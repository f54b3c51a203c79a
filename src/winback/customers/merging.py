"""Make two customers one, because two sources turned out to know the same person.

DESIGN.md, section 7: the older open enrollment stays, the other is canceled and kept in the
analysis; steps accepted in either count for promise P1; suppression is the union.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CursorResult, delete, exists, insert, select, update
from sqlalchemy.orm import Session, aliased

from winback.customers.canceling import Which, cancel_queued
from winback.customers.sums import recompute_sums
from winback.database.history import record_move
from winback.database.tables import (
    CampaignVersion,
    Case,
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Enrollment,
    Message,
    Purchase,
    Refusal,
    Response,
    SourceCustomer,
    StepPassage,
    Suppression,
    Waiting,
)
from winback.states import (
    OPEN_ENROLLMENTS,
    ConsentState,
    EnrollmentState,
    MessageState,
)
from winback.vouchers.reserving import release

_WHY: Final = "two customers became one"
_FOLLOWERS: Final[tuple[Any, ...]] = (
    Purchase,
    SourceCustomer,
    Message,
    Response,
    Case,
    Decision,
    Suppression,
)
"""Tables whose rows simply follow the person."""
_IN_BULK: Final = {"synchronize_session": False}


def merge_customers(session: Session, one: int, other: int, *, now: datetime, currency: str) -> int:
    """Make two customers one; gives the id that stays, the other points to it.

    Who has the older open enrollment stays, else who was seen first.
    """
    if one == other:
        return one
    kept, gone = _who_stays(session, one, other)
    _end_younger_enrollment(session, kept, gone, now=now)
    _move_contact_points(session, kept, gone)
    _move_consents(session, kept, gone, now=now)
    for judgement in (Refusal, Waiting):
        session.execute(delete(judgement).where(judgement.customer_id.in_((kept, gone))))
    for table in _FOLLOWERS:
        session.execute(
            update(table)
            .where(table.customer_id == gone)
            .values(customer_id=kept)
            .execution_options(**_IN_BULK)
        )
    _move_enrollments(session, kept, gone)
    _count_steps_of_either(session, kept, gone, now=now)
    _fill_gaps(session, kept, gone, now=now)
    recompute_sums(
        session, select(Customer.id).where(Customer.id.in_((kept, gone))), currency=currency
    )
    session.expire_all()
    return kept


def _who_stays(session: Session, one: int, other: int) -> tuple[int, int]:
    older = session.scalars(
        select(Enrollment.customer_id)
        .where(Enrollment.customer_id.in_((one, other)), Enrollment.state.in_(OPEN_ENROLLMENTS))
        .order_by(Enrollment.enrolled_at, Enrollment.id)
        .limit(1)
    ).first()
    kept = min(one, other) if older is None else older
    return kept, (other if kept == one else one)


def _end_younger_enrollment(session: Session, kept: int, gone: int, *, now: datetime) -> None:
    """Cancel the open enrollment of the one who goes, if the one who stays has one too."""
    open_ones = session.execute(
        select(Enrollment.id, Enrollment.customer_id, Enrollment.state).where(
            Enrollment.customer_id.in_((kept, gone)), Enrollment.state.in_(OPEN_ENROLLMENTS)
        )
    ).all()
    if len({row.customer_id for row in open_ones}) < len((kept, gone)):
        return
    for row in open_ones:
        if row.customer_id != gone:
            continue
        moved = _guarded(
            session,
            update(Enrollment)
            .where(Enrollment.id == row.id, Enrollment.state == row.state)
            .values(state=EnrollmentState.CANCELED, ended_at=now, due_on=None),
        )
        if moved:
            record_move(
                session,
                "enrollment",
                row.id,
                from_state=row.state,
                to_state=EnrollmentState.CANCELED,
                event="merged",
                at=now,
                why=_WHY,
            )
            cancel_queued(session, [row.id], now=now, why=_WHY, event="merged")
            release(session, row.id, now)


def _guarded(session: Session, statement: Any) -> bool:
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        statement.execution_options(**_IN_BULK)
    )
    return bool(result.rowcount)


def _move_contact_points(session: Session, kept: int, gone: int) -> None:
    """Move addresses; one that both have stays once, and stays unreachable if it was."""
    theirs = session.scalars(select(ContactPoint).where(ContactPoint.customer_id == gone)).all()
    ours = {
        (point.channel, point.address): point
        for point in session.scalars(
            select(ContactPoint).where(ContactPoint.customer_id == kept)
        ).all()
    }
    for point in theirs:
        same = ours.get((point.channel, point.address))
        if same is None:
            point.customer_id = kept
            continue
        same.is_current = same.is_current or point.is_current
        same.is_reachable = same.is_reachable and point.is_reachable
        session.execute(
            update(Message)
            .where(Message.contact_point_id == point.id)
            .values(contact_point_id=same.id)
            .execution_options(**_IN_BULK)
        )
        session.delete(point)
    session.flush()


def _move_consents(session: Session, kept: int, gone: int, *, now: datetime) -> None:
    """Move consents; where both have a current one, a no holds, else the newer."""
    current = select(Consent).where(
        Consent.customer_id.in_((kept, gone)), Consent.superseded_at.is_(None)
    )
    by_channel: dict[str, list[Consent]] = {}
    for consent in session.scalars(current):
        by_channel.setdefault(consent.channel, []).append(consent)
    for rivals in by_channel.values():
        rivals.sort(key=lambda one: (one.state is ConsentState.WITHDRAWN, one.recorded_at, one.id))
        for loser in rivals[:-1]:
            loser.superseded_at = now
    session.flush()
    session.execute(
        update(Consent)
        .where(Consent.customer_id == gone)
        .values(customer_id=kept)
        .execution_options(**_IN_BULK)
    )


def _move_enrollments(session: Session, kept: int, gone: int) -> None:
    """Move enrollments; one of the same campaign and lapse stays behind, where it began."""
    same = aliased(Enrollment)
    session.execute(
        update(Enrollment)
        .where(
            Enrollment.customer_id == gone,
            ~exists(
                select(same.id).where(
                    same.customer_id == kept,
                    same.campaign == Enrollment.campaign,
                    same.lapsed_on == Enrollment.lapsed_on,
                )
            ),
        )
        .values(customer_id=kept)
        .execution_options(**_IN_BULK)
    )


def _count_steps_of_either(session: Session, kept: int, gone: int, *, now: datetime) -> None:
    """Let the open enrollment pass every step that the person already got in the same lapse."""
    still_open = session.execute(
        select(Enrollment).where(
            Enrollment.customer_id == kept, Enrollment.state.in_(OPEN_ENROLLMENTS)
        )
    ).scalar_one_or_none()
    if still_open is None:
        return
    got = select(Message.step).where(
        Message.enrollment_id.in_(
            select(Enrollment.id).where(
                Enrollment.customer_id.in_((kept, gone)),
                Enrollment.campaign == still_open.campaign,
                Enrollment.id != still_open.id,
                Enrollment.state == EnrollmentState.CANCELED,
                Enrollment.ended_at == now,
            )
        ),
        ~Message.is_answer,
        (Message.accepted_at.is_not(None))
        | Message.state.in_((MessageState.SENDING, MessageState.UNCONFIRMED)),
    )
    own = select(StepPassage.step).where(StepPassage.enrollment_id == still_open.id)
    steps = set(session.scalars(got)) - set(session.scalars(own))
    if not steps:
        return
    cancel_queued(
        session,
        [still_open.id],
        now=now,
        why=_WHY,
        which=Which.OF_STEPS,
        steps=steps,
        event="merged",
    )
    session.execute(
        insert(StepPassage),
        [
            {
                "enrollment_id": still_open.id,
                "step": step,
                "how": "passed",
                "why": f"sent before {_WHY}",
                "at": now,
            }
            for step in sorted(steps)
        ],
    )
    _go_past(session, still_open, steps)


def _go_past(session: Session, enrollment: Enrollment, steps: set[str]) -> None:
    """Move the cursor to the first step that the person did not get yet."""
    content = session.scalars(
        select(CampaignVersion.content).where(CampaignVersion.id == enrollment.campaign_version_id)
    ).one()
    names = [step["step"] for step in content["steps"]]
    while enrollment.next_step in steps:
        after = names.index(enrollment.next_step) + 1
        enrollment.next_step = names[after] if after < len(names) else None
    session.flush()


def _fill_gaps(session: Session, kept: int, gone: int, *, now: datetime) -> None:
    """Keep what the staying row says, fill what it lacks, and point the other one to it."""
    gaps = (
        "given_name",
        "family_name",
        "country",
        "region",
        "postal_code",
        "time_zone",
        "locale",
        "loyalty_id",
        "acquired_by",
    )
    other = session.execute(select(Customer).where(Customer.id == gone)).scalar_one()
    mine = session.execute(select(Customer).where(Customer.id == kept)).scalar_one()
    for name in gaps:
        setattr(mine, name, getattr(mine, name) or getattr(other, name))
    mine.tags = [*mine.tags, *(tag for tag in other.tags if tag not in mine.tags)]
    mine.interests = [
        *mine.interests,
        *(one for one in other.interests if one not in mine.interests),
    ]
    mine.first_seen_at = min(mine.first_seen_at, other.first_seen_at)
    mine.changed_at = now
    other.changed_at = now
    other.merged_into = kept
    session.flush()
    session.execute(
        update(Customer)
        .where(Customer.merged_into == gone)
        .values(merged_into=kept)
        .execution_options(**_IN_BULK)
    )
