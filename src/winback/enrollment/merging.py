"""Make two customers one, because two sources turned out to know the same person.

DESIGN.md, section 7: the older open enrollment stays, the other is canceled and kept in the
analysis; steps accepted in either count for promise P1; suppression is the union. Whoever has had
the campaign through either enrollment is not written to by the other one (``once``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Row, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from winback.campaign.schema import Campaign
from winback.campaign.versions import campaign_of_version
from winback.clock import local_date
from winback.customers.canceling import Which, cancel_queued
from winback.customers.uniting import unite_customers
from winback.database.tables import (
    Case,
    Customer,
    Enrollment,
    Message,
    Move,
    StepPassage,
    Voucher,
    table_of,
)
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move, move_all
from winback.enrollment.once import Passage, how_it_was_over
from winback.enrollment.passing import Got, go_past
from winback.enrollment.timeline import ARRIVED
from winback.enrollment.under_way import (
    IN_FLIGHT_OR_IN_DOUBT,
    called_for,
    lock_both,
    may_take,
    take,
)
from winback.states import OPEN_ENROLLMENTS, CaseState, EnrollmentState, VoucherState
from winback.vouchers.reserving import release

_WHY: Final = "two customers became one"


@dataclass(frozen=True, slots=True)
class _Here:
    """The standpoint of a merge."""

    now: datetime
    zone: ZoneInfo
    currency: str
    campaigns: dict[int, Campaign] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The business's local date of the instant."""
        return local_date(self.now, self.zone)


def merge_customers(
    session: Session, one: int, other: int, *, now: datetime, zone: ZoneInfo, currency: str
) -> int:
    """Make two customers one; gives the id that stays, the other points to it.

    Who has the older open enrollment stays, else who was seen first. ``zone`` is the business's.
    """
    if one == other:
        return one
    here = _Here(now, zone, currency)
    lock_both(session, one, other)
    kept, gone = _who_stays(session, one, other)
    ended = _end_younger(session, here, kept, gone)
    unite_customers(session, kept, gone, now=now, currency=currency)
    _move_enrollments(session, kept, gone)
    _go_on_as_one(session, here, kept, ended)
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


def _end_younger(session: Session, here: _Here, kept: int, gone: int) -> Row[Any] | None:
    """Cancel the open enrollment of the one who goes, if the one who stays has one too.

    Gives it as it stood.
    """
    is_open = Enrollment.state.in_(OPEN_ENROLLMENTS)
    stays = select(Enrollment.id).where(Enrollment.customer_id == kept, is_open)
    younger = session.execute(
        _ENROLLMENTS.where(Enrollment.customer_id == gone, is_open, exists(stays))
    ).one_or_none()
    if younger is not None:
        move(session, younger.id, EnrollmentEvent.MERGED, now=here.now, why=_WHY)
    return younger


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
        .execution_options(synchronize_session=False)
    )


def _go_on_as_one(session: Session, here: _Here, person: int, ended: Row[Any] | None) -> None:
    """Let the open enrollment go on from where the person is, or end where they are through."""
    rows = session.execute(_ENROLLMENTS.where(Enrollment.customer_id.in_(_people(person)))).all()
    goes_on = next((row for row in rows if row.state in OPEN_ENROLLMENTS), None)
    if goes_on is None:
        return
    others = [row for row in rows if row is not goes_on and row.campaign == goes_on.campaign]
    was_over = _how_it_was_over(session, here, goes_on, others)
    if was_over is not None:
        why = f"{_WHY}, and the other one's way through the campaign is over: {was_over}"
        move(session, goes_on.id, EnrollmentEvent.MERGED, now=here.now, why=why)
        return
    if goes_on.state is EnrollmentState.HELD_OUT:
        return
    _count_what_they_got(session, here, goes_on, others=others, ended=ended)
    if ended is not None:
        _keep_word(session, here, goes_on, ended)


def _people(person: int) -> Any:
    """Give the ids that a person is known by: whom others became, too."""
    return select(Customer.id).where(or_(Customer.id == person, Customer.merged_into == person))


def _how_it_was_over(
    session: Session, here: _Here, goes_on: Row[Any], others: Sequence[Row[Any]]
) -> EnrollmentState | None:
    merged = set(session.scalars(_MERGED, {"ids": [row.id for row in others]}))
    return how_it_was_over(
        _passage(goes_on),
        [_passage(row, is_merged=row.id in merged) for row in others],
        cooldown=campaign_of_version(session, goes_on.campaign_version_id).cooldown,
        today=here.today,
        zone=here.zone,
    )


def _passage(row: Row[Any], *, is_merged: bool = False) -> Passage:
    return Passage(
        row.lapsed_on, row.enrolled_at, row.state, row.ended_at, row.is_left_out, is_merged
    )


