"""What providers and people reported, what it means, and what waits for an associate."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table, only_where, refer_to, row_id
from winback.database.types import Utc, Word
from winback.states import CaseKind, CaseState, EventKind, EventState


class Event(Table):
    """One fact reported by a provider or a person, kept raw under a unique key."""

    __tablename__ = "events"
    __table_args__ = (
        Index(
            "ix_events_waiting",
            "id",
            **only_where("state = 'received'"),
        ),
        Index("ix_events_message_id", "message_id"),
        Index(
            "ix_events_complaints",
            "received_at",
            **only_where("kind = 'complained'"),
        ),
    )

    id: Mapped[int] = row_id()
    key: Mapped[str] = mapped_column(String(128), unique=True)
    origin: Mapped[str] = mapped_column(String(32))
    """sendgrid.events, .inbound, .lists, twilio.status, .inbound, page, click, desk."""
    kind: Mapped[EventKind | None] = mapped_column(Word(EventKind))
    """None until read."""
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    """The single raw record."""
    occurred_at: Mapped[datetime | None] = mapped_column(Utc)
    received_at: Mapped[datetime] = mapped_column(Utc)
    state: Mapped[EventState] = mapped_column(Word(EventState))
    message_id: Mapped[int | None] = refer_to("messages.id")
    error: Mapped[str] = mapped_column(Text, default="")
    applied_at: Mapped[datetime | None] = mapped_column(Utc)


class Response(Table):
    """What an event means for a customer's enrollment, and what was done about it."""

    __tablename__ = "responses"
    __table_args__ = (
        Index("ix_responses_enrollment_id", "enrollment_id"),
        Index("ix_responses_customer_id", "customer_id"),
    )

    id: Mapped[int] = row_id()
    key: Mapped[str] = mapped_column(String(160), unique=True)
    """What makes it one response: a repeat changes nothing."""
    customer_id: Mapped[int] = refer_to("customers.id")
    enrollment_id: Mapped[int | None] = refer_to("enrollments.id")
    message_id: Mapped[int | None] = refer_to("messages.id")
    event_id: Mapped[int | None] = refer_to("events.id")
    kind: Mapped[str] = mapped_column(String(32))
    """purchase, redemption, no, hard_bounce, reply, reason, click, open."""
    reason: Mapped[str | None] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Utc)


class Case(Table):
    """Something that waits for an associate, and the result noted on it."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("ix_cases_state_opened_at", "state", "opened_at"),
        Index("ix_cases_customer_id", "customer_id"),
    )

    id: Mapped[int] = row_id()
    key: Mapped[str] = mapped_column(String(160))
    """What opened it: a repeat opens no second one."""
    kind: Mapped[CaseKind] = mapped_column(Word(CaseKind))
    state: Mapped[CaseState] = mapped_column(Word(CaseState))
    customer_id: Mapped[int] = refer_to("customers.id")
    enrollment_id: Mapped[int | None] = refer_to("enrollments.id")
    event_id: Mapped[int | None] = refer_to("events.id")
    step: Mapped[str | None] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(64), default="")
    """The understood meaning of a reply."""
    text: Mapped[str] = mapped_column(Text, default="")
    """What the customer wrote, or the script or letter to use."""
    opened_at: Mapped[datetime] = mapped_column(Utc)
    taken_by: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(Utc)
    result: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text, default="")
