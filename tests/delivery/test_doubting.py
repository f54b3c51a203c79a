"""One doubt that nobody can settle keeps nobody else from being written to."""

import logging

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.tables import CampaignVersion, Enrollment, Message
from winback.delivery.isolating import MOST
from winback.delivery.queueing import queue_due
from winback.outcomes.needs import find_urgent
from winback.providers.outgoing import Accepted, Outgoing, Result
from winback.states import MessageState

S = MessageState


def in_doubt(shop: Shop, count: int) -> list[int]:
    """Enroll people of whose first mail nobody knows what became of it; gives the enrollments."""
    people = [shop.enroll(phones=[]) for _ in range(count)]
    queue_due(shop.run())
    for one in people:
        change(shop, one, state=S.UNCONFIRMED, claimed_at=shop.now)
    return people


def change(shop: Shop, enrollment_id: int, **values: object) -> None:
    """Change the messages of an enrollment behind the program's back."""
    with Session(shop.engine) as session, session.begin():
        changed = update(Message).where(Message.enrollment_id == enrollment_id)
        session.execute(changed.values(**values))


def lose_campaigns(shop: Shop, *enrollment_ids: int) -> None:
    """Let these be of a version of their campaign that nobody can read."""
    unreadable = {"campaign": "six-month", "content_hash": "?", "content": {"steps": "gone"}}
    with Session(shop.engine) as session, session.begin():
        version_id = session.execute(
            insert(CampaignVersion)
            .values(**unreadable, first_used_at=shop.now)
            .returning(CampaignVersion.id)
        ).scalar_one()
        session.execute(
            update(Enrollment)
            .where(Enrollment.id.in_(enrollment_ids))
            .values(campaign_version_id=version_id)
        )


def prove(shop: Shop, *enrollment_ids: int) -> None:
    """Let evidence tell that these were accepted."""
    for one in enrollment_ids:
        change(shop, one, state=S.ACCEPTED, accepted_at=shop.now)


def kill(shop: Shop, *enrollment_ids: int) -> None:
    """Let the worker that claimed these have died over them."""
    for one in enrollment_ids:
        change(shop, one, state=S.SENDING)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was logged as an error."""
    return [one.message for one in caplog.records if one.levelno == logging.ERROR]


def test_a_step_in_doubt_that_cannot_be_passed_stops_nobody(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays unconfirmed and is told; the other one's step is passed, new people are written to.

    Who was to get something else is not kept from it for ever by one broken row (P2).
    """
    broken, fine = in_doubt(shop, 2)
    lose_campaigns(shop, broken)
    new = shop.enroll()
    shop.now += DAY

    counts = shop.send()

    assert counts.accepted == 1
    assert shop.messages(new)[0].state is S.ACCEPTED
    assert (shop.passages(fine), shop.passages(broken)) == ({"concern": "unconfirmed"}, {})
    (left,) = shop.messages(broken)
    assert left.state is S.UNCONFIRMED
    [error] = errors(caplog)
    assert error.startswith(f"message {left.id} is put aside: ValidationError")


def test_a_proven_step_that_cannot_be_passed_stops_nobody(shop: Shop) -> None:
    """Late news of a message whose campaign nobody can read: the other one goes on (P2)."""
    broken, fine = in_doubt(shop, 2)
    prove(shop, broken, fine)
    lose_campaigns(shop, broken)
    new = shop.enroll()

    counts = shop.send()

    assert counts.accepted == 1
    assert shop.messages(new)[0].state is S.ACCEPTED
    assert (shop.passages(fine), shop.passages(broken)) == ({"concern": "accepted"}, {})


def test_a_claim_of_the_dead_that_cannot_be_doubted_stops_nobody(shop: Shop) -> None:
    """A row that is broken stays as it is; the dead worker's other ones are in doubt (DS-10)."""
    broken, fine = in_doubt(shop, 2)
    kill(shop, broken, fine)
    change(shop, broken, claimed_at=None)
    new = shop.enroll()

    counts = shop.send()

    assert (counts.accepted, counts.unconfirmed) == (1, 1)
    assert shop.messages(new)[0].state is S.ACCEPTED
    states = [shop.messages(one)[0].state for one in (broken, fine)]
    assert states == [S.SENDING, S.UNCONFIRMED]


def test_whose_step_cannot_be_passed_is_told_to_the_operator_until_it_is_mended(
    shop: Shop,
) -> None:
    """It must not wait for somebody to read the log; mended it goes on by itself."""
    (broken,) = in_doubt(shop, 1)
    version_id = shop.enrollment(broken).campaign_version_id
    lose_campaigns(shop, broken)
    shop.now += DAY
    told = []
    for mended in (False, True):
        if mended:
            with Session(shop.engine) as session, session.begin():
                session.execute(update(Enrollment).values(campaign_version_id=version_id))
        shop.send()
        with Session(shop.engine) as session:
            needs = find_urgent(session, shop.business, (), now=shop.now)
        told.append([need.what for need in needs])

    assert told == [["unplanned"], []]
    assert shop.passages(broken) == {"concern": "unconfirmed"}


def test_what_is_broken_about_all_fails_the_run_when_the_others_are_written_to(
    shop: Shop,
) -> None:
    """More than a few are no fault of single rows: it is told, but last of all."""
    people = in_doubt(shop, MOST + 2)
    lose_campaigns(shop, *people)
    new = shop.enroll()
    shop.now += DAY

    with pytest.raises(ValidationError):
        shop.send()

    assert shop.messages(new)[0].state is S.ACCEPTED
    assert {shop.messages(one)[0].state for one in people} == {S.UNCONFIRMED}


@pytest.mark.parametrize("count", [1, 4])
def test_a_result_that_cannot_be_written_makes_no_doubt_of_the_others(
    shop: Shop, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    """What is known of the calls beside it is written down; it alone is in doubt (P2, DS-4)."""
    people = [shop.enroll(phones=[]) for _ in range(count)]

    def answer(_: Outgoing) -> Result:
        if not errors(caplog) and len(shop.mail.sent) == count:
            lose_campaigns(shop, people[0])
        return Accepted("id")

    shop.mail.answer = answer
    counts = shop.send()
    later = shop.send()

    assert (counts.accepted, later.unconfirmed) == (count - 1, 1)
    states = [shop.messages(one)[0].state for one in people]
    assert states == [S.UNCONFIRMED] + [S.ACCEPTED] * (count - 1)
    (left,) = shop.messages(people[0])
    assert errors(caplog)[0].startswith(f"result {left.id} is put aside: ValidationError")


def test_results_that_none_can_be_written_of_end_the_run(shop: Shop) -> None:
    """What is broken about all must not make a doubt of each: nobody else is called."""
    shop.limit(in_flight=8)
    people = [shop.enroll(phones=[]) for _ in range(MOST + 30)]

    def answer(_: Outgoing) -> Result:
        if len(shop.mail.sent) == 1:
            lose_campaigns(shop, *people)
        return Accepted("id")

    shop.mail.answer = answer
    with pytest.raises(ValidationError):
        shop.send()

    assert len(shop.mail.sent) < len(people)
