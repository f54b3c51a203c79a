"""What this database is for: its mode, its salt, and how far its readers have looked."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table
from winback.database.types import Amount, Utc, Word
from winback.states import Mode


class Installation(Table):
    """The one row that says what this database is: its mode, its salt, its latest as-of."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mode: Mapped[Mode] = mapped_column(Word(Mode))
    salt: Mapped[str] = mapped_column(String(64))
    """Salt of the draw of arms and variants; made once, never changed."""
    made_at: Mapped[datetime] = mapped_column(Utc)
    latest_as_of: Mapped[datetime | None] = mapped_column(Utc)
    """The latest ``--as-of`` that a writing command used; time does not run backwards."""
    value_threshold: Mapped[Decimal | None] = mapped_column(Amount)
    """24-month spend from which on a customer's value is high; None where nobody bought."""
    value_set_on: Mapped[date | None]
    followed_until: Mapped[datetime | None] = mapped_column(Utc)
    """Customers changed before this instant were looked through for purchases that convert."""
    redeemed_until: Mapped[datetime | None] = mapped_column(Utc)
    """Purchases first seen before this instant were looked through for voucher codes."""
    measured: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """How far the last measuring saw: the last ids of history rows, and its instant."""
