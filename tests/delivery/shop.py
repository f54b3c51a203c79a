"""A shop for the tests of the send path: a business on two databases, customers on their way."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from tests.conftest import NOW
from tests.delivery.fakes import FakeSender
from tests.delivery.virtual import LoopClock, VirtualLoop, run_virtually
from winback.business import Business
from winback.campaign.loading import Facts, load_campaigns, load_facts
from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.clock import Clock, SetClock
from winback.customers.identity import address_hash
from winback.database.engine import salt_of
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Enrollment,
    Message,
    Purchase,
    StepPassage,
)
from winback.delivery.counts import SendCounts
from winback.delivery.run import Run
from winback.delivery.sending import send_due
from winback.environment import Environment
from winback.messages.shelf import Shelf, load_shelf
from winback.settings import Settings, load_settings
from winback.states import (
    Arm,
    Channel,
    ConsentState,
    EnrollmentState,
    MessageState,
    PurchaseKind,
)

HOME = Path(__file__).parent.parent.parent
"""The shipped example: its campaign and its templates are what is sent."""

SECRET = "a-secret-of-the-tests"
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make_business(engine: Engine, **changes: Any) -> Business:
    """Give the shipped example on a test's database; changes are keys of the settings."""
    settings, campaigns, facts, shelf = _example()
    # What a shelf has published belongs to one database.
    shelf = replace(shelf, kept={})
    return Business(
        settings.model_copy(update=changes), _environment(), engine, campaigns, facts, shelf
    )


@lru_cache(maxsize=1)
def _example() -> tuple[Settings, tuple[Campaign, ...], Facts, Shelf]:
    campaigns, facts = tuple(map(_with_few_codes, load_campaigns(HOME))), load_facts(HOME)
    return load_settings(HOME), campaigns, facts, load_shelf(HOME, campaigns, facts)


def _with_few_codes(campaign: Campaign) -> Campaign:
    few = {
        name: offer.model_copy(update={"codes": 20} if offer.codes else {})
        for name, offer in campaign.offers.items()
    }
    return campaign.model_copy(update={"offers": few})


def _environment() -> Environment:
    return Environment(
        home=HOME,
        database_url="sqlite://",
        secret=SecretStr(SECRET),
        sendgrid_api_key=None,
        twilio_account_sid=None,
        twilio_auth_tokens=(),
        sendgrid_webhook_keys=(),
        sendgrid_parse_keys=(),
        sendgrid_url=None,
        twilio_url=None,
        prefect_api_url=None,
    )


