"""One enrollment whose step nobody can plan keeps nobody else from theirs, and is told of."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.history import record_decision
from winback.database.tables import Enrollment
from winback.delivery.isolating import MOST
from winback.delivery.queueing import queue_due
from winback.outcomes.figures import Need
from winback.outcomes.needs import find_needs, find_urgent
from winback.states import MessageState

TOLD = ("not_planned", "KeyError")


def change(shop: Shop, enrollment_id: int, **values: object) -> None:
    """Change an enrollment behind the program's back."""
    with Session(shop.engine) as session, session.begin():
        changed = update(Enrollment).where(Enrollment.id == enrollment_id)
        session.execute(changed.values(**values))


def needs(shop: Shop) -> list[Need]:
    """Give what must not wait for a person to look; they would find the same."""
    with Session(shop.engine) as session:
        urgent = find_urgent(session, shop.business, (), now=shop.now)
        asked = find_needs(session, shop.business, (), now=shop.now)
    assert [one for one in asked if one.what == "unplanned"] == [*urgent]
    return [*urgent]


def test_an_enrollment_that_cannot_be_planned_stops_nobody(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left as it is and logged by its id and the kind of error; all others are written to."""
    fine = [shop.enroll() for _ in range(5)]
    broken = shop.enroll(next_step="gone")
    fine += [shop.enroll() for _ in range(5)]

    counts = shop.send()

    row = shop.enrollment(broken)
    assert counts.accepted == len(fine)
    assert (row.next_step, row.due_on, shop.messages(broken)) == ("gone", shop.now.date(), [])
    errors = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert [f"enrollment {broken} is put aside: KeyError" in one for one in errors] == [True]


def test_it_is_noted_once_and_told_while_it_lasts(shop: Shop) -> None:
    """However many runs meet it, its history says it once; the operator's alert stands."""
    broken = shop.enroll(next_step="gone")

    for _ in range(4):
        shop.send()
        [need] = needs(shop)
        shop.now += DAY

    assert shop.decisions(broken) == [TOLD]
    assert (need.what, need.count) == ("unplanned", 1)
    assert f"1 enrollment cannot be planned ({broken})" in need.says


def test_it_is_noted_again_where_something_else_was_decided_since(shop: Shop) -> None:
    """The last decision is what holds: an older note would be overlooked."""
    broken = shop.enroll(next_step="gone")
    shop.send()
    with Session(shop.engine) as session, session.begin():
        person = session.get_one(Enrollment, broken).customer_id
        later = shop.now + timedelta(minutes=1)
        record_decision(session, person, enrollment_id=broken, what="woke", why="", at=later)
    assert needs(shop) == []

    shop.now += timedelta(hours=1)
    shop.send()

    assert [what for what, _ in shop.decisions(broken)] == ["not_planned", "woke", "not_planned"]
    assert len(needs(shop)) == 1


def test_it_goes_on_when_it_is_mended(shop: Shop) -> None:
    """Nothing is lost but time: the next run sends, and a later step that is due is no alert."""
    broken = shop.enroll(next_step="gone")
    shop.send()

    change(shop, broken, next_step="concern")
    shop.now += timedelta(hours=1)
    counts = shop.send()
    told = needs(shop)
    due_on = shop.enrollment(broken).due_on
    assert due_on is not None
    shop.now += (due_on - shop.now.date()).days * DAY

    assert (counts.accepted, told, needs(shop)) == (1, [], [])
    assert shop.passages(broken) == {"concern": "accepted"}


def test_a_sleeper_that_cannot_be_woken_stops_nobody(shop: Shop) -> None:
    """Who wakes today is due today: one of them who cannot stays asleep, and is told of."""
    fine = shop.enroll(next_step="concern", is_asleep=True)
    broken = shop.enroll(next_step="gone", is_asleep=True)

    counts = shop.send()

    assert counts.accepted == 1
    assert shop.passages(fine) == {"concern": "accepted"}
    assert shop.enrollment(broken).is_asleep
    assert shop.decisions(broken) == [TOLD]
    assert len(needs(shop)) == 1


def test_more_than_a_few_are_no_fault_of_single_enrollments(shop: Shop) -> None:
    """What is broken about all fails the run, and that is told; who can be written to, is."""
    fine = [shop.enroll() for _ in range(5)]
    for _ in range(MOST + 5):
        shop.enroll(next_step="gone")

    with pytest.raises(KeyError):
        queue_due(shop.run())
    with pytest.raises(KeyError):
        shop.send()

    assert [shop.states(one)[0][2] for one in fine] == [MessageState.ACCEPTED] * 5
