"""Who is in a campaign, and how each got past its steps."""

from datetime import date, datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, refer_to, row_id
from winback.database.types import Utc, Word
from winback.states import Arm, EnrollmentState


class Enrollment(Table):
    """One customer's passage through one campaign, begun by one lapse."""

    __tablename__ = "enrollments"
    __table_args__ = (
        UniqueConstraint("campaign", "customer_id", "lapsed_on"),
        Index(
            "uq_enrollments_open_slot",
            "customer_id",
            unique=True,
            **only_where("state IN ('active', 'handed_over', 'held_out')"),
        ),
        Index("ix_enrollments_state_due_on", "state", "due_on"),
        Index("ix_enrollments_customer_id", "customer_id"),
        Index("ix_enrollments_campaign_enrolled_at", "campaign", "enrolled_at"),
        Index("ix_enrollments_measure_until", "measure_until"),
    )

    id: Mapped[int] = row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    campaign_version_id: Mapped[int] = refer_to("campaign_versions.id")
    customer_id: Mapped[int] = refer_to("customers.id")
    lapsed_on: Mapped[date]
    """Local date of the last purchase: what the lapse is named by."""
    arm: Mapped[Arm] = mapped_column(Word(Arm))
    state: Mapped[EnrollmentState] = mapped_column(Word(EnrollmentState))
    value: Mapped[str] = mapped_column(String(16))
    """``high`` or ``normal``; kept for the enrollment's life."""
    enrolled_at: Mapped[datetime] = mapped_column(Utc)
    enrolled_on: Mapped[date]
    measure_until: Mapped[datetime] = mapped_column(Utc)
    """End of the measured window, exclusive; the same for both arms."""
    next_step: Mapped[str | None] = mapped_column(String(64))
    """The step to come next on the timeline; None after the last."""
    due_on: Mapped[date | None]
    """Local date on which the plan looks at it next: a step, a waking, the end of the rest."""
    is_asleep: Mapped[bool] = mapped_column(default=False)
    sleeps: Mapped[int] = mapped_column(default=0)
    is_gentle: Mapped[bool] = mapped_column(default=False)
    """After a hard time: steps with an offer are passed until one without was accepted."""
    reason: Mapped[str | None] = mapped_column(String(32))
    """The last reason the customer gave."""
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    is_left_out: Mapped[bool] = mapped_column(default=False)
    """Canceled because late data showed an earlier purchase: leaves the analysis in both arms."""


class StepPassage(Table):
    """How one enrollment got past one step of its timeline; one row a step, for good."""

    __tablename__ = "step_passages"
    __table_args__ = (UniqueConstraint("enrollment_id", "step"),)

    id: Mapped[int] = row_id()
    enrollment_id: Mapped[int] = refer_to("enrollments.id")
    step: Mapped[str] = mapped_column(String(64))
    how: Mapped[str] = mapped_column(String(32))
    """accepted, case_opened, passed, skipped, failed, stale or unconfirmed."""
    why: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(Utc)
