"""Builders of the facts that outcomes are made from."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.database.tables import (
    Customer,
    Enrollment,
    Message,
    Move,
    Purchase,
    Voucher,
)
from winback.settings import Settings
from winback.states import (
    Arm,
    Channel,
    EnrollmentState,
    MessageState,
    PurchaseKind,
    VoucherState,
)

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
"""When the customers of these tests were enrolled."""

CAMPAIGN = Campaign.model_validate(
    {
        "campaign": "six-month",
        "holdout": "30%",
        "measure_for": "90 days",
        "steps": [
            {"step": "concern", "wait": "0 days", "channel": "email", "template": "concern"},
            {
                "step": "voucher",
                "wait": "7 days",
                "channel": "email",
                "template": "voucher",
                "offer": "welcome-back",
            },
        ],
        "answers": {"purchase": {"template": "thanks"}},
        "offers": {
            "welcome-back": {"amount": 5, "valid_for": "21 days", "codes": 100},
        },
    }
)

SETTINGS = Settings.model_validate(
    {
        "business": {
            "name": "Olive & Oak",
            "postal_address": "12 Mill Lane, Bristol BS1 4XY, United Kingdom",
            "country": "GB",
            "time_zone": "Europe/London",
            "currency": "GBP",
        },
        "sender": {"email": {"name": "Anna", "address": "anna@example.com"}},
    }
)


class World:
    """Writes facts of made-up customers into one database; counts what it made."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # What was committed can be read again without a transaction that would lock others out.
        session.expire_on_commit = False
        self.version = keep_version(session, CAMPAIGN, START)
        self.made = 0

    def customer(self, **fields: Any) -> Customer:
        """Make a customer who has not changed since long before."""
        long_before = START - timedelta(days=300)
        customer = Customer(first_seen_at=long_before, changed_at=long_before, **fields)
        self.session.add(customer)
        self.session.flush()
        return customer

    def enrollment(
        self,
        arm: Arm = Arm.TREATED,
        *,
        at: datetime = START,
        customer: Customer | None = None,
        **fields: Any,
    ) -> Enrollment:
        """Enroll a customer, by default a new one, in an arm."""
        enrollment = Enrollment(
            **self._enrollment((customer or self.customer()).id, arm, at) | fields
        )
        self.session.add(enrollment)
        self.session.flush()
        return enrollment

    def enrollments(self, count: int) -> None:
        """Enroll many new customers at once."""
        long_before = START - timedelta(days=300)
        ids = self.session.scalars(
            insert(Customer).returning(Customer.id),
            [{"first_seen_at": long_before, "changed_at": long_before} for _ in range(count)],
        ).all()
        self.session.execute(
            insert(Enrollment), [self._enrollment(id_, Arm.TREATED, START) for id_ in ids]
        )

    def _enrollment(self, customer_id: int, arm: Arm, at: datetime) -> dict[str, Any]:
        is_treated = arm is Arm.TREATED
        return {
            "campaign": "six-month",
            "campaign_version_id": self.version,
            "customer_id": customer_id,
            "lapsed_on": date(2025, 7, 5),
            "arm": arm,
            "state": EnrollmentState.ACTIVE if is_treated else EnrollmentState.HELD_OUT,
            "value": "normal",
            "enrolled_at": at,
            "enrolled_on": at.date(),
            "measure_until": at + timedelta(days=90),
        }

    def purchase(
        self,
        enrollment: Enrollment,
        *,
        after: timedelta,
        amount: str = "40",
        seen_after: timedelta | None = None,
        **fields: Any,
    ) -> Purchase:
        """Let the customer buy some time after the enrollment; the pull sees it at once."""
        self.made += 1
        at = enrollment.enrolled_at + after
        seen_at = enrollment.enrolled_at + (seen_after or after)
        purchase = Purchase(
            **{
                "source": "till",
                "external_id": str(self.made),
                "customer_id": enrollment.customer_id,
                "purchased_at": at,
                "purchased_on": at.date(),
                "amount": Decimal(amount),
                "currency": "GBP",
                "kind": PurchaseKind.SALE,
                "first_seen_at": seen_at,
                **fields,
            }
        )
        self.session.add(purchase)
        self.session.flush()
        return purchase

    def message(self, enrollment: Enrollment, step: str = "concern", **fields: Any) -> Message:
        """Let a mail be delivered on the day of the enrollment."""
        at = enrollment.enrolled_at
        message = Message(
            **{
                "enrollment_id": enrollment.id,
                "customer_id": enrollment.customer_id,
                "step": step,
                "channel": Channel.EMAIL,
                "state": MessageState.DELIVERED,
                "queued_at": at,
                "due_at": at,
                "drop_at": at + timedelta(days=7),
                "accepted_at": at,
                "cost": Decimal("0.001"),
                **fields,
            }
        )
        self.session.add(message)
        self.session.flush()
        return message

    def voucher(self, enrollment: Enrollment | None = None, **fields: Any) -> Voucher:
        """Make a code, redeemed on the tenth day where it belongs to an enrollment."""
        self.made += 1
        bound: Mapping[str, Any] = {}
        if enrollment:
            bound = {
                "enrollment_id": enrollment.id,
                "state": VoucherState.REDEEMED,
                "redeemed_at": enrollment.enrolled_at + timedelta(days=10),
            }
        voucher = Voucher(
            **{
                "campaign": "six-month",
                "offer": "welcome-back",
                "code": f"CODE{self.made}",
                "code_key": f"CODE{self.made}",
                "state": VoucherState.FREE,
                "made_at": START,
                **bound,
                **fields,
            }
        )
        self.session.add(voucher)
        self.session.flush()
        return voucher

    def moved(self, thing: str, thing_id: int, to_state: str, at: datetime) -> None:
        """Write the row of history that each change of state has."""
        self.session.add(
            Move(thing=thing, thing_id=thing_id, to_state=to_state, event="test", at=at)
        )
        self.session.flush()
