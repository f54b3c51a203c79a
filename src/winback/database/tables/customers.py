"""Who the customers are, and where they can be reached."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table, only_where, refer_to, row_id
from winback.database.types import Amount, Utc, Word
from winback.states import Channel


class Customer(Table):
    """A person known to the business; sums are kept up to date by the pull."""

    __tablename__ = "customers"
    __table_args__ = (
        # The instant stands in it too, so that who bought after an as-of instant is told apart
        # from who bought earlier that day without reading their rows.
        Index("ix_customers_last_purchased", "last_purchased_on", "last_purchased_at"),
        # Partial, so that SQLite never takes it for "not merged", which is nearly everyone.
        Index(
            "ix_customers_merged_into",
            "merged_into",
            **only_where("merged_into IS NOT NULL"),
        ),
        Index("ix_customers_changed_at", "changed_at"),
    )

    id: Mapped[int] = row_id()
    given_name: Mapped[str | None] = mapped_column(Text)
    family_name: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(String(2))
    region: Mapped[str | None] = mapped_column(Text)
    postal_code: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(35))
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    interests: Mapped[list[str]] = mapped_column(Json, default=list)
    loyalty_id: Mapped[str | None] = mapped_column(Text)
    acquired_by: Mapped[str | None] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(Utc)
    changed_at: Mapped[datetime] = mapped_column(Utc)
    """When a field, a contact point, a consent or a purchase of the customer last changed."""
    merged_into: Mapped[int | None] = refer_to("customers.id")
    erased_at: Mapped[datetime | None] = mapped_column(Utc)
    purchase_count: Mapped[int] = mapped_column(default=0)
    """Sales, zero-value ones included, refunds not."""
    spent: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """Sales less refunds, in the business's currency."""
    first_purchased_at: Mapped[datetime | None] = mapped_column(Utc)
    last_purchased_at: Mapped[datetime | None] = mapped_column(Utc)
    last_purchased_on: Mapped[date | None]
    """Date of the last sale in the business's time zone."""


class ContactPoint(Table):
    """One e-mail address or phone number of a customer, normalized (E.164 for phones)."""

    __tablename__ = "contact_points"
    __table_args__ = (
        UniqueConstraint("customer_id", "channel", "address"),
        Index("ix_contact_points_address", "channel", "address"),
        Index("ix_contact_points_address_hash", "address_hash"),
    )

    id: Mapped[int] = row_id()
    customer_id: Mapped[int] = refer_to("customers.id")
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    address: Mapped[str] = mapped_column(Text)
    address_hash: Mapped[str] = mapped_column(String(64))
    """Keyed hash of the address; what suppressions are compared with, set-based."""
    is_current: Mapped[bool] = mapped_column(default=True)
    """Whether a source still names it; the newest current one is written to."""
    is_reachable: Mapped[bool] = mapped_column(default=True)
    """False after a hard bounce or when the provider says it does not exist."""
    seen_at: Mapped[datetime] = mapped_column(Utc)