def _count_what_they_got(
    session: Session,
    here: _Here,
    goes_on: Row[Any],
    *,
    others: Sequence[Row[Any]],
    ended: Row[Any] | None,
) -> None:
    """P1, P6: what the person got in the same lapse, or at the same time, is not given again.

    What is being called may come back: it goes along, and the enrollment stands at its step.
    """
    counted = [
        row.id
        for row in others
        if row.lapsed_on == goes_on.lapsed_on or row.ended_at >= goes_on.enrolled_at
    ]
    called = called_for(session, ended) if ended is not None and ended.id in counted else None
    got = _got(session, counted, but_for=called)
    if not got and called is None:
        return
    # Planned anew on its day, with what it may carry then.
    cancel_queued(session, [goes_on.id], now=here.now, why=_WHY, which=Which.OF_THE_TIMELINE)
    release(session, goes_on.id, here.now)
    _take_over_vouchers(session, goes_on.id, counted)
    stands_at = None
    if called is not None and may_take(session, called, goes_on, got):
        take(session, called, goes_on, now=here.now, why=_WHY)
        stands_at = called.step
    elif called is not None:
        got.setdefault(called.step, called.claimed_at)
    last_at = max([*got.values(), *_got(session, [goes_on.id]).values()], default=here.now)
    go_past(session, here, Got(goes_on.id, got, last_at, f"sent before {_WHY}", stands_at))


def _got(
    session: Session, enrollment_ids: Collection[int], *, but_for: Row[Any] | None = None
) -> dict[str, datetime]:
    """Give when each step went out, or may have: its message, or the case of a call or letter."""
    got: dict[str, datetime] = {}
    asked = {"ids": enrollment_ids, "but_for": but_for.id if but_for is not None else 0}
    for statement in (_SENT, _ARRIVED):
        for step, at in session.execute(statement, asked):
            got[step] = max(at, got.get(step, at))
    return got


def _take_over_vouchers(session: Session, to: int, others: Collection[int]) -> None:
    """Let later steps repeat the code that the person has, instead of giving a second one."""
    mine = set(session.scalars(select(Voucher.offer).where(Voucher.enrollment_id == to)))
    for id_, offer in session.execute(_GIVEN, {"ids": others}).tuples().all():
        if offer not in mine:
            mine.add(offer)
            session.execute(
                update(table_of(Voucher)).where(Voucher.id == id_).values(enrollment_id=to)
            )


def _keep_word(session: Session, here: _Here, goes_on: Row[Any], ended: Row[Any]) -> None:
    """Keep what the one who goes was told: an associate answers first (P7), sleep is sleep."""
    if ended.state is EnrollmentState.HANDED_OVER:
        why = f"{_WHY}, and the other one waits for an associate"
        move_all(session, [goes_on.id], EnrollmentEvent.HANDED_OVER, now=here.now, why=why)
        session.execute(
            update(Case)
            .where(Case.enrollment_id == ended.id, Case.state != CaseState.CLOSED)
            .values(enrollment_id=goes_on.id)
        )
    elif ended.is_asleep and goes_on.state is EnrollmentState.ACTIVE:
        cancel_queued(session, [goes_on.id], now=here.now, why=_WHY, which=Which.OF_THE_TIMELINE)
        row = session.get_one(Enrollment, goes_on.id, populate_existing=True)
        row.due_on = max(filter(None, (row.due_on, ended.due_on)))
        row.is_asleep, row.sleeps = True, max(row.sleeps, ended.sleeps)
        row.is_gentle = row.is_gentle or ended.is_gentle
        session.flush()


_ENROLLMENTS: Final = select(
    Enrollment.id,
    Enrollment.campaign,
    Enrollment.campaign_version_id,
    Enrollment.lapsed_on,
    Enrollment.state,
    Enrollment.enrolled_at,
    Enrollment.ended_at,
    Enrollment.is_left_out,
    Enrollment.customer_id,
    Enrollment.next_step,
    Enrollment.due_on,
    Enrollment.is_asleep,
    Enrollment.is_gentle,
    Enrollment.sleeps,
).order_by(Enrollment.enrolled_at, Enrollment.id)
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_MERGED: Final = select(Move.thing_id).where(
    Move.thing == "enrollment", Move.thing_id.in_(_IDS), Move.event == EnrollmentEvent.MERGED
)
_SENT: Final = (
    select(Message.step, Message.accepted_at)
    .where(Message.enrollment_id.in_(_IDS), ~Message.is_answer, Message.accepted_at.is_not(None))
    .union_all(
        select(Message.step, Message.claimed_at).where(
            Message.enrollment_id.in_(_IDS),
            ~Message.is_answer,
            Message.accepted_at.is_(None),
            Message.state.in_(IN_FLIGHT_OR_IN_DOUBT),
            Message.id != bindparam("but_for"),
        )
    )
)
_ARRIVED: Final = select(StepPassage.step, StepPassage.at).where(
    StepPassage.enrollment_id.in_(_IDS), StepPassage.how.in_([how.value for how in ARRIVED])
)
_GIVEN: Final = (
    select(Voucher.id, Voucher.offer)
    .where(
        Voucher.enrollment_id.in_(_IDS),
        Voucher.state.in_((VoucherState.ISSUED, VoucherState.REDEEMED, VoucherState.VOIDED)),
    )
    .order_by(Voucher.issued_at.desc(), Voucher.id.desc())
)
