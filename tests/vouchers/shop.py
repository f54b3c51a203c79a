"""A small shop with one campaign, and enrollments to give vouchers to."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.database.tables import Customer, Enrollment, Message, Purchase
from winback.states import Arm, Channel, EnrollmentState, MessageState, PurchaseKind
from winback.vouchers.codes import Rng

WELCOME = {"percent": 15, "valid_for": "21 days", "minimum_spend": 30, "codes": 10}


def seeded() -> Rng:
    """Give a generator whose codes are the same in each run of a test."""
    return Random(7)  # noqa: S311 - the same codes in each run


def a_campaign(**offers: dict[str, Any]) -> Campaign:
    """Give a campaign whose steps carry the given offers."""
    offers = offers or {"welcome": WELCOME}
    steps = [{"step": "concern", "wait": "0 days", "channel": "email", "template": "concern"}]
    steps += [
        {"step": f"give-{name}", "wait": "5 days", "channel": "email", "template": "v"}
        | {"offer": name}
        for name in offers
    ]
    return Campaign.model_validate({"campaign": "back", "steps": steps, "offers": offers})


def enroll(session: Session, campaign: Campaign, now: datetime, *, count: int = 1) -> list[int]:
    """Enroll so many new customers; give the ids of the enrollments."""
    version = keep_version(session, campaign, now)
    made = []
    for _ in range(count):
        customer = Customer(first_seen_at=now, changed_at=now, tags=[], interests=[])
        session.add(customer)
        session.flush()
        made.append(
            Enrollment(
                campaign=campaign.campaign,
                campaign_version_id=version,
                customer_id=customer.id,
                lapsed_on=date(2025, 8, 1),
                arm=Arm.TREATED,
                state=EnrollmentState.ACTIVE,
                value="normal",
                enrolled_at=now,
                enrolled_on=now.date(),
                measure_until=now + timedelta(days=90),
            )
        )
    session.add_all(made)
    session.flush()
    return [enrollment.id for enrollment in made]


def queue(
    session: Session,
    enrollment_id: int,
    voucher_id: int,
    now: datetime,
    *,
    step: str = "voucher",
    state: MessageState = MessageState.SENDING,
) -> int:
    """Add one message that carries a voucher; give its id."""
    enrollment = session.get_one(Enrollment, enrollment_id)
    message = Message(
        enrollment_id=enrollment_id,
        customer_id=enrollment.customer_id,
        step=step,
        channel=Channel.EMAIL,
        voucher_id=voucher_id,
        state=state,
        queued_at=now,
        due_at=now,
        drop_at=now + timedelta(days=7),
        accepted_at=now if state is MessageState.ACCEPTED else None,
    )
    session.add(message)
    session.flush()
    return message.id


def buy(session: Session, enrollment_id: int, code: str, *, at: datetime, seen_at: datetime) -> int:
    """Add one purchase of the enrolled customer that carries a code; give its id."""
    purchase = Purchase(
        source="till",
        external_id=f"{code}/{at.isoformat()}/{seen_at.isoformat()}",
        customer_id=session.get_one(Enrollment, enrollment_id).customer_id,
        purchased_at=at,
        purchased_on=at.date(),
        amount=Decimal(85),
        currency="GBP",
        kind=PurchaseKind.SALE,
        voucher_code=code,
        first_seen_at=seen_at,
    )
    session.add(purchase)
    session.flush()
    return purchase.id
