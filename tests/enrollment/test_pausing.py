"""Pauses: what stands still, and that time stood still for it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.enrollment.shop import (
    LONDON,
    Standing,
    add_customer,
    add_enrollment,
    add_message,
    make_campaign,
    pass_step,
)
from winback.campaign.schema import Campaign
from winback.database.tables import Enrollment, Message
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.pausing import (
    BRAKE,
    OPERATOR,
    PauseScope,
    Span,
    frozen_since,
    pause,
    resume,
    standing_pauses,
)
from winback.enrollment.progress import go_to, speed_up_after_click
from winback.enrollment.progress import resume as give_back
from winback.enrollment.timeline import StepEnd
from winback.states import Channel, EnrollmentState

Begins = Callable[[Session, int, datetime], None]
"""What makes an enrollment begin to wait anew, at an instant."""

DAY = timedelta(days=1)
T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_a_pause_holds_until_it_is_ended_and_once_only(session: Session) -> None:
    """Pausing twice is one pause; going on where nothing stands still changes nothing."""
    assert pause(session, PauseScope.ALL, by=OPERATOR, why="stocktaking", now=T0)
    assert not pause(session, PauseScope.ALL, by=OPERATOR, why="again", now=T0)
    assert standing_pauses(session).stops("six-month", Channel.EMAIL) == "stocktaking"
    assert resume(session, PauseScope.ALL, now=T0 + DAY, zone=LONDON)
    assert not resume(session, PauseScope.ALL, now=T0 + DAY, zone=LONDON)
    assert standing_pauses(session).stops("six-month", Channel.EMAIL) is None


def test_a_pause_stops_what_it_names_and_nothing_else(session: Session) -> None:
    """A channel's pause leaves the other channel, a campaign's the other campaigns."""
    pause(session, PauseScope.CHANNEL, "sms", by=OPERATOR, why="number moves", now=T0)
    pause(session, PauseScope.CAMPAIGN, "one", by=OPERATOR, why="new words", now=T0)
    standing = standing_pauses(session)
    assert standing.stops("two", Channel.SMS) == "number moves"
    assert standing.stops("two", Channel.EMAIL) is None
    assert standing.stops("one", Channel.EMAIL) == "new words"
    assert standing.stops_campaign("two") is None


def test_going_on_ends_the_brake_too(session: Session) -> None:
    """One word of the operator is enough, whoever paused."""
    pause(session, PauseScope.CHANNEL, "email", by=OPERATOR, why="mine", now=T0)
    pause(session, PauseScope.CHANNEL, "email", by=BRAKE, why="bounces", now=T0)
    assert resume(session, PauseScope.CHANNEL, "email", now=T0 + DAY, zone=LONDON)
    assert not standing_pauses(session).channels


def _enroll(session: Session, campaign: Campaign, **fields: object) -> int:
    return add_enrollment(
        session, add_customer(session), campaign, now=T0, **(fields or {"due_on": date(2026, 3, 7)})
    )


def _due_on(session: Session, enrollment_id: int) -> date | None:
    session.expire_all()
    return session.get_one(Enrollment, enrollment_id).due_on


def test_waits_are_frozen_meanwhile(session: Session) -> None:
    """Whoever had five days to wait has them still, however long the pause was."""
    campaign = make_campaign()
    ids = [_enroll(session, campaign, due_on=date(2026, 3, day)) for day in (1, 7, 8, 10)]
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0)
    resume(session, PauseScope.ALL, now=T0 + 3 * DAY, zone=LONDON)
    moved = [_due_on(session, id_) for id_ in ids]
    assert moved == [date(2026, 3, day) for day in (4, 10, 11, 13)]


def _accepted(session: Session, enrollment_id: int, now: datetime) -> None:
    pass_step(session, enrollment_id, "concern", StepEnd.ACCEPTED, now=now)


def _went_to(session: Session, enrollment_id: int, now: datetime) -> None:
    assert go_to(session, enrollment_id, "voucher", now=now, zone=LONDON, why="price")


def _clicked(session: Session, enrollment_id: int, now: datetime) -> None:
    assert speed_up_after_click(session, enrollment_id, clicked_at=now, now=now, zone=LONDON)


def _given_back(session: Session, enrollment_id: int, now: datetime) -> None:
    assert give_back(session, enrollment_id, step="voucher", now=now, zone=LONDON, why="case")


def _nothing(session: Session, enrollment_id: int, now: datetime) -> None:
    """Let it wait on."""


@pytest.mark.parametrize(
    ("begins", "state", "due_on"),
    [
        # Since before the pause: five days of waiting are left on the sixtieth.
        pytest.param(_nothing, EnrollmentState.ACTIVE, 60 + 5, id="waits on"),
        pytest.param(_accepted, EnrollmentState.ACTIVE, 60 + 5, id="accepted"),
        pytest.param(_went_to, EnrollmentState.ACTIVE, 60 + 1, id="went to a step"),
        pytest.param(_given_back, EnrollmentState.HANDED_OVER, 60 + 1, id="given back"),
    ],
)
def test_a_wait_that_began_meanwhile_lost_only_its_own_days(
    session: Session, begins: Begins, state: EnrollmentState, due_on: int
) -> None:
    """Day 59 of a pause of sixty: what begins to wait then is one day late, not sixty."""
    due = None if state is EnrollmentState.HANDED_OVER else T0.date() + 5 * DAY
    id_ = _enroll(session, make_campaign(), state=state, due_on=due)
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0 + timedelta(hours=1))
    begins(session, id_, T0 + 59 * DAY)
    resume(session, PauseScope.ALL, now=T0 + 60 * DAY, zone=LONDON)
    assert _due_on(session, id_) == T0.date() + due_on * DAY


def test_who_was_noticed_late_waits_no_longer_than_the_wait(session: Session) -> None:
    """In doubt since the first day, noticed on the 59th of sixty: five days of waiting are left."""
    id_ = _enroll(session, make_campaign(), due_on=T0.date())
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0 + timedelta(hours=1))
    done = Done(id_, "concern", StepEnd.UNCONFIRMED, "no answer", at=T0 + DAY)
    pass_steps(session, Standing(T0 + 59 * DAY), [done])
    resume(session, PauseScope.ALL, now=T0 + 60 * DAY, zone=LONDON)
    assert _due_on(session, id_) == T0.date() + 65 * DAY


def test_a_rest_is_frozen_too(session: Session) -> None:
    """Whoever rested for four of fourteen days rests ten more."""
    rests = {"next_step": None, "due_on": T0.date() + 10 * DAY}
    id_ = _enroll(session, make_campaign(), **rests)
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0)
    resume(session, PauseScope.ALL, now=T0 + 60 * DAY, zone=LONDON)
    assert _due_on(session, id_) == T0.date() + 70 * DAY


def test_a_click_meanwhile_is_followed_a_day_after_the_pause(session: Session) -> None:
    """It was to be the day after the click, and is: of the days that count."""
    id_ = _enroll(session, make_campaign(), next_step="check-in", due_on=T0.date() + 5 * DAY)
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0 + timedelta(hours=1))
    _clicked(session, id_, T0 + 2 * DAY)
    resume(session, PauseScope.ALL, now=T0 + 60 * DAY, zone=LONDON)
    assert _due_on(session, id_) == T0.date() + 61 * DAY


def test_who_entered_meanwhile_lost_only_the_days_since(session: Session) -> None:
    """A detect that was under way when the pause came may still let people in."""
    begun = T0 + 2 * DAY
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0)
    id_ = add_enrollment(session, add_customer(session), make_campaign(), now=begun)
    resume(session, PauseScope.ALL, now=T0 + 9 * DAY, zone=LONDON)
    assert _due_on(session, id_) == T0.date() + 9 * DAY


@pytest.mark.parametrize(
    "fields",
    [
        {"is_asleep": True, "due_on": date(2026, 4, 1)},
        {"state": EnrollmentState.EXHAUSTED, "due_on": date(2026, 3, 7)},
        {"next_step": "reminder", "due_on": date(2026, 3, 7)},
    ],
    ids=["asleep until the month it named", "over", "reminder of a promised expiry"],
)
def test_days_that_were_promised_or_are_over_stay(
    session: Session, fields: dict[str, object]
) -> None:
    """A chosen month, a voucher's expiry and the past do not move."""
    id_ = _enroll(session, make_campaign(), **fields)
    pause(session, PauseScope.CAMPAIGN, "six-month", by=OPERATOR, why="", now=T0)
    resume(session, PauseScope.CAMPAIGN, "six-month", now=T0 + 3 * DAY, zone=LONDON)
    assert _due_on(session, id_) == fields["due_on"]


