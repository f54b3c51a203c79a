"""A small shop for the tests: customers, purchases, campaigns and enrollments, made by hand."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.clock import at_local, local_date
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Enrollment,
    Message,
    Purchase,
    SourceCustomer,
    Voucher,
)
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.timeline import StepEnd
from winback.settings import BusinessSettings, EmailSender, SenderSettings, Settings
from winback.states import (
    Arm,
    Channel,
    ConsentState,
    EnrollmentState,
    MessageState,
    PurchaseKind,
    VoucherState,
)

LONDON = ZoneInfo("Europe/London")
SETTINGS = Settings(
    business=BusinessSettings(
        name="Olive & Oak",
        postal_address="12 Mill Lane, Bristol BS1 4XY",
        country="GB",
        time_zone="Europe/London",
        currency="GBP",
    ),
    sender=SenderSettings(email=EmailSender(name="Anna", address="anna@example.com")),
)
STEPS: list[dict[str, Any]] = [
    {"step": "concern", "wait": "0 days", "channel": "email", "template": "concern"},
    {"step": "check-in", "wait": "5 days", "channel": "sms", "template": "t", "otherwise": "email"},
    {
        "step": "voucher",
        "wait": "7 days",
        "channel": "email",
        "template": "voucher",
        "offer": "welcome-back",
    },
    {"step": "reminder", "before_expiry": "4 days", "channel": "email", "template": "reminder"},
    {
        "step": "comeback",
        "wait": "10 days",
        "channel": "email",
        "template": "comeback",
        "offer": "comeback",
        "only_if": 'value == "high"',
    },
    {"step": "farewell", "wait": "14 days", "channel": "email", "template": "farewell"},
]


def make_campaign(**changes: Any) -> Campaign:
    """Give a campaign of six steps; changes are keys of the file."""
    written: dict[str, Any] = {
        "campaign": "six-month",
        "lapse": {"after": "6 months", "not_after": "24 months"},
        "audience": {"where": "purchases >= 1", "daily_limit": 500},
        "holdout": "0%",
        "steps": STEPS,
        "offers": {
            "welcome-back": {"percent": 15, "valid_for": "21 days"},
            "comeback": {"amount": 20, "valid_for": "14 days"},
        },
    }
    return Campaign.model_validate(written | changes)


def add_customer(
    session: Session,
    bought: list[date] | None = None,
    *,
    consents: tuple[Channel, ...] = (Channel.EMAIL,),
    amount: Decimal = Decimal(20),
    external_id: str | None = None,
    **fields: Any,
) -> int:
    """Add a customer who bought on these London days at noon, and can be written to."""
    seen_at = datetime(2020, 1, 1, tzinfo=UTC)
    days = sorted(bought or [])
    sums: dict[str, Any] = {"purchase_count": len(days), "spent": amount * len(days)}
    if days:
        sums |= {"last_purchased_on": days[-1], "last_purchased_at": noon(days[-1])}
    customer_id = session.execute(
        insert(Customer)
        .values(
            {"first_seen_at": seen_at, "changed_at": seen_at, "tags": [], "interests": []}
            | sums
            | fields
        )
        .returning(Customer.id)
    ).scalar_one()
    session.execute(
        insert(SourceCustomer).values(
            source="till",
            external_id=external_id or f"c{customer_id}",
            customer_id=customer_id,
            row_hash="",
            pulled_at=seen_at,
        )
    )
    for day in days:
        add_purchase(session, customer_id, day, amount=amount)
    for channel in consents:
        add_consent(session, customer_id, channel)
    return customer_id


def add_consent(session: Session, customer_id: int, channel: Channel) -> None:
    """Let a customer be written to on a channel, at an address of their own."""
    seen_at = datetime(2020, 1, 1, tzinfo=UTC)
    address = f"c{customer_id}@example.com" if channel is Channel.EMAIL else f"+4420{customer_id}"
    session.execute(
        insert(ContactPoint).values(
            customer_id=customer_id,
            channel=channel,
            address=address,
            address_hash=f"hash of {address}",
            seen_at=seen_at,
        )
    )
    session.execute(
        insert(Consent).values(
            customer_id=customer_id,
            channel=channel,
            state=ConsentState.GIVEN,
            is_written=True,
            source="till",
            recorded_at=seen_at,
        )
    )


def add_purchase(
    session: Session,
    customer_id: int,
    day: date,
    *,
    amount: Decimal = Decimal(20),
    at: datetime | None = None,
    **fields: Any,
) -> int:
    """Add a purchase, at noon in London unless said otherwise; the sums are left as they are."""
    at = at or noon(day)
    number = session.query(Purchase).count() + 1
    return session.execute(
        insert(Purchase)
        .values(
            {
                "source": "till",
                "external_id": f"p{number}",
                "customer_id": customer_id,
                "purchased_at": at,
                "purchased_on": day,
                "amount": amount,
                "currency": "GBP",
                "kind": PurchaseKind.SALE,
                "first_seen_at": at,
            }
            | fields
        )
        .returning(Purchase.id)
    ).scalar_one()


def add_enrollment(
    session: Session, customer_id: int, campaign: Campaign, *, now: datetime, **fields: Any
) -> int:
    """Add an enrollment of today that stands before its first step, due today."""
    today = now.astimezone(LONDON).date()
    return session.execute(
        insert(Enrollment)
        .values(
            {
                "campaign": campaign.campaign,
                "campaign_version_id": keep_version(session, campaign, now),
                "customer_id": customer_id,
                "lapsed_on": date(2025, 9, 1),
                "arm": Arm.TREATED,
                "state": EnrollmentState.ACTIVE,
                "value": "normal",
                "enrolled_at": now,
                "enrolled_on": today,
                "measure_until": at_local(campaign.measure_for.after(today), time.min, LONDON),
                "next_step": campaign.steps[0].step,
                "due_on": today,
            }
            | fields
        )
        .returning(Enrollment.id)
    ).scalar_one()


@dataclass(frozen=True, slots=True)
class Standing:
    """An instant in London, as a run stands at it."""

    now: datetime
    zone: ZoneInfo = LONDON
    currency: str = "GBP"
    campaigns: dict[int, Campaign] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """London's date."""
        return local_date(self.now, self.zone)


