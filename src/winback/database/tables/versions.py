"""Contents of edited files that were used: campaigns and templates."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Json, Table, row_id
from winback.database.types import Utc, Word
from winback.states import Channel


class CampaignVersion(Table):
    """One content of a campaign file; running enrollments keep theirs."""

    __tablename__ = "campaign_versions"
    __table_args__ = (UniqueConstraint("campaign", "content_hash"),)

    id: Mapped[int] = row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    first_used_at: Mapped[datetime] = mapped_column(Utc)


class TemplateVersion(Table):
    """One compiled content of a template; messages name the one that they were rendered from."""

    __tablename__ = "template_versions"
    __table_args__ = (
        UniqueConstraint("campaign", "template", "channel", "locale", "variant", "content_hash"),
    )

    id: Mapped[int] = row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    locale: Mapped[str] = mapped_column(String(35), default="")
    variant: Mapped[str] = mapped_column(String(8), default="a")
    language: Mapped[str] = mapped_column(String(35), default="en")
    """The language of its words: dates and money are written in it."""
    content_hash: Mapped[str] = mapped_column(String(64))
    """Of the file, its text twin and the layout."""
    subject: Mapped[str] = mapped_column(Text, default="")
    preheader: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str] = mapped_column(Text, default="")
    """Compiled, with the Jinja tags back in place."""
    text: Mapped[str] = mapped_column(Text, default="")
    published_at: Mapped[datetime] = mapped_column(Utc)
