"""Two customers turn out to be one: nothing is sent twice, too soon, or after an end."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop, make_business
from winback.database.tables import (
    Case,
    Customer,
    Enrollment,
    Message,
    Move,
    StepPassage,
    Voucher,
)
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.merging import merge_customers
from winback.enrollment.moving import close_windows, move
from winback.enrollment.timeline import StepEnd
from winback.states import (
    Arm,
    CaseKind,
    CaseState,
    Channel,
    EnrollmentState,
    MessageState,
    VoucherState,
)

S = EnrollmentState
MOMENT = timedelta(minutes=5)
OTHER_LAPSE = date(2025, 8, 9)


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Give the shipped example on a test's database."""
    return Shop(make_business(engine))


def merge(shop: Shop, one: int, other: int) -> int:
    """Make the customers of two enrollments one; gives who stays."""
    ids = [shop.enrollment(id_).customer_id for id_ in (one, other)]
    with Session(shop.engine) as session, session.begin():
        return merge_customers(session, *ids, now=shop.now, zone=shop.business.zone, currency="GBP")


def end(shop: Shop, enrollment_id: int, event: EnrollmentEvent) -> None:
    """Let something end an enrollment, an hour later."""
    shop.now += timedelta(hours=1)
    with Session(shop.engine) as session, session.begin():
        assert move(session, enrollment_id, event, now=shop.now, why="a test says so")


def accepted(shop: Shop) -> list[str]:
    """Give the steps that the provider has accepted for anybody, in order."""
    return [one.step for one in shop.messages() if one.accepted_at is not None]


def days_pass(shop: Shop, days: int) -> None:
    """Send once on each of the days to come."""
    for _ in range(days):
        shop.now += DAY
        shop.send()


def codes_of(shop: Shop) -> list[tuple[str, VoucherState, int | None]]:
    """Give offer, state and enrollment of each code that is bound."""
    wanted = select(Voucher.offer, Voucher.state, Voucher.enrollment_id).where(
        Voucher.enrollment_id.is_not(None)
    )
    with Session(shop.engine) as session:
        return [tuple(row) for row in session.execute(wanted.order_by(Voucher.id))]


def test_the_older_open_enrollment_stays(shop: Shop) -> None:
    """DESIGN.md, section 7: the other is canceled, still analyzed, and gives its code back."""
    younger = shop.enroll(next_step="voucher", lapsed_on=OTHER_LAPSE)
    older = shop.enroll(enrolled_at=shop.now - DAY, due_on=shop.now.date() + 9 * DAY)
    with Session(shop.engine) as session, session.begin():
        message = {
            "enrollment_id": younger,
            "customer_id": shop.enrollment(younger).customer_id,
            "step": "voucher",
            "channel": Channel.EMAIL,
            "state": MessageState.QUEUED,
            "queued_at": shop.now,
            "due_at": shop.now,
            "drop_at": shop.now + DAY,
        }
        session.execute(insert(Message).values(message))
        code = {"campaign": "six-month", "offer": "welcome-back", "code": "A", "code_key": "A"}
        reserved = {"state": VoucherState.RESERVED, "enrollment_id": younger, "made_at": shop.now}
        session.execute(insert(Voucher).values(code | reserved))

    kept = merge(shop, younger, older)

    assert kept == shop.enrollment(older).customer_id == shop.enrollment(younger).customer_id
    assert shop.enrollment(older).state is S.ACTIVE
    canceled = shop.enrollment(younger)
    assert (canceled.state, canceled.is_left_out) == (S.CANCELED, False)
    assert shop.states(younger) == [("voucher", Channel.EMAIL, MessageState.CANCELED)]
    assert codes_of(shop) == []
    with Session(shop.engine) as session:
        moves = {(move.thing, move.event) for move in session.scalars(select(Move))}
    assert {("enrollment", "merged"), ("message", "canceled"), ("voucher", "released")} <= moves


