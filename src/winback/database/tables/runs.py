"""Which stages ran, and what they counted."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table, row_id
from winback.database.types import Utc


class StageRun(Table):
    """One run of one stage: when, by what, and what it counted."""

    __tablename__ = "stage_runs"
    __table_args__ = (Index("ix_stage_runs_stage_started_at", "stage", "started_at"),)

    id: Mapped[int] = row_id()
    stage: Mapped[str] = mapped_column(String(16))
    as_of: Mapped[datetime] = mapped_column(Utc)
    started_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(String(8))
    counts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    error: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """The kind of exception that ended it early; empty when it went to its end."""
