"""One tap on the reason page, one row of the table."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.database.tables import Response
from winback.states import CaseKind


def _answers(shop: Ears, enrollment_id: int) -> list[str]:
    return [one.step for one in shop.messages(enrollment_id) if one.is_answer]


@pytest.mark.parametrize(
    ("reason", "state", "next_step", "answer"),
    [
        ("forgot", "active", "check-in", None),
        ("hours", "active", "check-in", "hours"),
        ("price", "active", "voucher", None),
        ("service", "handed_over", "check-in", "service"),
        ("another", "active", "check-in", "another"),
        ("moved", "parted", "check-in", "moved"),
        ("hard_time", "active", "check-in", None),
        ("not_now", "active", "check-in", None),
    ],
)
def test_each_reason_does_what_the_table_says(
    shop: Ears, *, reason: str, state: str, next_step: str, answer: str | None
) -> None:
    """DESIGN.md, section 5, Responses: state, next step and answer of each reason."""
    enrollment_id, message = shop.written()
    counts = shop.tap(message, reason, "2026-06")
    row = shop.enrollment(enrollment_id)
    assert (row.state.value, row.next_step, row.reason) == (state, next_step, reason)
    assert _answers(shop, enrollment_id) == ([answer] if answer else [])
    assert counts.reasons == 1
    assert row.is_asleep is (reason in ("hard_time", "not_now"))
    assert "reason" in [what for what, _ in shop.decisions(enrollment_id)]


def test_not_now_sleeps_until_the_first_of_the_month(shop: Ears) -> None:
    """Asleep is active, and wakes on the month's first local day."""
    enrollment_id, message = shop.written()
    assert shop.tap(message, "not_now", "2026-06").slept == 1
    row = shop.enrollment(enrollment_id)
    assert (row.is_asleep, row.due_on, row.is_gentle) == (True, date(2026, 6, 1), False)


def test_a_hard_time_sleeps_three_months_and_is_gentle(shop: Ears) -> None:
    """Three calendar months, and no offer first."""
    enrollment_id, message = shop.written()
    shop.tap(message, "hard_time")
    row = shop.enrollment(enrollment_id)
    assert (row.is_asleep, row.due_on, row.is_gentle) == (True, date(2026, 6, 2), True)


def test_a_second_sleep_parts(shop: Ears) -> None:
    """Whoever asks twice to wait is left in peace."""
    enrollment_id, message = shop.written()
    shop.tap(message, "not_now", "2026-06")
    shop.now += timedelta(days=100)
    assert shop.tap(message, "hard_time").parted == 1
    assert shop.state(enrollment_id) == "parted"


def test_service_opens_a_repair_and_the_apology_still_goes_out(shop: Ears) -> None:
    """A person puts it right; the apology is an answer and leaves while handed over."""
    enrollment_id, message = shop.written()
    counts = shop.tap(message, "service")
    assert (counts.handed_over, counts.answered) == (1, 1)
    (case,) = shop.cases()
    assert (case.kind, case.label) == (CaseKind.REPAIR, "complaint")
    assert case.enrollment_id == enrollment_id


def test_the_same_reason_twice_is_once_and_a_later_other_one_acts_again(shop: Ears) -> None:
    """Two presses of one button say one thing; a change of mind says another."""
    enrollment_id, message = shop.written()
    assert shop.tap(message, "forgot").reasons == 1
    assert shop.tap(message, "forgot").reasons == 0
    assert shop.tap(message, "price").reasons == 1
    assert shop.tap(message, "forgot").reasons == 1
    with Session(shop.engine) as session:
        kept = session.scalars(
            select(Response.reason).where(Response.kind == "reason").order_by(Response.id)
        ).all()
    assert kept == ["forgot", "price", "forgot"]
    assert shop.enrollment(enrollment_id).next_step == "voucher"


def test_a_reason_after_a_final_state_is_kept_and_moves_nothing(shop: Ears) -> None:
    """The state stays; what can still be repaired opens a case."""
    enrollment_id, message = shop.written()
    shop.tap(message, "moved")
    shop.tap(message, "service")
    assert shop.state(enrollment_id) == "parted"
    assert [case.kind for case in shop.cases()] == [CaseKind.REPAIR]


def test_after_a_no_no_answer_is_queued(shop: Ears) -> None:
    """An answer may follow a final state, except suppressed."""
    enrollment_id, message = shop.written()
    shop.stop(message)
    shop.tap(message, "hours")
    assert _answers(shop, enrollment_id) == []