@pytest.mark.parametrize(
    "event",
    [
        EnrollmentEvent.PARTED,
        EnrollmentEvent.CANCELED,
        EnrollmentEvent.RESTED,
        EnrollmentEvent.OPTED_OUT,
        EnrollmentEvent.PURCHASED,
        EnrollmentEvent.CONTACT_LOST,
        EnrollmentEvent.BOUGHT_BEFORE,
    ],
)
@pytest.mark.parametrize("lapsed_on", [date(2025, 8, 1), OTHER_LAPSE])
def test_what_was_over_before_is_over(shop: Shop, event: EnrollmentEvent, lapsed_on: date) -> None:
    """P1, DS-1: an end of the lapse, or its cooldown, holds for the person, however it came."""
    one = shop.enroll()
    shop.send()
    end(shop, one, event)
    shop.now += DAY
    two = shop.enroll(lapsed_on=lapsed_on)

    merge(shop, one, two)
    days_pass(shop, 8)

    assert accepted(shop) == ["concern"]
    ended = shop.enrollment(two)
    assert (ended.state, ended.is_left_out) == (S.CANCELED, False)
    assert "is over" in shop.decisions(two)[-1][1]


def test_an_end_later_than_the_older_beginning_counts(shop: Shop) -> None:
    """Who said through the younger enrollment that it is enough is not written to by the older."""
    older = shop.enroll(due_on=shop.now.date() + 30 * DAY)
    shop.now += DAY
    younger = shop.enroll()
    end(shop, younger, EnrollmentEvent.PARTED)

    merge(shop, older, younger)

    assert shop.enrollment(older).state is S.CANCELED


def test_a_dead_address_of_the_younger_does_not_end_the_older(shop: Shop) -> None:
    """P2: its own address is good, so what is owed is still sent; what they got is not."""
    older = shop.enroll(due_on=shop.now.date() + 30 * DAY)
    shop.now += DAY
    younger = shop.enroll()
    shop.send()
    end(shop, younger, EnrollmentEvent.CONTACT_LOST)

    merge(shop, older, younger)

    goes_on = shop.enrollment(older)
    assert (goes_on.state, goes_on.next_step) == (S.ACTIVE, "check-in")


def test_after_the_cooldown_a_new_lapse_is_a_new_one(shop: Shop) -> None:
    """What ended a cooldown ago takes nothing from a later lapse."""
    one = shop.enroll()
    shop.send()
    end(shop, one, EnrollmentEvent.RESTED)
    shop.now += 371 * DAY
    two = shop.enroll(lapsed_on=(shop.now - 200 * DAY).date())

    merge(shop, one, two)
    shop.send()

    assert shop.enrollment(two).state is S.ACTIVE
    assert accepted(shop) == ["concern", "concern"]


def test_three_become_one(shop: Shop) -> None:
    """An enrollment that another merge canceled is no end, and its steps still count."""
    third = shop.enroll(due_on=shop.now.date() + 30 * DAY)
    shop.now += DAY
    second = shop.enroll(due_on=shop.now.date() + 30 * DAY)
    shop.now += DAY
    first = shop.enroll()
    shop.send()

    merge(shop, second, first)
    assert shop.enrollment(second).next_step == "check-in"
    merge(shop, third, second)

    goes_on = shop.enrollment(third)
    assert (goes_on.state, goes_on.next_step) == (S.ACTIVE, "check-in")
    days_pass(shop, 6)
    assert accepted(shop) == ["concern", "check-in"]


@pytest.mark.parametrize("held_out_first", [True, False])
def test_the_older_of_two_arms_stays(shop: Shop, *, held_out_first: bool) -> None:
    """P8: both were assigned and stay in the analysis; one who was held out first is left alone."""
    held_out: dict[str, Any] = {"arm": Arm.HOLDOUT, "state": S.HELD_OUT, "next_step": None}
    one = shop.enroll(**(held_out if held_out_first else {}))
    shop.now += MOMENT
    two = shop.enroll(**({} if held_out_first else held_out))

    merge(shop, one, two)
    shop.send()

    assert shop.enrollment(one).state is (S.HELD_OUT if held_out_first else S.ACTIVE)
    ended = shop.enrollment(two)
    assert (ended.state, ended.is_left_out) == (S.CANCELED, False)
    assert accepted(shop) == ([] if held_out_first else ["concern"])


