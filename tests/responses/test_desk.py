"""The associates' desk: what waits, and what a result does."""

import pytest
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.errors import ConfigError, WinbackError
from winback.responses.desk import close, note, take
from winback.responses.results import Result
from winback.responses.waiting import CaseView, waiting_cases
from winback.states import CaseState, Channel


def _close(shop: Ears, case_id: int, result: Result, step: str | None = None) -> str:
    with Session(shop.engine) as session, session.begin():
        return close(session, shop.business, case_id, result, now=shop.now, step=step)


def _waiting(shop: Ears) -> list[CaseView]:
    with Session(shop.engine) as session:
        return waiting_cases(session, shop.business, now=shop.now)


@pytest.fixture
def case_of(shop: Ears) -> tuple[int, int]:
    """Give an enrollment that a reply handed over, and its case."""
    enrollment_id, _ = shop.written()
    shop.hear(shop.text_back("Are you open on Sunday?"))
    return enrollment_id, shop.cases()[0].id


def test_the_desk_tells_who_waits_and_what_was_said(shop: Ears, case_of: tuple[int, int]) -> None:
    """No hunting for who this person is and what we promised."""
    (view,) = _waiting(shop)
    assert view.id == case_of[1]
    assert (view.customer, view.label, view.kind) == ("Ann", "hours", "reply")
    assert view.contacts["sms"] == "+447911100001"
    assert [said.step for said in view.history] == ["concern"]
    assert view.suggestion
    assert view.campaign == "six-month"


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (Result.RESOLVED, "active"),
        (Result.CAME_BACK, "converted"),
        (Result.NOT_INTERESTED, "parted"),
        (Result.DO_NOT_CONTACT, "suppressed"),
        (Result.UNREACHABLE, "unreachable"),
        (Result.NO_ANSWER, "handed_over"),
    ],
)
def test_each_result_does_what_follows_from_it(
    shop: Ears, case_of: tuple[int, int], *, result: Result, state: str
) -> None:
    """DESIGN.md, section 5: back to the timeline, or any final state."""
    enrollment_id, case_id = case_of
    assert _close(shop, case_id, result)
    assert shop.state(enrollment_id) == state
    answers = [one.step for one in shop.messages(enrollment_id) if one.is_answer]
    assert answers == (["purchase"] if result is Result.CAME_BACK else [])
    is_open = result is Result.NO_ANSWER
    assert shop.cases()[0].state is (CaseState.OPEN if is_open else CaseState.CLOSED)
    assert len(_waiting(shop)) == int(is_open)
    assert shop.is_silenced(enrollment_id, Channel.SMS) is (result is Result.DO_NOT_CONTACT)


def test_a_case_resumes_at_a_chosen_step(shop: Ears, case_of: tuple[int, int]) -> None:
    """Steps between are passed; the step is not due before tomorrow."""
    enrollment_id, case_id = case_of
    assert "voucher comes next" in _close(shop, case_id, Result.RESOLVED, "voucher")
    row = shop.enrollment(enrollment_id)
    assert row.next_step == "voucher"
    assert row.due_on is not None
    assert row.due_on > shop.now.date()


def test_an_impossible_step_is_refused_and_changes_nothing(
    shop: Ears, case_of: tuple[int, int]
) -> None:
    """The associate reads why, and the case still waits."""
    with pytest.raises(ConfigError, match="concern"):
        _close(shop, case_of[1], Result.RESOLVED, "concern")
    assert shop.cases()[0].state is CaseState.OPEN


def test_while_another_case_waits_nothing_is_resumed(shop: Ears, case_of: tuple[int, int]) -> None:
    """A person is still answering."""
    enrollment_id, case_id = case_of
    shop.hear(shop.text_back("And another thing"))
    assert "still waits" in _close(shop, case_id, Result.RESOLVED)
    assert shop.state(enrollment_id) == "handed_over"
    _close(shop, shop.cases()[1].id, Result.RESOLVED)
    assert shop.state(enrollment_id) == "active"


def test_a_case_is_taken_once(shop: Ears, case_of: tuple[int, int]) -> None:
    """Two associates do not call the same person."""
    with Session(shop.engine) as session, session.begin():
        take(session, case_of[1], by="Anna", now=shop.now)
        take(session, case_of[1], by="Anna", now=shop.now)
        with pytest.raises(WinbackError, match="taken by Anna"):
            take(session, case_of[1], by="Tom", now=shop.now)
        note(session, case_of[1], "called", now=shop.now)
        note(session, case_of[1], "called again", now=shop.now)
    case = shop.cases()[0]
    assert (case.taken_by, case.note.count("\n")) == ("Anna", 1)
    _close(shop, case_of[1], Result.RESOLVED)
    with pytest.raises(WinbackError, match="closed already"):
        _close(shop, case_of[1], Result.RESOLVED)


def test_an_unknown_case_is_wrong_use(shop: Ears) -> None:
    """One sentence, exit 2."""
    with pytest.raises(ConfigError, match="no case 999"):
        _close(shop, 999, Result.RESOLVED)
