"""Promise P3: no means no, for the person and for the address, on every road."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.customers.people import (
    SECRET,
    add_consent,
    add_customer,
    add_point,
    is_address_suppressed,
)
from winback.customers.consent import contactable_condition, record_consent, writable_point
from winback.customers.identity import address_hash
from winback.customers.suppression import (
    is_suppressed,
    suppress,
    suppressed_condition,
)
from winback.customers.uniting import unite_customers
from winback.database.tables import Consent, Customer, Suppression
from winback.states import Channel, ConsentState, SuppressionReason


def _stop(session: Session, now: datetime, customer_id: int, key: str = "stop:1") -> bool:
    return suppress(
        session,
        key=key,
        reason=SuppressionReason.STOPPED,
        source="twilio.inbound",
        at=now,
        customer_id=customer_id,
    )


def _contactable(session: Session, channel: Channel) -> list[int]:
    query = select(Customer.id).where(contactable_condition(Customer.id, channel))
    return list(session.scalars(query.order_by(Customer.id)))


def test_a_no_stops_the_person_on_all_channels(session: Session, now: datetime) -> None:
    """P3: a STOP by text also stops mails, and every address the person has."""
    ada = add_customer(session, now)
    mail = add_point(session, ada, "ada@example.com", now)
    number = add_point(session, ada, "+447400123456", now)

    assert _stop(session, now, ada.id)

    assert is_suppressed(session, ada.id, Channel.EMAIL)
    assert is_suppressed(session, ada.id, Channel.SMS)
    assert is_address_suppressed(session, mail.address_hash, Channel.EMAIL)
    assert is_address_suppressed(session, number.address_hash, Channel.SMS)


def test_a_repeated_no_is_no_second_row(session: Session, now: datetime) -> None:
    """Webhooks are delivered more than once: the key makes it one fact."""
    ada = add_customer(session, now)
    add_point(session, ada, "ada@example.com", now)

    assert _stop(session, now, ada.id)
    assert not _stop(session, now, ada.id)

    assert session.scalar(select(func.count()).select_from(Suppression)) == 2


def test_a_suppressed_address_is_not_written_to_whoever_has_it(
    session: Session, now: datetime
) -> None:
    """DESIGN.md, section 7: suppression holds per contact point, whoever shares it."""
    ada, bob = add_customer(session, now), add_customer(session, now)
    add_point(session, ada, "home@example.com", now)
    add_point(session, bob, "home@example.com", now)
    free = add_point(session, bob, "bob@example.com", now)
    for person in (ada, bob):
        add_consent(session, person, Channel.EMAIL, now)

    _stop(session, now, ada.id)

    assert _contactable(session, Channel.EMAIL) == [bob.id]
    chosen = session.scalar(
        select(writable_point(Customer.id, Channel.EMAIL)).where(Customer.id == bob.id)
    )
    assert chosen == free.id


def test_a_person_whose_every_address_is_suppressed_is_suppressed(
    session: Session, now: datetime
) -> None:
    """FACTS.md LAW-4: whoever comes back under a new id is known by the address's hash."""
    again, other = add_customer(session, now), add_customer(session, now)
    add_point(session, again, "ada@example.com", now)
    suppress(
        session,
        key="old",
        reason=SuppressionReason.ERASED,
        source="erasure",
        at=now,
        address_hash=address_hash(SECRET, Channel.EMAIL, "ada@example.com"),
    )

    query = select(Customer.id).where(suppressed_condition(Customer.id, Channel.EMAIL))

    assert list(session.scalars(query)) == [again.id]
    assert not is_suppressed(session, other.id, Channel.EMAIL)


def test_a_suppression_of_one_channel_leaves_the_other(session: Session, now: datetime) -> None:
    """An address that bounced is no wish of the person."""
    ada = add_customer(session, now)
    mail = add_point(session, ada, "ada@example.com", now)
    number = add_point(session, ada, "+447400123456", now)
    add_consent(session, ada, Channel.EMAIL, now)
    add_consent(session, ada, Channel.SMS, now, is_written=True)

    suppress(
        session,
        key="bounce:1",
        reason=SuppressionReason.BOUNCED,
        source="sendgrid.events",
        at=now,
        address_hash=mail.address_hash,
        channel=Channel.EMAIL,
    )

    assert _contactable(session, Channel.EMAIL) == []
    assert _contactable(session, Channel.SMS) == [ada.id]
    assert not is_address_suppressed(session, number.address_hash, Channel.SMS)


def test_texts_need_written_consent_and_mails_a_given_one(session: Session, now: datetime) -> None:
    """FACTS.md LAW-22, LAW-37: consent is per channel, and written for texts."""
    ada = add_customer(session, now)
    add_point(session, ada, "ada@example.com", now)
    add_point(session, ada, "+447400123456", now)
    add_consent(session, ada, Channel.EMAIL, now)

    assert _contactable(session, Channel.EMAIL) == [ada.id]
    assert _contactable(session, Channel.SMS) == []

    record_consent(session, ada.id, Channel.SMS, state=ConsentState.GIVEN, source="till", now=now)
    assert _contactable(session, Channel.SMS) == []

    record_consent(
        session,
        ada.id,
        Channel.SMS,
        state=ConsentState.GIVEN,
        source="till",
        now=now,
        is_written=True,
    )
    assert _contactable(session, Channel.SMS) == [ada.id]
    assert session.scalar(select(func.count()).select_from(Consent)) == 3


def test_a_call_only_minds_a_no(session: Session, now: datetime) -> None:
    """A person who calls needs a number and no withdrawn consent."""
    ada = add_customer(session, now)
    add_point(session, ada, "+447400123456", now)

    assert _contactable(session, Channel.CALL) == [ada.id]

    add_consent(session, ada, Channel.CALL, now, state=ConsentState.WITHDRAWN)
    assert _contactable(session, Channel.CALL) == []


def test_suppression_is_the_union_when_two_become_one(session: Session, now: datetime) -> None:
    """P3: a no survives a merge, whichever of the two said it."""
    ada, twin = add_customer(session, now), add_customer(session, now)
    _stop(session, now, twin.id)

    unite_customers(session, ada.id, twin.id, now=now, currency="GBP")

    assert is_suppressed(session, ada.id, Channel.EMAIL)
    assert is_suppressed(session, twin.id, Channel.EMAIL)
    _stop(session, now, twin.id, key="stop:2")
    assert set(session.scalars(select(Suppression.customer_id))) == {ada.id}
