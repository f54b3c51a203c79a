"""A no, asked again in the transaction that claims (P3, FACTS.md LAW-2)."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import SECRET, Shop
from winback.customers.consent import record_consent
from winback.customers.identity import address_hash
from winback.customers.suppression import suppress
from winback.database.tables import Enrollment
from winback.delivery.claiming import claim
from winback.delivery.due import due_messages
from winback.delivery.leases import begin_worker
from winback.delivery.queueing import queue_due
from winback.providers.outgoing import Accepted, Outgoing, Result
from winback.states import Channel, ConsentState, MessageState, SuppressionReason

E, T = Channel.EMAIL, Channel.SMS


def say_no(shop: Shop, enrollment_id: int, *, address: str | None = None) -> None:
    """Suppress the person of an enrollment, or only an address."""
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(
            select(Enrollment.customer_id).where(Enrollment.id == enrollment_id)
        ).one()
        suppress(
            session,
            key=f"no:{enrollment_id}:{address}",
            reason=SuppressionReason.UNSUBSCRIBED,
            source="page",
            at=shop.now,
            customer_id=None if address else customer_id,
            address_hash=address_hash(SECRET, E, address) if address else None,
        )


def test_a_no_between_planning_and_claim_stops_the_message(shop: Shop) -> None:
    """The last look sees what was committed after the message was queued."""
    one = shop.enroll()
    queue_due(shop.run())
    assert shop.states(one) == [("concern", E, MessageState.QUEUED)]

    say_no(shop, one)
    shop.send()

    assert shop.mail.sent == []
    assert shop.states(one) == [("concern", E, MessageState.SKIPPED)]


def test_a_no_before_planning_ends_the_enrollment(shop: Shop) -> None:
    """Nothing is queued for the suppressed, and the enrollment ends."""
    one = shop.enroll()
    say_no(shop, one)

    shop.send()

    assert shop.messages(one) == []
    assert shop.enrollment(one).state == "suppressed"


def test_a_suppressed_address_is_not_written_to_whoever_has_it(shop: Shop) -> None:
    """A no holds per address: the other who shares it gets nothing there."""
    one = shop.enroll(emails=["both@example.com"], phones=[])
    say_no(shop, one, address="both@example.com")

    shop.send()

    assert shop.mail.sent == []


def test_a_withdrawn_consent_moves_the_step_to_the_other_channel(shop: Shop) -> None:
    """A withdrawn consent of one channel leaves the other one, where the step allows it."""
    one = shop.enroll(next_step="check-in")
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Enrollment.customer_id)).one()
        record_consent(
            session, customer_id, T, state=ConsentState.WITHDRAWN, source="till", now=shop.now
        )

    shop.send()

    assert shop.texts.sent == []
    assert shop.states(one)[-1] == ("check-in", E, MessageState.ACCEPTED)


def test_a_no_during_the_run_stops_what_is_not_claimed_yet(shop: Shop) -> None:
    """The race between a no and a batch is decided by the claim, message by message."""
    ids = [shop.enroll() for _ in range(70)]

    def answer(_: Outgoing) -> Result:
        if len(shop.mail.sent) == 1:
            for one in ids:
                say_no(shop, one)
        return Accepted("id")

    shop.mail.answer = answer
    counts = shop.send()

    # One claim of 64 was made before the no; the rest is skipped.
    assert counts.accepted == 64
    assert counts.skipped == 6


@pytest.mark.parametrize("state", ["handed_over", "canceled"])
def test_an_enrollment_that_moved_on_is_not_written_to(shop: Shop, state: str) -> None:
    """The state is asked at the claim too, and the step stands for whoever resumes it."""
    one = shop.enroll()
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Enrollment).values(state=state))

    shop.send()

    assert shop.mail.sent == []
    assert shop.passages(one) == {}


def test_of_two_workers_one_claims(shop: Shop) -> None:
    """Two claims of the same batch never both get a message (P1, FACTS.md DS-9)."""
    shop.enroll()
    run = shop.run()
    queue_due(run)
    with Session(shop.engine) as session, session.begin():
        ids = due_messages(session, shop.now)[Channel.EMAIL]
        one, other = begin_worker(session, shop.now), begin_worker(session, shop.now)

    with Session(shop.engine) as session, session.begin():
        first = claim(session, run, ids, resting={}, worker_id=one)
    with Session(shop.engine) as session, session.begin():
        second = claim(session, run, ids, resting={}, worker_id=other)

    assert len(first.claimed) == 1
    assert second.claimed == []
