"""What two customers have is united without a lost no, or a lost purchase."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.customers.people import (
    add_consent,
    add_customer,
    add_enrollment,
    add_message,
    add_point,
    add_purchase,
    add_source,
)
from winback.customers.uniting import unite_customers
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Message,
)
from winback.states import (
    Channel,
    ConsentState,
    EnrollmentState,
    MessageState,
)


def test_purchases_follow_and_sums_are_counted_anew(session: Session, now: datetime) -> None:
    """The one who stays has what both had; the other points to them, chains included."""
    ada, twin, old = (add_customer(session, now) for _ in range(3))
    old.merged_into = twin.id
    add_purchase(session, ada, date(2025, 5, 1), "10")
    add_purchase(session, twin, date(2025, 8, 1), "5.50")
    add_purchase(session, twin, date(2025, 8, 2), "-1")
    add_source(session, twin, "web", "t")

    unite_customers(session, ada.id, twin.id, now=now, currency="GBP")

    session.expire_all()
    assert (ada.purchase_count, ada.spent) == (2, Decimal("14.50"))
    assert (ada.last_purchased_on, ada.changed_at) == (date(2025, 8, 1), now)
    assert (twin.purchase_count, twin.last_purchased_on) == (0, None)
    assert {session.get_one(Customer, one.id).merged_into for one in (twin, old)} == {ada.id}


def test_a_no_holds_over_a_yes(session: Session, now: datetime) -> None:
    """P3: of two current consents the withdrawn one stays; one of each channel is current."""
    ada, twin = add_customer(session, now), add_customer(session, now)
    add_consent(session, ada, Channel.EMAIL, now, state=ConsentState.WITHDRAWN)
    add_consent(session, twin, Channel.EMAIL, now + timedelta(days=1))
    add_consent(session, twin, Channel.SMS, now, is_written=True)

    unite_customers(session, ada.id, twin.id, now=now, currency="GBP")

    current = select(Consent.channel, Consent.state).where(
        Consent.customer_id == ada.id, Consent.superseded_at.is_(None)
    )
    assert {tuple(row) for row in session.execute(current)} == {
        (Channel.EMAIL, ConsentState.WITHDRAWN),
        (Channel.SMS, ConsentState.GIVEN),
    }


def test_a_shared_address_stays_once_and_unreachable(session: Session, now: datetime) -> None:
    """A hard bounce is not forgotten, and messages keep the address they went to."""
    ada, twin = add_customer(session, now), add_customer(session, now)
    mine = add_point(session, ada, "ada@example.com", now)
    theirs = add_point(session, twin, "ada@example.com", now, is_reachable=False)
    add_point(session, twin, "+447400123456", now)
    enrollment = add_enrollment(session, twin, now, state=EnrollmentState.EXHAUSTED)
    sent = add_message(
        session,
        enrollment,
        "concern",
        state=MessageState.ACCEPTED,
        at=now,
        contact_point_id=theirs.id,
    )

    unite_customers(session, ada.id, twin.id, now=now, currency="GBP")

    points = session.scalars(select(ContactPoint).order_by(ContactPoint.id)).all()
    assert [(one.customer_id, one.is_reachable) for one in points] == [
        (ada.id, False),
        (ada.id, True),
    ]
    moved = session.get_one(Message, sent.id)
    assert (moved.customer_id, moved.contact_point_id) == (ada.id, mine.id)