def test_what_two_pauses_covered_counts_once(session: Session) -> None:
    """All from the 2nd to the 5th, the campaign from the 4th to the 9th: seven days were lost."""
    id_ = _enroll(session, make_campaign(), due_on=date(2026, 3, 7))
    pause(session, PauseScope.ALL, by=OPERATOR, why="", now=T0)
    pause(session, PauseScope.CAMPAIGN, "six-month", by=OPERATOR, why="", now=T0 + 2 * DAY)
    resume(session, PauseScope.ALL, now=T0 + 3 * DAY, zone=LONDON)
    assert _due_on(session, id_) == date(2026, 3, 7), "it stands still yet"
    resume(session, PauseScope.CAMPAIGN, "six-month", now=T0 + 7 * DAY, zone=LONDON)
    assert _due_on(session, id_) == date(2026, 3, 14)


def test_a_queued_message_keeps_its_freshness(session: Session) -> None:
    """It had five days to leave when the channel was paused; it has them when it goes on."""
    id_ = _enroll(session, make_campaign())
    fresh_until = T0 + 5 * DAY
    message = add_message(session, id_, "concern", now=T0 - DAY, drop_at=fresh_until)
    pause(session, PauseScope.CHANNEL, "email", by=OPERATOR, why="", now=T0)
    pause(session, PauseScope.CHANNEL, "sms", by=OPERATOR, why="", now=T0)
    later = add_message(session, id_, "thanks", now=T0 + 4 * DAY, drop_at=T0 + 9 * DAY)
    resume(session, PauseScope.CHANNEL, "sms", now=T0 + 6 * DAY, zone=LONDON)
    resume(session, PauseScope.CHANNEL, "email", now=T0 + 6 * DAY, zone=LONDON)
    rows = dict(session.execute(select(Message.id, Message.drop_at)).tuples().all())
    assert rows == {message: fresh_until + 6 * DAY, later: T0 + 11 * DAY}


HOURS = st.integers(0, 200)


@given(st.lists(st.tuples(HOURS, st.one_of(st.none(), HOURS)), max_size=6), HOURS)
def test_frozen_time_is_the_gapless_time_before_now(
    written: list[tuple[int, int | None]], at: int
) -> None:
    """Compared hour by hour with a plain look at each hour before now."""
    now = T0 + timedelta(hours=at)
    spans = [
        Span(T0 + timedelta(hours=start), None if end is None else T0 + timedelta(hours=end))
        for start, end in written
        if start <= at and (end is None or start <= end <= at)
    ]

    def is_covered(hour: int) -> bool:
        middle = T0 + timedelta(hours=hour, minutes=30)
        return any(span.start < middle < (span.end or now) for span in spans)

    first = at
    while first > 0 and is_covered(first - 1):
        first -= 1
    since = frozen_since(spans, now)
    assert since == (None if first == at else T0 + timedelta(hours=first))
