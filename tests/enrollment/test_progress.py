"""The cursor of an enrollment, on both databases."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.enrollment.shop import (
    LONDON,
    Standing,
    add_customer,
    add_enrollment,
    add_message,
    add_voucher,
    make_campaign,
    pass_step,
)
from winback.clock import day_start
from winback.database.tables import Decision, Enrollment, Message, StepPassage
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.progress import (
    go_to,
    hand_over,
    resume,
    sleep,
    speed_up_after_click,
    why_not_resume,
)
from winback.enrollment.timeline import StepEnd
from winback.enrollment.waking import end_rests, wake_due
from winback.states import EnrollmentState, MessageState, VoucherState

TODAY = date(2026, 3, 2)


@pytest.fixture
def enrollment(session: Session, now: datetime) -> Enrollment:
    """Give an active enrollment that stands before its first step, due today."""
    customer = add_customer(session, [date(2025, 9, 1)])
    return session.get_one(Enrollment, add_enrollment(session, customer, make_campaign(), now=now))


def _at(session: Session, enrollment: Enrollment, **changes: Any) -> Enrollment:
    for name, value in changes.items():
        setattr(enrollment, name, value)
    session.flush()
    return enrollment


def _passages(session: Session) -> Sequence[tuple[str, str]]:
    rows = session.execute(select(StepPassage.step, StepPassage.how).order_by(StepPassage.id))
    return rows.tuples().all()


def _wake(session: Session, now: datetime) -> int:
    woken = wake_due(session, Standing(now))
    session.expire_all()
    return woken


def _cursor(enrollment: Enrollment) -> tuple[str | None, date | None]:
    return enrollment.next_step, enrollment.due_on


def test_an_accepted_step_starts_the_wait_of_the_next(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """``wait`` counts local days from the day the step before was accepted."""
    late = now.replace(hour=23, minute=30) + timedelta(days=30)  # BST from 29 March

    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=late)

    assert _cursor(enrollment) == ("check-in", date(2026, 4, 7))


def test_a_step_is_passed_once(session: Session, enrollment: Enrollment, now: datetime) -> None:
    """A repeat changes nothing, whatever it says."""
    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)
    cursor = _cursor(enrollment)

    pass_step(session, enrollment.id, "concern", StepEnd.FAILED, now=now, why="x")

    assert _cursor(enrollment) == cursor
    assert _passages(session) == [("concern", "accepted")]


def test_a_wait_counts_from_when_the_step_was_done(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """However late a run comes by; what fell due meanwhile is due today, not before."""
    other = add_enrollment(
        session, add_customer(session, [date(2025, 9, 1)]), make_campaign(), now=now
    )
    done = [
        Done(enrollment.id, "concern", StepEnd.ACCEPTED, at=now - timedelta(days=2)),
        Done(other, "concern", StepEnd.ACCEPTED, at=now - timedelta(days=20)),
    ]

    pass_steps(session, Standing(now), done)
    session.expire_all()

    assert _cursor(enrollment) == ("check-in", TODAY + timedelta(days=3))
    assert _cursor(session.get_one(Enrollment, other)) == ("check-in", TODAY)


def test_who_is_handed_over_moves_on_without_a_day(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """An acceptance that was on its way when the reply came sets no day: automation waits."""
    hand_over(session, enrollment.id, now=now, why="a written reply")

    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)

    assert _cursor(enrollment) == ("check-in", None)


@pytest.mark.parametrize(
    ("step", "then"),
    [
        ("concern", ("check-in", date(2026, 6, 1))),
        ("farewell", (None, date(2026, 6, 15))),
    ],
)
def test_who_sleeps_keeps_the_waking_day(  # noqa: PLR0917 - fixtures and the row
    session: Session,
    enrollment: Enrollment,
    now: datetime,
    step: str,
    then: tuple[str | None, date],
) -> None:
    """The claim came before the wish to wait, which holds; the rest follows the waking."""
    _at(session, enrollment, next_step=step)
    sleep(session, enrollment.id, until=date(2026, 6, 1), now=now, zone=LONDON, why="not now")

    pass_step(session, enrollment.id, step, StepEnd.ACCEPTED, now=now)

    assert _cursor(enrollment) == then


def test_a_reminder_follows_the_voucher(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """``before_expiry`` counts back from the last day on which the code is good."""
    _at(session, enrollment, next_step="voucher")
    expires_at = day_start(TODAY + timedelta(days=22), LONDON)
    add_voucher(session, enrollment.id, state=VoucherState.ISSUED, expires_at=expires_at)

    pass_step(session, enrollment.id, "voucher", StepEnd.ACCEPTED, now=now)

    assert _cursor(enrollment) == ("reminder", TODAY + timedelta(days=21 - 4))


def test_passed_steps_add_no_wait_and_say_why(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """No voucher to remind of, ``only_if`` false: the farewell counts from today."""
    _at(session, enrollment, next_step="voucher")

    pass_step(
        session,
        enrollment.id,
        "voucher",
        StepEnd.PASSED,
        now=now,
        why="no codes are left",
    )

    assert _cursor(enrollment) == ("farewell", TODAY + timedelta(days=14))
    assert _passages(session) == [
        ("voucher", "passed"),
        ("reminder", "passed"),
        ("comeback", "passed"),
    ]
    whys = session.scalars(select(Decision.why).order_by(Decision.id)).all()
    assert whys[0] == "voucher: no codes are left"
    assert 'only_if does not hold: value == "high"' in whys[2]


def test_an_enrollment_keeps_its_value_for_only_if(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """``value`` is what it was at enrollment, whatever the customer spent since."""
    _at(session, enrollment, next_step="reminder", value="high")

    pass_step(session, enrollment.id, "reminder", StepEnd.STALE, now=now, why="too late")

    assert _cursor(enrollment) == ("comeback", TODAY + timedelta(days=10))


def test_after_the_last_step_comes_the_rest_then_exhaustion(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """``rest`` counts from the day the last step was done."""
    _at(session, enrollment, next_step="farewell")
    pass_step(session, enrollment.id, "farewell", StepEnd.ACCEPTED, now=now)
    assert _cursor(enrollment) == (None, TODAY + timedelta(days=14))

    early = end_rests(session, Standing(now + timedelta(days=13)))
    then = end_rests(session, Standing(now + timedelta(days=14)))

    assert (early, then) == (0, 1)
    assert enrollment.state is EnrollmentState.EXHAUSTED
    assert enrollment.ended_at == now + timedelta(days=14)


def test_go_to_jumps_forward_for_good(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Due tomorrow at the soonest; steps between are passed, their messages canceled."""
    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)
    message = add_message(session, enrollment.id, "check-in", now=now)

    assert go_to(session, enrollment.id, "voucher", now=now, zone=LONDON, why="price")

    assert _cursor(enrollment) == ("voucher", TODAY + timedelta(days=1))
    assert _passages(session)[1:] == [("check-in", "passed")]
    assert session.get_one(Message, message).state is MessageState.CANCELED


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("concern", "behind"),
        ("reminder", "no open voucher"),
        ("comeback", "only_if does not hold"),
        ("nowhere", "no step nowhere"),
    ],
)
def test_an_impossible_target_means_continue(  # noqa: PLR0917 - fixtures and the row
    session: Session, enrollment: Enrollment, now: datetime, target: str, why: str
) -> None:
    """Nothing changes, and a decision says why."""
    _at(session, enrollment, next_step="check-in", due_on=date(2026, 3, 7))

    assert not go_to(session, enrollment.id, target, now=now, zone=LONDON, why="price")

    assert _cursor(enrollment) == ("check-in", date(2026, 3, 7))
    assert why in session.scalars(select(Decision.why)).one()


