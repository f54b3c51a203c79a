"""The outbox, and what its messages were made from."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table, only_where, refer_to, row_id
from winback.database.types import Amount, RowId, Utc, Word
from winback.states import Channel, MessageState


class Message(Table):
    """One row of the outbox: one thing sent, or to be sent, for one step or answer.

    The partial unique index is promise P1: over all channels, at most one row per (enrollment,
    step) that is on its way, in doubt, or was ever accepted.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "uq_messages_one_per_step",
            "enrollment_id",
            "step",
            unique=True,
            **only_where(
                # Not IN: for a list of three SQLite builds a table at each change of a row.
                "state = 'queued' OR state = 'sending' OR state = 'unconfirmed'"
                " OR accepted_at IS NOT NULL"
            ),
        ),
        # For all messages of an enrollment: SQLite does not see that the one above would do.
        Index("ix_messages_enrollment_id", "enrollment_id"),
        Index("ix_messages_state_due_at", "state", "due_at"),
        Index("ix_messages_customer_id_claimed_at", "customer_id", "claimed_at"),
        # What is empty until the claim, or the answer, has no entry before: nobody asks for it.
        # Asked when addresses of one person become one, and where a row of theirs is deleted.
        Index(
            "ix_messages_contact_point_id",
            "contact_point_id",
            **only_where("contact_point_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_channel_claimed_at",
            "channel",
            "claimed_at",
            **only_where("claimed_at IS NOT NULL"),
        ),
        Index(
            "ix_messages_provider_message_id",
            "provider_message_id",
            **only_where("provider_message_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_address_hash",
            "address_hash",
            **only_where("address_hash IS NOT NULL"),
        ),
    )

    id: Mapped[int] = row_id()
    enrollment_id: Mapped[int] = refer_to("enrollments.id")
    customer_id: Mapped[int] = refer_to("customers.id")
    step: Mapped[str] = mapped_column(String(64))
    is_answer: Mapped[bool] = mapped_column(default=False)
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    contact_point_id: Mapped[int | None] = refer_to("contact_points.id")
    address_hash: Mapped[str | None] = mapped_column(String(64))
    """Keyed hash of the address written to; set at the claim, survives erasure."""
    template_version_id: Mapped[int | None] = refer_to("template_versions.id")
    variant: Mapped[str] = mapped_column(String(8), default="a")
    voucher_id: Mapped[int | None] = refer_to("vouchers.id")
    context: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """What the template was given for this message alone, in its short form; together with
    ``shared_context_id`` all of it, so that the message can be reproduced exactly."""
    shared_context_id: Mapped[int | None] = mapped_column(RowId)
    """The rest; None where ``context`` holds all, as earlier versions kept it."""
    state: Mapped[MessageState] = mapped_column(Word(MessageState))
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why it was skipped, canceled, failed, postponed or is in doubt."""
    priority: Mapped[int] = mapped_column(default=1, server_default="1")
    """The campaign's when it was queued: the lowest goes first when a cap or a limit is near."""
    queued_at: Mapped[datetime] = mapped_column(Utc)
    due_at: Mapped[datetime] = mapped_column(Utc)
    """Not before this instant; moved on by a postponement."""
    drop_at: Mapped[datetime] = mapped_column(Utc)
    """From this instant on it is stale (``fresh_for``)."""
    send_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    """Ours, committed before the call, travels with the message."""
    claimed_at: Mapped[datetime | None] = mapped_column(Utc)
    worker_id: Mapped[int | None] = mapped_column(RowId)
    """The worker whose lease the claim stands under (FACTS.md DS-10); old workers are deleted."""
    looks: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often its provider was asked: about a doubt (FACTS.md DS-6), or for lost news (TW-33)."""
    look_at: Mapped[datetime | None] = mapped_column(Utc)
    """When to ask next; None: nothing is unknown, or it was asked for the last time."""
    provider: Mapped[str | None] = mapped_column(String(32))
    provider_message_id: Mapped[str | None] = mapped_column(String(128))
    provider_code: Mapped[str | None] = mapped_column(String(32))
    accepted_at: Mapped[datetime | None] = mapped_column(Utc)
    settled_at: Mapped[datetime | None] = mapped_column(Utc)
    """When delivered, bounced, failed, skipped or canceled."""
    segments: Mapped[int | None]
    cost: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """In the business's currency; counted once accepted."""
    opened_at: Mapped[datetime | None] = mapped_column(Utc)
    clicked_at: Mapped[datetime | None] = mapped_column(Utc)
    """First human click (FACTS.md SEC-11)."""


class SharedContext(Table):
    """What all messages of a run are told alike, business and facts: once for each content."""

    __tablename__ = "shared_contexts"

    id: Mapped[int] = row_id()
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    kept_at: Mapped[datetime] = mapped_column(Utc)


class Link(Table):
    """The target of one link of one message: redirects take an id, never a URL (SEC-13)."""

    __tablename__ = "links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    message_id: Mapped[int] = refer_to("messages.id", index=True)
    url: Mapped[str] = mapped_column(Text)
