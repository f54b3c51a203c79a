"""How enrollments ended, in money."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, refer_to
from winback.database.types import Amount, Utc


class Outcome(Table):
    """How an enrollment ended, in money, in either arm; recomputed from facts."""

    __tablename__ = "outcomes"

    enrollment_id: Mapped[int] = refer_to("enrollments.id", primary_key=True)
    is_converted: Mapped[bool] = mapped_column(default=False)
    """A sale inside the measured window, in either arm."""
    converted_at: Mapped[datetime | None] = mapped_column(Utc)
    purchases: Mapped[int] = mapped_column(default=0)
    revenue: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """Sales less refunds inside the window, in the business's currency."""
    other_currency: Mapped[int] = mapped_column(default=0)
    """Sales inside the window in another currency: conversions, but no revenue (MEA-14)."""
    attributed: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """Revenue within five days of a human click, or with our voucher (FACTS.md MEA-16)."""
    message_cost: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    voucher_cost: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    is_window_over: Mapped[bool] = mapped_column(default=False)
    computed_at: Mapped[datetime] = mapped_column(Utc)
