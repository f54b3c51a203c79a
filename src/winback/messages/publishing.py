"""Publish templates: the newest version of a file that lints clean goes live, and stays readable.

A version is a row of ``template_versions``; a failing edit on disk changes nothing until it is
clean again (DESIGN.md, section 7).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, event, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from winback.database.tables import TemplateVersion
from winback.errors import Mistake, TemplateError
from winback.messages.compiled import compiled
from winback.messages.compiling import content_hash
from winback.messages.mistakes import mistakes_of
from winback.messages.shelf import Shelf
from winback.messages.templates import Compiled, PublishedTemplate, Source
from winback.states import Channel

_UNSAVED = "winback.messages.unsaved"


@dataclass(frozen=True, slots=True)
class FailingEdit:
    """A file whose newest content cannot go live, and since when an older one speaks for it."""

    source: Source
    mistakes: tuple[Mistake, ...]
    live_since: datetime | None
    """When the version that is live was published; None: nothing of it is live."""


def published_variants(
    session: Session,
    shelf: Shelf,
    *,
    campaign: str,
    template: str,
    channel: Channel,
    locale: str | None,
    now: datetime,
) -> tuple[PublishedTemplate, ...]:
    """Give the live versions of a template's variants, in the best locale there is.

    New clean contents are stored, at most once each; the caller commits. A variant that was
    never clean is left out. Raises TemplateError when nothing is live at all.
    """
    live = [
        version
        for source in shelf.find(campaign, template, channel, locale)
        if (version := _live(session, shelf, source, now=now)) is not None
    ]
    if not live:
        raise TemplateError(
            f"templates/{campaign}/{template}: no {channel} template that can go live; "
            "winback check says why"
        )
    return tuple(live)


def published(
    session: Session,
    shelf: Shelf,
    *,
    campaign: str,
    template: str,
    channel: Channel,
    locale: str | None,
    variant: str,
    now: datetime,
) -> PublishedTemplate:
    """Give the live version of one variant, or of the first where that one is gone.

    Raises TemplateError when nothing is live.
    """
    live = published_variants(
        session,
        shelf,
        campaign=campaign,
        template=template,
        channel=channel,
        locale=locale,
        now=now,
    )
    return next((version for version in live if version.variant == variant), live[0])


def template_by_id(session: Session, template_version_id: int) -> PublishedTemplate:
    """Give a stored version, to render an old message again; raises TemplateError if unknown."""
    row = session.get(TemplateVersion, template_version_id)
    if row is None:
        raise TemplateError(f"there is no template version {template_version_id}")
    return _as_published(row)


def failing_edits(session: Session, shelf: Shelf) -> tuple[FailingEdit, ...]:
    """Give every file that does not lint clean, with what is live instead; writes nothing."""
    return tuple(
        FailingEdit(source, mistakes, last.published_at if last is not None else None)
        for source in shelf.sources.values()
        if (mistakes := mistakes_of(shelf, source))
        for last in [session.scalars(_newest(source)).first()]
    )


def _live(
    session: Session, shelf: Shelf, source: Source, *, now: datetime
) -> PublishedTemplate | None:
    key = (source.campaign, source.template, source.channel, source.locale, source.variant)
    if key in shelf.kept:
        return shelf.kept[key]
    row = (
        session.scalars(_newest(source)).first()
        if mistakes_of(shelf, source)
        else _stored(session, source, now=now)
    )
    if row is None:
        return None
    version = _as_published(row)
    # A version that this very transaction stored may be rolled back: it is looked up again.
    if version.id not in _unsaved(session):
        shelf.kept[key] = version
    return version


def _stored(session: Session, source: Source, *, now: datetime) -> TemplateVersion:
    """Give the row of a clean content: found, made the newest again, or inserted."""
    same = _newest(source).where(TemplateVersion.content_hash == content_hash(source))
    row = session.scalars(same).first()
    if row is None:
        made = compiled(source)
        assert isinstance(made, Compiled)  # noqa: S101 - it linted clean just before
        _insert(session, made, now=now)
        row = session.scalars(same).one()
        _unsaved(session).add(row.id)
    newest = session.scalars(_newest(source)).one()
    if newest.id != row.id:
        # An edit was taken back: what is live is the newest again, also for a later failing edit.
        session.execute(
            update(TemplateVersion).where(TemplateVersion.id == row.id).values(published_at=now)
        )
        _unsaved(session).add(row.id)
    return row


def _insert(session: Session, made: Compiled, *, now: datetime) -> None:
    insert = postgres_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    source = made.source
    session.execute(
        insert(TemplateVersion)
        .values(
            campaign=source.campaign,
            template=source.template,
            channel=source.channel,
            locale=source.locale,
            variant=source.variant,
            language=made.language,
            content_hash=made.content_hash,
            subject=made.subject,
            preheader=made.preheader,
            html=made.html,
            text=made.text,
            published_at=now,
        )
        .on_conflict_do_nothing()
    )


def _newest(source: Source) -> Select[tuple[TemplateVersion]]:
    return (
        select(TemplateVersion)
        .where(
            TemplateVersion.campaign == source.campaign,
            TemplateVersion.template == source.template,
            TemplateVersion.channel == source.channel,
            TemplateVersion.locale == source.locale,
            TemplateVersion.variant == source.variant,
        )
        .order_by(TemplateVersion.published_at.desc(), TemplateVersion.id.desc())
        .limit(1)
    )


def _unsaved(session: Session) -> set[int]:
    """Give the ids that this session stored and has not committed yet."""
    unsaved: set[int] | None = session.info.get(_UNSAVED)
    if unsaved is None:
        unsaved = session.info[_UNSAVED] = set()
        event.listen(session, "after_commit", _forget)
        event.listen(session, "after_rollback", _forget)
    return unsaved


def _forget(session: Session) -> None:
    session.info[_UNSAVED].clear()


def _as_published(row: TemplateVersion) -> PublishedTemplate:
    return PublishedTemplate(
        id=row.id,
        campaign=row.campaign,
        template=row.template,
        channel=row.channel,
        locale=row.locale,
        variant=row.variant,
        language=row.language,
        subject=row.subject,
        preheader=row.preheader,
        html=row.html,
        text=row.text,
    )