@dataclass(slots=True, repr=False)
class Shop:
    """The business, its two providers, and an instant that the test moves."""

    business: Business
    now: datetime = NOW
    mail: FakeSender = field(default_factory=lambda: FakeSender(Channel.EMAIL))
    texts: FakeSender = field(default_factory=lambda: FakeSender(Channel.SMS))
    rng: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - tests replay
    clock: SetClock = field(default_factory=lambda: SetClock(NOW))
    """The machine's; a send sets it to the shop's instant before it begins."""
    _people: int = 0

    @property
    def engine(self) -> Engine:
        """The test's database."""
        return self.business.engine

    @property
    def campaign(self) -> Campaign:
        """The shipped campaign."""
        return self.business.campaigns[0]

    def change(self, **changes: Any) -> None:
        """Change settings."""
        settings = self.business.settings.model_copy(update=changes)
        self.business = replace(self.business, settings=settings)

    def send(self, *channels: Channel) -> SendCounts:
        """Run the send path once, at the shop's instant; by all channels unless some are named."""
        self.clock.set_to(self.now)
        return asyncio.run(self.sending(self.clock, *channels))

    def send_in_time(self, look: Callable[[float], None] | None = None) -> SendCounts:
        """Run the send path once in a virtual time that begins at the shop's instant.

        ``look`` is called after each second, with the seconds that went by.
        """
        loop = VirtualLoop()

        async def watched() -> SendCounts:
            sending = asyncio.ensure_future(self.sending(LoopClock(self.now, loop)))
            while not (await asyncio.wait([sending], timeout=1.0))[0]:
                if look is not None:
                    look(loop.time())
            return sending.result()

        return run_virtually(loop, watched())

    def sending(self, clock: Clock, *channels: Channel) -> Coroutine[Any, Any, SendCounts]:
        """Give the send path, to be run."""
        senders = {one.channel: one for one in (self.mail, self.texts)}
        chosen = {channel: senders[channel] for channel in channels or senders}
        return send_due(
            self.business, chosen, now=self.now, is_present=True, clock=clock, rng=self.rng
        )

    def limit(self, **policies: Any) -> None:
        """Change policies."""
        settings = self.business.settings
        self.change(policies=settings.policies.model_copy(update=policies))

    def run(self) -> Run:
        """Give the run that the parts of the send path are called with."""
        with Session(self.engine) as session:
            salt = salt_of(session)
        names = {one.channel: one.name for one in (self.mail, self.texts)}
        return Run(self.business, self.now, self.rng, names, salt)

    def enroll(
        self,
        *,
        emails: Sequence[str] | None = None,
        phones: Sequence[str] | None = None,
        consents: Sequence[Channel] = (Channel.EMAIL, Channel.SMS),
        customer: dict[str, Any] | None = None,
        campaign: Campaign | None = None,
        **fields: Any,
    ) -> int:
        """Add a customer who is on the way since today; gives the enrollment's id.

        Fields are those of the enrollment.
        """
        self._people += 1
        emails = [f"ann{self._people}@example.com"] if emails is None else emails
        phones = [f"+4479111{self._people:05d}"] if phones is None else phones
        campaign = campaign or self.campaign
        lapsed_on = date(2025, 8, 1)
        with Session(self.engine) as session, session.begin():
            customer_id = self._customer(session, lapsed_on, customer or {})
            for channel, addresses in ((Channel.EMAIL, emails), (Channel.SMS, phones)):
                for address in addresses:
                    self.add_address(session, customer_id, channel, address)
            for channel in consents:
                session.execute(
                    insert(Consent).values(
                        customer_id=customer_id,
                        channel=channel,
                        state=ConsentState.GIVEN,
                        is_written=True,
                        source="till",
                        evidence="row 1",
                        recorded_at=LONG_AGO,
                    )
                )
            values: dict[str, Any] = {
                "campaign": campaign.campaign,
                "campaign_version_id": keep_version(session, campaign, self.now),
                "customer_id": customer_id,
                "lapsed_on": lapsed_on,
                "arm": Arm.TREATED,
                "state": EnrollmentState.ACTIVE,
                "value": "normal",
                "enrolled_at": self.now,
                "enrolled_on": self.now.date(),
                "measure_until": self.now + 90 * DAY,
                "next_step": campaign.steps[0].step,
                "due_on": self.now.date(),
            }
            return session.execute(
                insert(Enrollment).values(values | fields).returning(Enrollment.id)
            ).scalar_one()

    def lapse(self, count: int, *, on: date = date(2025, 8, 1), spent: int = 40) -> list[int]:
        """Add customers who lapsed and whom detect has not met; gives their ids."""
        enrolled = [self.enroll() for _ in range(count)]
        noon = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
        with Session(self.engine) as session, session.begin():
            rows = [session.get_one(Enrollment, id_) for id_ in enrolled]
            ids = [row.customer_id for row in rows]
            for row in rows:
                session.delete(row)
            bought = {"last_purchased_on": on, "last_purchased_at": noon}
            session.execute(update(Customer).where(Customer.id.in_(ids)).values(bought))
            session.execute(
                update(Purchase)
                .where(Purchase.customer_id.in_(ids))
                .values(purchased_on=on, purchased_at=noon, amount=Decimal(spent))
            )
        return ids

    def _customer(self, session: Session, lapsed_on: date, fields: dict[str, Any]) -> int:
        bought_at = datetime(lapsed_on.year, lapsed_on.month, lapsed_on.day, 12, tzinfo=UTC)
        values: dict[str, Any] = {
            "given_name": "Ann",
            "country": "GB",
            "time_zone": "Europe/London",
            "tags": [],
            "interests": [],
            "first_seen_at": LONG_AGO,
            "changed_at": LONG_AGO,
            "purchase_count": 1,
            "spent": Decimal(40),
            "last_purchased_at": bought_at,
            "last_purchased_on": lapsed_on,
        }
        customer_id = session.execute(
            insert(Customer).values(values | fields).returning(Customer.id)
        ).scalar_one()
        self.add_purchase(session, customer_id, bought_at)
        return customer_id

    def add_purchase(self, session: Session, customer_id: int, at: datetime) -> None:
        """Add a sale."""
        session.execute(
            insert(Purchase).values(
                source="till",
                external_id=f"{customer_id}-{at.isoformat()}",
                customer_id=customer_id,
                purchased_at=at,
                purchased_on=at.date(),
                amount=Decimal(40),
                currency="GBP",
                kind=PurchaseKind.SALE,
                first_seen_at=at,
            )
        )

    def add_address(
        self, session: Session, customer_id: int, channel: Channel, address: str
    ) -> None:
        """Add an address that is current and can be reached."""
        session.execute(
            insert(ContactPoint).values(
                customer_id=customer_id,
                channel=channel,
                address=address,
                address_hash=address_hash(SECRET, channel, address),
                seen_at=LONG_AGO,
            )
        )

    def enrollment(self, enrollment_id: int) -> Enrollment:
        """Read an enrollment."""
        with Session(self.engine) as session:
            return session.scalars(select(Enrollment).where(Enrollment.id == enrollment_id)).one()

    def messages(self, enrollment_id: int | None = None) -> list[Message]:
        """Read the messages of one or of all enrollments, oldest first."""
        wanted = select(Message).order_by(Message.id)
        if enrollment_id is not None:
            wanted = wanted.where(Message.enrollment_id == enrollment_id)
        with Session(self.engine) as session:
            return list(session.scalars(wanted))

    def states(self, enrollment_id: int) -> list[tuple[str, Channel, MessageState]]:
        """Give step, channel and state of each message."""
        return [(one.step, one.channel, one.state) for one in self.messages(enrollment_id)]

    def passages(self, enrollment_id: int) -> dict[str, str]:
        """Give how each step was passed."""
        with Session(self.engine) as session:
            rows = session.execute(
                select(StepPassage.step, StepPassage.how).where(
                    StepPassage.enrollment_id == enrollment_id
                )
            )
            return dict(rows.tuples().all())

    def decisions(self, enrollment_id: int) -> list[tuple[str, str]]:
        """Give what was decided, and why."""
        with Session(self.engine) as session:
            rows = session.execute(
                select(Decision.what, Decision.why)
                .where(Decision.enrollment_id == enrollment_id)
                .order_by(Decision.id)
            )
            return [(what, why) for what, why in rows]
