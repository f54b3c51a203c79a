"""What was bought and what was given back."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, refer_to, row_id
from winback.database.types import Amount, Utc, Word
from winback.states import PurchaseKind


class Purchase(Table):
    """A completed order or a refund; amounts are never changed, refunds are rows of their own."""

    __tablename__ = "purchases"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_purchases_customer_id_purchased_at", "customer_id", "purchased_at"),
        Index("ix_purchases_first_seen_at", "first_seen_at"),
        Index(
            "ix_purchases_voucher_code",
            "voucher_code",
            **only_where("voucher_code IS NOT NULL"),
        ),
    )

    id: Mapped[int] = row_id()
    source: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[int] = refer_to("customers.id")
    purchased_at: Mapped[datetime] = mapped_column(Utc)
    """For a date-only purchase, local midnight."""
    purchased_on: Mapped[date]
    """Date in the business's time zone."""
    is_date_only: Mapped[bool] = mapped_column(default=False)
    amount: Mapped[Decimal] = mapped_column(Amount)
    """In ``currency``; negative for a refund."""
    currency: Mapped[str] = mapped_column(String(3))
    kind: Mapped[PurchaseKind] = mapped_column(Word(PurchaseKind))
    refund_of: Mapped[str | None] = mapped_column(Text)
    voucher_code: Mapped[str | None] = mapped_column(Text)
    store: Mapped[str | None] = mapped_column(Text)
    product: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(Utc)
