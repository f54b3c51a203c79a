"""How far detect has looked, and who may not enter, or not yet."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, refer_to, row_id
from winback.database.types import Amount, Utc


class Detection(Table):
    """How far detect has looked for one campaign: what came before needs no second look."""

    __tablename__ = "detections"

    campaign: Mapped[str] = mapped_column(String(64), primary_key=True)
    campaign_version_id: Mapped[int] = refer_to("campaign_versions.id")
    """Another one means: look at everyone again."""
    lapsed_until: Mapped[date]
    """Last purchases up to this local date were looked at."""
    changed_until: Mapped[datetime] = mapped_column(Utc)
    """Customers changed before this instant were looked at."""


class Refusal(Table):
    """The standing refusal of one lapse by one campaign, and when to look again."""

    __tablename__ = "refusals"
    __table_args__ = (
        UniqueConstraint("campaign", "customer_id"),
        Index("ix_refusals_customer_id", "customer_id"),
        Index("ix_refusals_campaign_look_again_on", "campaign", "look_again_on"),
    )

    id: Mapped[int] = row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    customer_id: Mapped[int] = refer_to("customers.id")
    lapsed_on: Mapped[date]
    campaign_version_id: Mapped[int] = refer_to("campaign_versions.id")
    reason: Mapped[str] = mapped_column(String(32))
    look_again_on: Mapped[date | None]
    """A local date; None: only when the customer, a consent or the campaign changes."""
    customer_changed_at: Mapped[datetime] = mapped_column(Utc)
    """``changed_at`` of the customer when refused; another one means: look again."""
    at: Mapped[datetime] = mapped_column(Utc)


class Waiting(Table):
    """A lapse that may enter and was cut by the daily limit: it competes again, ranked by value.

    No refusal: who waits is judged anew when their turn comes, or when something about them
    changed before.
    """

    __tablename__ = "waiting"
    __table_args__ = (
        # Read backwards: most spent first, then the newest lapse.
        Index("ix_waiting_turn", "campaign", "spend", "lapsed_on"),
        Index("ix_waiting_campaign_ranks_until", "campaign", "ranks_until"),
        Index("ix_waiting_customer_id", "customer_id"),
    )

    campaign: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int] = refer_to("customers.id", primary_key=True, autoincrement=False)
    lapsed_on: Mapped[date]
    campaign_version_id: Mapped[int] = refer_to("campaign_versions.id")
    spend: Mapped[Decimal] = mapped_column(Amount)
    """24-month spend, which the turn goes by; zero where nothing was bought in it."""
    ranks_until: Mapped[date | None]
    """Local date on which the spend may be another by the passing of days alone; None: never."""
    customer_changed_at: Mapped[datetime] = mapped_column(Utc)
    """``changed_at`` of the customer when judged; another one means: look again."""
