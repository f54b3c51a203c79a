"""The processes that send."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, row_id
from winback.database.types import Utc


class Worker(Table):
    """One process that sends, and its lease: alive as long as it beats (FACTS.md DS-10).

    The clock of leases is the machine's, never an as-of instant.
    """

    __tablename__ = "workers"
    __table_args__ = (
        Index(
            "ix_workers_alive",
            "beat_at",
            **only_where("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = row_id()
    place: Mapped[str] = mapped_column(String(128))
    """The machine, or the container, in which ``pid`` means something."""
    pid: Mapped[int]
    born: Mapped[str] = mapped_column(String(32), default="", server_default="")
    """When the process began, as its machine counts it: tells two with the same pid apart."""
    started_at: Mapped[datetime] = mapped_column(Utc)
    beat_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    """When it ended, or when others found it dead: from then on it may call nobody."""
