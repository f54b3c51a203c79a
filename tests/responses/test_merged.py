"""Who was two customers: what is said about the enrollment that was canceled counts for the other.

The person has one open enrollment; that they answered by the other one's mail, code or call is
nothing they could know.
"""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY
from tests.responses.ears import Ears
from winback.database.tables import Enrollment, Voucher, table_of
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.merging import merge_customers
from winback.enrollment.moving import move
from winback.responses.desk import close
from winback.responses.results import Result
from winback.states import Arm, CaseKind, EnrollmentState
from winback.vouchers.redeeming import redeem


def merge(shop: Ears, one: int, other: int) -> None:
    """Make the customers of two enrollments one."""
    ids = [shop.enrollment(id_).customer_id for id_ in (one, other)]
    with Session(shop.engine) as session, session.begin():
        merge_customers(session, *ids, now=shop.now, zone=shop.business.zone, currency="GBP")
    assert shop.state(other) == "canceled"


def two_in_one(shop: Ears, **older: object) -> tuple[int, int]:
    """Give the enrollment that goes on, and the one that a merge canceled, both written to."""
    goes_on = shop.enroll(**{"enrolled_at": shop.now - DAY, **older})  # type: ignore[arg-type]
    ended = shop.enroll()
    shop.send()
    shop.now += timedelta(hours=1)
    merge(shop, goes_on, ended)
    return goes_on, ended


@pytest.mark.parametrize(
    ("reason", "state", "next_step", "asleep_until"),
    [
        ("moved", "parted", "check-in", None),
        ("service", "handed_over", "check-in", None),
        ("price", "active", "voucher", None),
        ("hard_time", "active", "check-in", date(2026, 6, 2)),
        ("not_now", "active", "check-in", date(2026, 6, 1)),
    ],
)
def test_a_reason_moves_the_one_that_goes_on(
    shop: Ears, *, reason: str, state: str, next_step: str, asleep_until: date | None
) -> None:
    """DESIGN.md, section 5, Responses: the table holds for the person, by whichever mail."""
    goes_on, ended = two_in_one(shop)

    shop.tap(shop.messages(ended)[0], reason, "2026-06")

    row = shop.enrollment(goes_on)
    assert (row.state.value, row.next_step, row.reason) == (state, next_step, reason)
    assert (row.due_on if row.is_asleep else None) == asleep_until
    if reason == "service":
        assert [case.enrollment_id for case in shop.cases()] == [goes_on]


def test_a_persons_click_makes_its_next_step_come_sooner(shop: Ears) -> None:
    """A click is a click, by whichever of the two mails."""
    goes_on, ended = two_in_one(shop, next_step="check-in")
    before = shop.enrollment(goes_on).due_on

    shop.hear(shop.report(shop.messages(ended)[0], "click", url="https://shop.example.com/"))

    after = shop.enrollment(goes_on).due_on
    assert before is not None
    assert after == shop.now.date() + DAY < before


@pytest.mark.parametrize("is_redeemed_first", [True, False])
def test_a_code_of_the_ended_one_converts(shop: Ears, *, is_redeemed_first: bool) -> None:
    """Back at the till, with the code that stayed behind: thanked for, then left in peace."""
    goes_on = shop.enroll(enrolled_at=shop.now - DAY, next_step="voucher")
    ended = shop.enroll(next_step="voucher")
    shop.send()
    shop.now += DAY
    if not is_redeemed_first:
        merge(shop, goes_on, ended)
    with Session(shop.engine) as session, session.begin():
        code = session.scalars(select(Voucher.code).where(Voucher.enrollment_id == ended)).one()
        assert redeem(session, code, now=shop.now)
    if is_redeemed_first:
        merge(shop, goes_on, ended)

    counts = shop.respond()

    assert (shop.state(goes_on), counts.converted, counts.answered) == ("converted", 1, 1)
    assert shop.respond().converted == 0, "safe to repeat"


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (Result.NOT_INTERESTED, "parted"),
        (Result.CAME_BACK, "converted"),
        (Result.UNREACHABLE, "unreachable"),
    ],
)
def test_the_result_of_a_call_moves_it(shop: Ears, result: Result, state: str) -> None:
    """P7: what a person was told on the phone is minded, whoever's call it was."""
    goes_on = shop.enroll(enrolled_at=shop.now - DAY, due_on=shop.now.date() + 2 * DAY)
    ended = shop.enroll(next_step="call", value="high", customer={"spent": Decimal(900)})
    shop.send()
    (case,) = shop.cases()
    assert case.kind is CaseKind.CALL
    merge(shop, goes_on, ended)

    with Session(shop.engine) as session, session.begin():
        says = close(session, shop.business, case.id, result, now=shop.now)

    assert says == f"the enrollment is {state}"
    assert shop.state(goes_on) == state


def test_what_began_later_or_ended_otherwise_is_left_alone(shop: Ears) -> None:
    """Only the passage that goes on for the canceled one is meant, and never a holdout."""
    goes_on, ended = two_in_one(shop)
    message = shop.messages(ended)[0]
    with Session(shop.engine) as session, session.begin():
        move(session, goes_on, EnrollmentEvent.RESTED, now=shop.now, why="a test says so")
    shop.now += DAY
    later = shop.enroll(lapsed_on=date(2025, 9, 1))
    canceled, other = shop.written()
    with Session(shop.engine) as session, session.begin():
        person = shop.enrollment(goes_on).customer_id
        rows = table_of(Enrollment)
        session.execute(rows.update().where(rows.c.id == later).values(customer_id=person))
        move(session, canceled, EnrollmentEvent.CANCELED, now=shop.now, why="an operator")

    shop.tap(message, "moved")
    shop.tap(other, "moved")

    assert shop.state(later) == "active"
    assert (shop.state(ended), shop.enrollment(ended).reason) == ("canceled", "moved")
    assert (shop.state(canceled), shop.enrollment(canceled).reason) == ("canceled", "moved")


def test_a_holdout_that_goes_on_stays_as_assigned(shop: Ears) -> None:
    """P8: what is said about a message that a holdout never got moves the ended one, and no arm."""
    held = {"arm": Arm.HOLDOUT, "state": EnrollmentState.HELD_OUT, "next_step": None}
    goes_on, ended = two_in_one(shop, **held)

    counts = shop.tap(shop.messages(ended)[0], "moved")

    assert (shop.state(goes_on), shop.enrollment(goes_on).reason) == ("held_out", None)
    assert shop.enrollment(ended).reason == "moved"
    assert counts.parted == 0