def test_a_message_being_sent_is_not_passed_by_a_jump(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Its acceptance is recorded when it comes, and does not pull the cursor back."""
    add_message(session, enrollment.id, "concern", now=now, state=MessageState.SENDING)
    go_to(session, enrollment.id, "voucher", now=now, zone=LONDON, why="price")

    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)

    assert _cursor(enrollment) == ("voucher", TODAY + timedelta(days=1))
    assert _passages(session) == [("check-in", "passed"), ("concern", "accepted")]


def test_who_sleeps_wakes_on_the_day(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Queued timeline messages are canceled, answers stay; the next step is due that day."""
    _at(session, enrollment, next_step="check-in")
    queued = add_message(session, enrollment.id, "check-in", now=now)
    answer = add_message(session, enrollment.id, "price", now=now, is_answer=True)

    assert sleep(
        session, enrollment.id, until=date(2026, 6, 1), now=now, zone=LONDON, why="not now"
    )

    assert _cursor(enrollment) == ("check-in", date(2026, 6, 1))
    assert session.scalars(select(Enrollment.is_asleep)).one()
    assert session.get_one(Message, queued).state is MessageState.CANCELED
    assert session.get_one(Message, answer).state is MessageState.QUEUED
    assert _wake(session, datetime.fromisoformat("2026-05-31T22:00Z")) == 0
    assert _wake(session, datetime.fromisoformat("2026-05-31T23:30Z")) == 1
    assert not enrollment.is_asleep
    assert _cursor(enrollment) == ("check-in", date(2026, 6, 1))


def test_a_second_sleep_parts(session: Session, enrollment: Enrollment, now: datetime) -> None:
    """Who asks twice to wait is let go kindly."""
    until = date(2026, 6, 1)
    sleep(session, enrollment.id, until=until, now=now, zone=LONDON, why="not now")

    assert not sleep(session, enrollment.id, until=until, now=now, zone=LONDON, why="not now")

    assert enrollment.state is EnrollmentState.PARTED


def test_the_rest_stands_still_in_sleep(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """What was left of the rest follows the waking."""
    _at(session, enrollment, next_step=None, due_on=TODAY + timedelta(days=5))

    sleep(session, enrollment.id, until=date(2026, 6, 1), now=now, zone=LONDON, why="not now")

    assert end_rests(session, Standing(datetime.fromisoformat("2026-06-05T10:00Z"))) == 0
    evening = datetime.fromisoformat("2026-06-06T10:00Z")
    assert _wake(session, evening) == 1
    assert end_rests(session, Standing(evening)) == 1


def test_after_a_hard_time_offers_wait_for_kindness(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Steps with an offer are passed until one without was accepted."""
    _at(session, enrollment, next_step="voucher", value="high")
    until = date(2026, 6, 2)
    sleep(
        session,
        enrollment.id,
        until=until,
        now=now,
        zone=LONDON,
        why="a hard time",
        is_gentle=True,
    )

    _wake(session, datetime.fromisoformat("2026-06-02T08:00Z"))

    assert _cursor(enrollment) == ("farewell", until)
    assert enrollment.is_gentle
    pass_step(
        session,
        enrollment.id,
        "farewell",
        StepEnd.ACCEPTED,
        now=datetime.fromisoformat("2026-06-02T08:00Z"),
    )
    assert not enrollment.is_gentle


def test_late_evidence_ends_gentleness(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """A step left unconfirmed that turns out accepted is the kind word that was needed."""
    _at(session, enrollment, is_gentle=True)
    pass_step(session, enrollment.id, "concern", StepEnd.UNCONFIRMED, now=now, why="24 h")
    assert enrollment.is_gentle

    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)

    assert not enrollment.is_gentle


def test_handed_over_waits_and_resumes_at_the_chosen_step(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """Nothing is due meanwhile; the chosen step is due tomorrow, what is between is passed."""
    _at(session, enrollment, next_step="check-in")
    assert hand_over(session, enrollment.id, now=now, why="a written reply")
    assert _cursor(enrollment) == ("check-in", None)

    assert resume(session, enrollment.id, step="voucher", now=now, zone=LONDON, why="repaired")

    assert enrollment.state is EnrollmentState.ACTIVE
    assert _cursor(enrollment) == ("voucher", TODAY + timedelta(days=1))
    assert _passages(session) == [("check-in", "passed")]


def test_resuming_says_why_it_cannot(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """An associate is told, and nothing changes."""
    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)
    assert why_not_resume(session, enrollment.id, None, now=now, zone=LONDON) == (
        "the enrollment is active, not handed over"
    )
    hand_over(session, enrollment.id, now=now, why="a written reply")

    assert not resume(session, enrollment.id, step="concern", now=now, zone=LONDON, why="x")

    why = why_not_resume(session, enrollment.id, "concern", now=now, zone=LONDON)
    assert why == "concern is behind; the timeline only goes forward"
    assert enrollment.state is EnrollmentState.HANDED_OVER


def test_a_click_brings_the_next_step_forward(
    session: Session, enrollment: Enrollment, now: datetime
) -> None:
    """One day after the click if that is sooner, and never later."""
    pass_step(session, enrollment.id, "concern", StepEnd.ACCEPTED, now=now)

    assert speed_up_after_click(session, enrollment.id, clicked_at=now, now=now, zone=LONDON)
    later = now + timedelta(days=3)
    assert not speed_up_after_click(
        session, enrollment.id, clicked_at=later, now=later, zone=LONDON
    )

    assert _cursor(enrollment) == ("check-in", TODAY + timedelta(days=1))


def test_a_click_moves_no_reminder(session: Session, enrollment: Enrollment, now: datetime) -> None:
    """A reminder is tied to the voucher's expiry."""
    _at(session, enrollment, next_step="reminder", due_on=date(2026, 3, 20))

    assert not speed_up_after_click(session, enrollment.id, clicked_at=now, now=now, zone=LONDON)