def test_who_was_held_out_is_not_treated_in_the_cooldown(shop: Shop) -> None:
    """P8: an observed holdout holds for the person, as for any customer."""
    window: dict[str, Any] = {"measure_until": shop.now + DAY, "due_on": shop.now.date() + DAY}
    held_out: dict[str, Any] = {"arm": Arm.HOLDOUT, "state": S.HELD_OUT, "next_step": None}
    one = shop.enroll(**held_out, **window)
    shop.now += 2 * DAY
    with Session(shop.engine) as session, session.begin():
        assert close_windows(session, now=shop.now) == 1
    two = shop.enroll()

    merge(shop, one, two)
    shop.send()

    assert (shop.enrollment(one).state, shop.enrollment(two).state) == (S.OBSERVED, S.CANCELED)
    assert accepted(shop) == []


def test_the_wait_counts_from_what_the_other_one_got(shop: Shop) -> None:
    """P10: the step that one of them got this morning is not followed by another one today."""
    older = shop.enroll(due_on=shop.now.date() + DAY)
    younger = shop.enroll()
    shop.send()
    shop.now += MOMENT

    merge(shop, older, younger)

    goes_on = shop.enrollment(older)
    assert (goes_on.next_step, goes_on.due_on) == ("check-in", shop.now.date() + 5 * DAY)
    assert shop.passages(older) == {"concern": "passed"}
    days_pass(shop, 4)
    assert accepted(shop) == ["concern"]
    days_pass(shop, 1)
    assert accepted(shop) == ["concern", "check-in"]


def test_a_step_both_got_still_makes_the_next_one_wait(shop: Shop) -> None:
    """P10: where both had the step already, the wait counts from the later one of the two."""
    older = shop.enroll()
    shop.send()
    shop.now += 4 * DAY
    younger = shop.enroll()
    shop.send()
    shop.now += MOMENT

    merge(shop, older, younger)

    goes_on = shop.enrollment(older)
    assert (goes_on.next_step, goes_on.due_on) == ("check-in", shop.now.date() + 5 * DAY)


def test_what_is_queued_for_the_older_waits_anew(shop: Shop) -> None:
    """P1: what was about to leave for a step that the other one got is taken back."""
    older = shop.enroll(phones=[], consents=[Channel.EMAIL])
    with Session(shop.engine) as session, session.begin():
        message = {
            "enrollment_id": older,
            "customer_id": shop.enrollment(older).customer_id,
            "step": "concern",
            "channel": Channel.EMAIL,
            "state": MessageState.QUEUED,
            "queued_at": shop.now,
            "due_at": shop.now + DAY,
            "drop_at": shop.now + 7 * DAY,
        }
        session.execute(insert(Message).values(message))
    younger = shop.enroll()
    shop.send()

    merge(shop, older, younger)
    days_pass(shop, 3)

    assert shop.states(older) == [("concern", Channel.EMAIL, MessageState.CANCELED)]
    assert accepted(shop) == ["concern"]


def test_a_call_counts_like_a_message(shop: Shop) -> None:
    """Who has a case for a call is not called a second time, though no message tells of it."""
    older = shop.enroll(next_step="call", due_on=shop.now.date() + 9 * DAY, value="high")
    shop.now += MOMENT
    younger = shop.enroll(next_step="farewell", due_on=shop.now.date() + 14 * DAY)
    with Session(shop.engine) as session, session.begin():
        opened = {"step": "call", "how": StepEnd.CASE_OPENED.value, "at": shop.now}
        session.execute(insert(StepPassage).values(opened | {"enrollment_id": younger}))

    merge(shop, older, younger)

    goes_on = shop.enrollment(older)
    assert (goes_on.next_step, goes_on.due_on) == ("farewell", shop.now.date() + 14 * DAY)