def pass_step(
    session: Session, enrollment_id: int, step: str, how: StepEnd, *, now: datetime, why: str = ""
) -> None:
    """Pass one step of one enrollment; the session's objects are read anew afterwards."""
    session.flush()
    pass_steps(session, Standing(now), [Done(enrollment_id, step, how, why)])
    session.expire_all()


def add_message(
    session: Session, enrollment_id: int, step: str, *, now: datetime, **fields: Any
) -> int:
    """Add a queued e-mail for a step."""
    enrollment = session.get_one(Enrollment, enrollment_id)
    return session.execute(
        insert(Message)
        .values(
            {
                "enrollment_id": enrollment_id,
                "customer_id": enrollment.customer_id,
                "step": step,
                "channel": Channel.EMAIL,
                "state": MessageState.QUEUED,
                "queued_at": now,
                "due_at": now,
                "drop_at": now,
            }
            | fields
        )
        .returning(Message.id)
    ).scalar_one()


def add_voucher(
    session: Session, enrollment_id: int, offer: str = "welcome-back", **fields: Any
) -> int:
    """Add a reserved code of an enrollment."""
    return session.execute(
        insert(Voucher)
        .values(
            {
                "campaign": "six-month",
                "offer": offer,
                "code": f"CODE{enrollment_id}{offer}",
                "code_key": f"CODE{enrollment_id}{offer}",
                "state": VoucherState.RESERVED,
                "made_at": datetime(2026, 1, 1, tzinfo=UTC),
                "enrollment_id": enrollment_id,
            }
            | fields
        )
        .returning(Voucher.id)
    ).scalar_one()


def noon(day: date) -> datetime:
    """Give noon in London."""
    return at_local(day, time(12), LONDON)
