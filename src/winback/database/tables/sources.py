"""What the pull knows of its sources: their customers, how far it read, what it refused."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table, refer_to, row_id
from winback.database.types import RowId, Utc


class SourceCustomer(Table):
    """One customer as one source knows it."""

    __tablename__ = "source_customers"
    __table_args__ = (UniqueConstraint("source", "external_id"),)

    id: Mapped[int] = row_id()
    source: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[int] = refer_to("customers.id", index=True)
    row_hash: Mapped[str] = mapped_column(String(64))
    """Of the row as mapped, so that an unchanged row costs nothing."""
    email: Mapped[str | None] = mapped_column(Text, index=True)
    """Normalized; what sources are joined on. None where absent or refused."""
    phone: Mapped[str | None] = mapped_column(Text)
    """E.164; None where absent or refused."""
    pulled_at: Mapped[datetime] = mapped_column(Utc)


class SourceWatermark(Table):
    """How far one part (customers or purchases) of one source, or one file of it, was read."""

    __tablename__ = "source_watermarks"
    __table_args__ = (UniqueConstraint("source", "part", "path"),)

    id: Mapped[int] = row_id()
    source: Mapped[str] = mapped_column(String(64))
    part: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text, default="")
    """Relative to the home folder; empty for a query."""
    size: Mapped[int] = mapped_column(RowId, default=0)
    """Bytes read so far."""
    line: Mapped[int] = mapped_column(RowId, default=0)
    """Lines read so far, so that a grown file's bad rows keep their numbers."""
    fingerprint: Mapped[str] = mapped_column(Text, default="")
    """Of the bytes read and of the mapping; another one means: read all again."""
    pulled_at: Mapped[datetime] = mapped_column(Utc)
    """Start of the last good pull."""


class RejectedRow(Table):
    """A row that could not be taken, with the reason; kept until it is taken or ages out."""

    __tablename__ = "rejected_rows"
    __table_args__ = (
        UniqueConstraint("source", "part", "place", "row_hash"),
        Index("ix_rejected_rows_source_external_id", "source", "external_id"),
    )

    id: Mapped[int] = row_id()
    source: Mapped[str] = mapped_column(String(64))
    part: Mapped[str] = mapped_column(String(16))
    place: Mapped[str] = mapped_column(Text)
    """File and line, or query and row key."""
    row_hash: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(Text)
    """The row's own id where it has one: when that id is taken, this row is removed."""
    waits_for: Mapped[str | None] = mapped_column(Text)
    """A purchase's customer that is not known yet; it is taken when that customer appears."""
    reason: Mapped[str] = mapped_column(Text)
    row: Mapped[dict[str, Any]] = mapped_column(Json)
    rejected_at: Mapped[datetime] = mapped_column(Utc)
