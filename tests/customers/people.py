"""Make customers, enrollments and messages for the tests of this room."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from tests.enrollment.shop import make_campaign
from winback.campaign.versions import keep_version
from winback.customers.identity import address_hash
from winback.customers.suppression import address_suppressed_condition
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Enrollment,
    Message,
    Purchase,
    SourceCustomer,
)
from winback.states import (
    Arm,
    Channel,
    ConsentState,
    EnrollmentState,
    MessageState,
    PurchaseKind,
)

SECRET = "a secret of the tests"


def add_customer(session: Session, now: datetime, **fields: Any) -> Customer:
    """Add a customer with one name and no address."""
    customer = Customer(given_name="Ada", first_seen_at=now, changed_at=now, **fields)
    session.add(customer)
    session.flush()
    return customer


def add_point(
    session: Session, customer: Customer, address: str, now: datetime, **fields: Any
) -> ContactPoint:
    """Add an address; one with an @ is an e-mail address."""
    channel = Channel.EMAIL if "@" in address else Channel.SMS
    point = ContactPoint(
        customer_id=customer.id,
        channel=channel,
        address=address,
        address_hash=address_hash(SECRET, channel, address),
        seen_at=now,
        **fields,
    )
    session.add(point)
    session.flush()
    return point


def add_consent(
    session: Session,
    customer: Customer,
    channel: Channel,
    now: datetime,
    *,
    state: ConsentState = ConsentState.GIVEN,
    is_written: bool = False,
) -> Consent:
    """Add a current consent."""
    consent = Consent(
        customer_id=customer.id,
        channel=channel,
        state=state,
        is_written=is_written,
        source="till",
        recorded_at=now,
    )
    session.add(consent)
    session.flush()
    return consent


def add_source(session: Session, customer: Customer, source: str, external_id: str) -> None:
    """Let a source know a customer."""
    session.add(
        SourceCustomer(
            source=source,
            external_id=external_id,
            customer_id=customer.id,
            row_hash="",
            pulled_at=customer.first_seen_at,
        )
    )
    session.flush()


def add_purchase(
    session: Session, customer: Customer, day: date, amount: str, **fields: Any
) -> Purchase:
    """Add a purchase at noon UTC of a day."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=customer.first_seen_at.tzinfo)
    number = Decimal(amount)
    values = {
        "source": "till",
        "external_id": f"{customer.id}-{day}-{amount}",
        "currency": "GBP",
        "kind": PurchaseKind.REFUND if number < 0 else PurchaseKind.SALE,
        "first_seen_at": customer.first_seen_at,
    } | fields
    purchase = Purchase(
        customer_id=customer.id, purchased_at=at, purchased_on=day, amount=number, **values
    )
    session.add(purchase)
    session.flush()
    return purchase


def add_enrollment(
    session: Session,
    customer: Customer,
    enrolled_at: datetime,
    *,
    lapsed_on: date = date(2025, 8, 1),
    state: EnrollmentState = EnrollmentState.ACTIVE,
    next_step: str | None = "concern",
) -> Enrollment:
    """Add an enrollment into the campaign of six steps."""
    version_id = keep_version(session, make_campaign(), enrolled_at)
    enrollment = Enrollment(
        campaign="six-month",
        campaign_version_id=version_id,
        customer_id=customer.id,
        lapsed_on=lapsed_on,
        arm=Arm.TREATED,
        state=state,
        value="normal",
        enrolled_at=enrolled_at,
        enrolled_on=enrolled_at.date(),
        measure_until=enrolled_at + timedelta(days=90),
        next_step=next_step,
    )
    session.add(enrollment)
    session.flush()
    return enrollment


def add_message(
    session: Session,
    enrollment: Enrollment,
    step: str,
    *,
    state: MessageState,
    at: datetime,
    **fields: Any,
) -> Message:
    """Add one row of the outbox."""
    was_accepted = state in (MessageState.ACCEPTED, MessageState.DELIVERED)
    message = Message(
        enrollment_id=enrollment.id,
        customer_id=enrollment.customer_id,
        step=step,
        channel=Channel.EMAIL,
        state=state,
        queued_at=at,
        due_at=at,
        drop_at=at + timedelta(days=7),
        accepted_at=at if was_accepted else None,
        **fields,
    )
    session.add(message)
    session.flush()
    return message


def is_address_suppressed(session: Session, hashed: str, channel: Channel) -> bool:
    """Ask the condition that planning and claiming ask, for one address."""
    condition = address_suppressed_condition(literal(hashed), channel)
    return bool(session.scalar(select(condition)))
