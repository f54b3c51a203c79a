"""Claims and responses want the same rows, and neither ends the other (DS-11). PostgreSQL's own."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import make_url, select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop, make_business
from winback.database.engine import make_engine
from winback.database.tables import Enrollment
from winback.delivery.queueing import queue_due
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.states import EnrollmentState, MessageState

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def impatient(database_url: str) -> Iterator[Shop]:
    """Give a shop that waits for no lock longer than a moment."""
    url = make_url(database_url).update_query_dict({"options": "-c lock_timeout=500"})
    engine = make_engine(url.render_as_string(hide_password=False))
    yield Shop(make_business(engine))
    engine.dispose()


def test_a_claim_waits_for_no_enrollment_that_is_being_moved(impatient: Shop) -> None:
    """A move locks the enrollment, then its messages; a claim that has these waits for neither."""
    shop = impatient
    moved, others = shop.enroll(), [shop.enroll() for _ in range(5)]
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        person = session.get_one(Enrollment, moved).customer_id
        # Pulled meanwhile: the claim would skip the message, and pass the step of its enrollment.
        shop.add_purchase(session, person, shop.now - timedelta(hours=1))

    with Session(shop.engine) as session, session.begin():
        session.execute(select(Enrollment.id).where(Enrollment.id == moved).with_for_update())
        counts = shop.send()
        move(session, moved, EnrollmentEvent.PURCHASED, now=shop.now, why="bought")

    assert counts.accepted == len(others)
    assert shop.enrollment(moved).state is EnrollmentState.CONVERTED
    assert [one.state for one in shop.messages(moved)] == [MessageState.CANCELED]


def test_what_a_claim_left_to_a_move_that_came_to_nothing_is_sent_by_the_next_run(
    impatient: Shop,
) -> None:
    """Left out, and not lost: the message stays as it was and due."""
    shop = impatient
    one = shop.enroll()
    queue_due(shop.run())

    with Session(shop.engine) as session:
        session.execute(select(Enrollment.id).where(Enrollment.id == one).with_for_update())
        first = shop.send()
        session.rollback()
    second = shop.send()

    assert (first.accepted, second.accepted) == (0, 1)


def test_a_decision_about_a_person_hinders_no_claim(impatient: Shop) -> None:
    """Rows that merely refer to an enrollment lock its key, which no claim changes."""
    shop = impatient
    one = shop.enroll()
    queue_due(shop.run())

    with Session(shop.engine) as session:
        session.execute(
            select(Enrollment.id)
            .where(Enrollment.id == one)
            .with_for_update(key_share=True, read=True)
        )
        counts = shop.send()

    assert counts.accepted == 1
    assert shop.passages(one) == {"concern": "accepted"}
