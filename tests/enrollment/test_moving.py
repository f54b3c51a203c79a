"""Guarded moves, and what an ending frees, on both databases."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from tests.enrollment.shop import (
    add_customer,
    add_enrollment,
    add_message,
    add_voucher,
    make_campaign,
)
from winback.campaign.versions import keep_version
from winback.database.tables import Decision, Enrollment, Message, Move, Refusal, Voucher
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import close_windows, move, move_all, open_enrollment_of
from winback.errors import IllegalTransition
from winback.states import Arm, EnrollmentState, MessageState, VoucherState


@pytest.fixture
def enrollment(session: Session, now: datetime) -> Enrollment:
    """Give an active enrollment."""
    customer = add_customer(session, [date(2025, 9, 1)])
    return session.get_one(Enrollment, add_enrollment(session, customer, make_campaign(), now=now))


def test_a_move_is_written_down_once(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """One history row and one decision for the change; a repeat changes nothing."""
    assert move(session, enrollment.id, EnrollmentEvent.PURCHASED, now=now, why="bought")
    assert not move(session, enrollment.id, EnrollmentEvent.PURCHASED, now=now, why="again")

    assert enrollment.state is EnrollmentState.CONVERTED
    assert (enrollment.ended_at, enrollment.due_on) == (now, None)
    moves = session.execute(select(Move.from_state, Move.to_state, Move.event, Move.why)).all()
    assert [tuple(row) for row in moves] == [("active", "converted", "purchased", "bought")]
    decisions = session.execute(select(Decision.what, Decision.why)).all()
    assert [tuple(row) for row in decisions] == [("converted", "bought")]
    assert open_enrollment_of(session, enrollment.customer_id) is None


def test_an_impossible_event_is_a_bug(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """What the machine does not know is refused loudly, and changes nothing."""
    with pytest.raises(IllegalTransition):
        move(session, enrollment.id, EnrollmentEvent.WINDOW_ENDED, now=now, why="x")

    assert enrollment.state is EnrollmentState.ACTIVE


@pytest.mark.parametrize(
    ("event", "canceled"),
    [
        (EnrollmentEvent.OPTED_OUT, {"concern", "older", "newer"}),
        (EnrollmentEvent.PURCHASED, {"concern", "older"}),
        (EnrollmentEvent.HANDED_OVER, {"concern", "older"}),
        (EnrollmentEvent.RESTED, {"concern"}),
    ],
)
def test_what_is_queued_is_canceled(  # noqa: PLR0917 - fixtures and the row
    session: Session,
    enrollment: Enrollment,
    now: datetime,
    event: EnrollmentEvent,
    canceled: set[str],
) -> None:
    """A no cancels all; else the answer that this very response caused stays (P3, DS-11)."""
    add_message(session, enrollment.id, "concern", now=now)
    add_message(session, enrollment.id, "older", now=now - timedelta(hours=1), is_answer=True)
    add_message(session, enrollment.id, "newer", now=now, is_answer=True)
    add_message(session, enrollment.id, "sending", now=now, state=MessageState.SENDING)

    move(session, enrollment.id, event, now=now, why="x")

    rows = session.execute(select(Message.step, Message.state)).tuples().all()
    assert {step for step, state in rows if state is MessageState.CANCELED} == canceled
    assert dict(rows)["sending"] is MessageState.SENDING


@pytest.mark.parametrize("on_its_way", [MessageState.SENDING, MessageState.UNCONFIRMED])
def test_an_ending_gives_unsent_codes_back(
    session: Session, enrollment: Enrollment, now: datetime, on_its_way: MessageState
) -> None:
    """Reserved codes are free again, but the one that a message on its way carries (P6)."""
    unsent = add_voucher(session, enrollment.id)
    carried = add_voucher(session, enrollment.id, "comeback")
    issued = add_voucher(session, enrollment.id, "sorry", state=VoucherState.ISSUED)
    add_message(
        session,
        enrollment.id,
        "comeback",
        now=now,
        state=on_its_way,
        voucher_id=carried,
    )

    move(session, enrollment.id, EnrollmentEvent.PARTED, now=now, why="moved")

    states = {row.id: (row.state, row.enrollment_id) for row in session.scalars(select(Voucher))}
    assert states == {
        unsent: (VoucherState.FREE, None),
        carried: (VoucherState.RESERVED, enrollment.id),
        issued: (VoucherState.ISSUED, enrollment.id),
    }


def test_handing_over_keeps_the_code(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Nothing ended: the code stays with its enrollment, for when it is resumed."""
    voucher = add_voucher(session, enrollment.id)

    move(session, enrollment.id, EnrollmentEvent.HANDED_OVER, now=now, why="a reply")

    assert session.get_one(Voucher, voucher).state is VoucherState.RESERVED


def test_an_ending_frees_the_slot_for_other_campaigns(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Refusals for the open slot are looked at again at once, others stand as they did."""
    for campaign, reason in (("b", "open_slot"), ("c", "no_consent")):
        session.execute(
            insert(Refusal).values(
                campaign=campaign,
                customer_id=enrollment.customer_id,
                lapsed_on=date(2025, 9, 1),
                campaign_version_id=keep_version(session, make_campaign(), now),
                reason=reason,
                look_again_on=now.date() + timedelta(days=7) if reason == "open_slot" else None,
                customer_changed_at=now,
                at=now,
            )
        )

    move(session, enrollment.id, EnrollmentEvent.CANCELED, now=now, why="x")

    again = session.execute(
        select(Refusal.reason, Refusal.look_again_on).order_by(Refusal.campaign)
    )
    assert [tuple(row) for row in again] == [
        ("open_slot", now.date() - timedelta(days=1)),
        ("no_consent", None),
    ]


def test_a_purchase_before_the_enrollment_leaves_the_analysis(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """There was no lapse; what an operator cancels stays in."""
    move(session, enrollment.id, EnrollmentEvent.BOUGHT_BEFORE, now=now, why="late data")

    assert enrollment.state is EnrollmentState.CANCELED
    assert enrollment.is_left_out


def test_many_move_at_once_and_only_those_that_may(session: Session, now: datetime) -> None:
    """Ended ones and holdouts stay what they are when a purchase comes."""
    campaign = make_campaign()
    states = [
        EnrollmentState.ACTIVE,
        EnrollmentState.HANDED_OVER,
        EnrollmentState.HELD_OUT,
        EnrollmentState.EXHAUSTED,
    ]
    ids = [
        add_enrollment(session, add_customer(session), campaign, now=now, state=state)
        for state in states
    ]

    moved = move_all(session, ids, EnrollmentEvent.PURCHASED, now=now, why="bought")

    assert sorted(moved) == ids[:2]


def test_a_window_closes_at_its_end(session: Session, now: datetime) -> None:
    """``held_out`` becomes ``observed`` when ``measure_for`` is over, the end exclusive."""
    row = add_enrollment(
        session,
        add_customer(session),
        make_campaign(),
        now=now,
        arm=Arm.HOLDOUT,
        state=EnrollmentState.HELD_OUT,
    )
    until = session.get_one(Enrollment, row).measure_until

    assert close_windows(session, now=until - timedelta(microseconds=1)) == 0
    assert close_windows(session, now=until) == 1
    assert close_windows(session, now=until) == 0
    assert session.get_one(Enrollment, row).state is EnrollmentState.OBSERVED
