"""What all workers count together, so that no limit is passed."""

from datetime import date, datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table
from winback.database.types import Utc, Word
from winback.states import Channel


class ChannelDay(Table):
    """How many messages of a channel were claimed on one local day: what daily limits count."""

    __tablename__ = "channel_days"

    channel: Mapped[Channel] = mapped_column(Word(Channel), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    """The business's local date."""
    claimed: Mapped[int] = mapped_column(default=0)
    """Claims less those given back to the queue."""
    segments: Mapped[int] = mapped_column(default=0)
    """Of texts, counted while a brand's daily budget of them is set (FACTS.md TW-19b)."""


class Pace(Table):
    """One token bucket, shared by all workers: when its next token is free."""

    __tablename__ = "paces"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Provider and kind of sender, as twilio:long_code."""
    free_at: Mapped[datetime] = mapped_column(Utc)
    """The machine's clock; earlier than now: tokens have gathered."""
