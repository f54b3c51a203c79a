"""What happened and why: appended, never changed."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, refer_to, row_id
from winback.database.types import RowId, Utc


class Move(Table):
    """The history: one row for each change of state of an enrollment, message, voucher or case."""

    __tablename__ = "moves"
    __table_args__ = (Index("ix_moves_thing_thing_id", "thing", "thing_id"),)

    id: Mapped[int] = row_id()
    thing: Mapped[str] = mapped_column(String(16))
    thing_id: Mapped[int] = mapped_column(RowId)
    from_state: Mapped[str | None] = mapped_column(String(32))
    to_state: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(64))
    why: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(Utc)


class Decision(Table):
    """For this customer we did, or did not do, this, for this reason, at this time."""

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_customer_id_at", "customer_id", "at"),)

    id: Mapped[int] = row_id()
    customer_id: Mapped[int] = refer_to("customers.id")
    campaign: Mapped[str | None] = mapped_column(String(64))
    enrollment_id: Mapped[int | None] = refer_to("enrollments.id")
    what: Mapped[str] = mapped_column(String(64))
    """enrolled, held_out, refused, queued, postponed, passed, skipped, stopped, ..."""
    why: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Utc)
