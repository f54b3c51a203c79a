"""What the operator was told."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, row_id
from winback.database.types import Utc


class Alert(Table):
    """Something that the operator must know, told once and not again each run."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(
            "uq_alerts_standing",
            "key",
            unique=True,
            **only_where("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = row_id()
    key: Mapped[str] = mapped_column(String(128))
    """What makes it one alert, as ``brake:campaign:six-month``."""
    text: Mapped[str] = mapped_column(Text)
    """One sentence; ids and counts, nobody's name or address."""
    raised_at: Mapped[datetime] = mapped_column(Utc)
    told_at: Mapped[datetime | None] = mapped_column(Utc)
    """When a target took it; None: told by the next look of a process that has targets."""
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
