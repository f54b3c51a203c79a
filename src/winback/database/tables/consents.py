"""Who may be written to, and who never again."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, refer_to, row_id
from winback.database.types import Utc, Word
from winback.states import Channel, ConsentState, SuppressionReason


class Consent(Table):
    """Permission on one channel, with its evidence; appended, the newest row holds."""

    __tablename__ = "consents"
    __table_args__ = (
        Index(
            "uq_consents_current",
            "customer_id",
            "channel",
            unique=True,
            **only_where("superseded_at IS NULL"),
        ),
        Index("ix_consents_customer_id_channel", "customer_id", "channel"),
    )

    id: Mapped[int] = row_id()
    customer_id: Mapped[int] = refer_to("customers.id")
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    state: Mapped[ConsentState] = mapped_column(Word(ConsentState))
    is_written: Mapped[bool] = mapped_column(default=False)
    """Express written consent (FACTS.md LAW-22)."""
    source: Mapped[str] = mapped_column(Text)
    """Who says so: a source's name, or the road of a response."""
    evidence: Mapped[str] = mapped_column(Text, default="")
    """The row or event, and the consent's own source where given."""
    given_at: Mapped[datetime | None] = mapped_column(Utc)
    recorded_at: Mapped[datetime] = mapped_column(Utc)
    superseded_at: Mapped[datetime | None] = mapped_column(Utc)


class Suppression(Table):
    """Do not contact; beats everything, never deleted.

    Keyed by customer and by a keyed hash of the address, so that it survives re-import, merge
    and erasure (FACTS.md LAW-4, LAW-39). ``channel`` None means all marketing on all channels.
    """

    __tablename__ = "suppressions"
    __table_args__ = (
        Index("ix_suppressions_address_hash", "address_hash"),
        Index("ix_suppressions_customer_id", "customer_id"),
    )

    id: Mapped[int] = row_id()
    customer_id: Mapped[int | None] = refer_to("customers.id")
    address_hash: Mapped[str | None] = mapped_column(String(64))
    channel: Mapped[Channel | None] = mapped_column(Word(Channel))
    reason: Mapped[SuppressionReason] = mapped_column(Word(SuppressionReason))
    source: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text, unique=True)
    """What makes it one fact: a repeat is no second row."""
    at: Mapped[datetime] = mapped_column(Utc)
