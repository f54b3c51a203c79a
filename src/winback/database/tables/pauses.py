"""What stands still, by whose will, and until when."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, row_id
from winback.database.types import Utc, Word
from winback.states import Channel


class Pause(Table):
    """A switch of ours that stops claims: all, one campaign, or one channel.

    Appended; a row without ``resumed_at`` holds. No redeployment undoes it.
    """

    __tablename__ = "pauses"
    __table_args__ = (
        Index(
            "uq_pauses_holding",
            "scope",
            "name",
            "by",
            unique=True,
            **only_where("resumed_at IS NULL"),
        ),
    )

    id: Mapped[int] = row_id()
    scope: Mapped[str] = mapped_column(String(16))
    """``all``, ``campaign`` or ``channel``."""
    name: Mapped[str] = mapped_column(String(64), default="")
    """Of the campaign or the channel; empty for all."""
    by: Mapped[str] = mapped_column(String(16))
    """``operator``, or ``brake`` when rates of bounces or complaints went too high."""
    why: Mapped[str] = mapped_column(Text, default="")
    paused_at: Mapped[datetime] = mapped_column(Utc)
    resumed_at: Mapped[datetime | None] = mapped_column(Utc)


class ChannelPause(Table):
    """A channel that stands still because an account or a sender was refused at the call."""

    __tablename__ = "channel_pauses"

    channel: Mapped[Channel] = mapped_column(Word(Channel), primary_key=True)
    why: Mapped[str] = mapped_column(Text)
    paused_at: Mapped[datetime] = mapped_column(Utc)
    try_again_at: Mapped[datetime] = mapped_column(Utc)
    """When one send run may try again by itself."""
    strikes: Mapped[int] = mapped_column(default=1, server_default="1")
    """How often in a row it was closed: each time it stays closed for longer."""