def test_only_if_and_reminders_are_asked_as_for_any_step(shop: Shop) -> None:
    """What follows the steps they got is asked its ``only_if``, and reminded of the code they have.

    P6: one code of one offer for the person, repeated by what goes on.
    """
    older = shop.enroll(due_on=shop.now.date() + 60 * DAY)
    shop.now += MOMENT
    younger = shop.enroll(next_step="voucher")
    shop.send()
    issued_on = shop.now.date()

    merge(shop, older, younger)

    goes_on = shop.enrollment(older)
    assert (goes_on.next_step, goes_on.due_on) == ("reminder", issued_on + 17 * DAY)
    assert codes_of(shop) == [("welcome-back", VoucherState.ISSUED, older)]
    assert shop.passages(older) == dict.fromkeys(("concern", "check-in", "voucher"), "passed")
    with Session(shop.engine) as session, session.begin():
        used = {"state": VoucherState.VOIDED}
        session.execute(update(Voucher).where(Voucher.enrollment_id == older).values(used))
    third = shop.enroll(next_step="voucher", lapsed_on=OTHER_LAPSE)
    shop.send()

    merge(shop, older, third)

    # No second code of the offer; nothing is open to remind of, and the value is not high.
    goes_on = shop.enrollment(older)
    assert (goes_on.next_step, goes_on.due_on) == ("farewell", issued_on + 14 * DAY)


def test_a_code_that_was_given_is_not_given_again(shop: Shop) -> None:
    """P6: one code of one offer per person and lapse, though the first enrollment was canceled."""
    one = shop.enroll(next_step="voucher")
    shop.send()
    end(shop, one, EnrollmentEvent.CANCELED)
    shop.now += DAY
    two = shop.enroll(next_step="voucher")

    merge(shop, one, two)
    shop.send()

    assert accepted(shop) == ["voucher"]
    assert codes_of(shop) == [("welcome-back", VoucherState.ISSUED, one)]


def test_who_waits_for_an_associate_goes_on_waiting(shop: Shop) -> None:
    """P7: a reply to the younger enrollment stops the older one, whose the case becomes."""
    older = shop.enroll(due_on=shop.now.date() + DAY)
    shop.now += MOMENT
    younger = shop.enroll()
    customer_id = shop.enrollment(younger).customer_id
    with Session(shop.engine) as session, session.begin():
        move(session, younger, EnrollmentEvent.HANDED_OVER, now=shop.now, why="a reply")
        case = {
            "key": "reply:1",
            "kind": CaseKind.REPLY,
            "state": CaseState.OPEN,
            "customer_id": customer_id,
            "enrollment_id": younger,
            "opened_at": shop.now,
        }
        session.execute(insert(Case).values(case))

    merge(shop, older, younger)
    days_pass(shop, 2)

    assert shop.enrollment(older).state is S.HANDED_OVER
    assert accepted(shop) == []
    with Session(shop.engine) as session:
        assert session.scalars(select(Case.enrollment_id)).all() == [older]


def test_who_asked_to_be_left_till_later_sleeps_on(shop: Shop) -> None:
    """A wish to wait holds for the person, whichever enrollment it was said to."""
    older = shop.enroll(due_on=shop.now.date() + DAY)
    shop.now += MOMENT
    wakes_on = shop.now.date() + 30 * DAY
    younger = shop.enroll(is_asleep=True, sleeps=1, due_on=wakes_on)

    merge(shop, older, younger)
    days_pass(shop, 2)

    asleep = shop.enrollment(older)
    assert (asleep.is_asleep, asleep.sleeps, asleep.due_on) == (True, 1, wakes_on)
    assert accepted(shop) == []


def test_nothing_is_open_nothing_happens(shop: Shop) -> None:
    """Two who are through with it become one, and the customer's ids lead to one person."""
    one, two = shop.enroll(), shop.enroll()
    end(shop, one, EnrollmentEvent.RESTED)
    end(shop, two, EnrollmentEvent.PARTED)

    kept = merge(shop, one, two)

    assert (shop.enrollment(one).state, shop.enrollment(two).state) == (S.EXHAUSTED, S.PARTED)
    with Session(shop.engine) as session:
        gone = session.scalars(select(Customer).where(Customer.merged_into.is_not(None))).one()
        assert gone.merged_into == kept
        left = select(Enrollment.customer_id).where(Enrollment.id == two)
        assert session.scalars(left).one() == gone.id
