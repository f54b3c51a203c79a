"""Append the consents that changed rows speak of (DESIGN.md, section 7).

A mapped yes is consent that the business asserts, a mapped no withdraws, no column says nothing.
Only what a source says anew counts: a yes that stands unchanged in a file does not undo what the
person withdrew since, and a no of another source is undone only by a later, dated yes.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, literal, or_, select, update
from sqlalchemy.orm import aliased

from winback.database.tables import Consent
from winback.sources import staging
from winback.sources.customer_rows import CustomerForm
from winback.states import Channel, ConsentState


def take_consents(connection: Connection, form: CustomerForm, now: datetime) -> None:
    """Append what the staged rows say anew, on every channel that the source maps."""
    for channel in Channel:
        if f"{channel}_consent" in form.names:
            _take(connection, form, channel, now=now)


def _take(connection: Connection, form: CustomerForm, channel: Channel, *, now: datetime) -> None:
    is_written = channel is Channel.SMS and form.is_sms_written
    connection.execute(staging.consents.delete())
    connection.execute(
        insert(staging.consents).from_select(
            ["customer_id", "state", "is_written", "evidence", "given_at"],
            _said_anew(form, channel, is_written=is_written),
        )
    )
    new = staging.consents.c
    connection.execute(
        update(Consent)
        .where(
            Consent.channel == channel,
            Consent.superseded_at.is_(None),
            Consent.customer_id.in_(select(new.customer_id)),
        )
        .values(superseded_at=now)
    )
    connection.execute(
        insert(Consent).from_select(
            [
                "customer_id",
                "channel",
                "state",
                "is_written",
                "source",
                "evidence",
                "given_at",
                "recorded_at",
            ],
            select(
                new.customer_id,
                literal(channel.value),
                new.state,
                new.is_written,
                literal(form.source),
                new.evidence,
                new.given_at,
                literal(now, Consent.recorded_at.type),
            ),
        )
    )


def _said_anew(form: CustomerForm, channel: Channel, *, is_written: bool) -> Any:
    """Select what differs from the source's own last word, and is not overruled by a no."""
    fresh = staging.fresh.c
    state, at = fresh[f"{channel}_state"], fresh[f"{channel}_at"]
    last, current, newest = aliased(Consent), aliased(Consent), aliased(Consent)
    last_word = (
        select(func.max(newest.id))
        .where(
            newest.customer_id == fresh.customer_id,
            newest.channel == channel,
            newest.source == form.source,
        )
        .scalar_subquery()
    )
    is_yes = state == ConsentState.GIVEN.value
    written = and_(is_yes, literal(is_written))
    overruled = and_(
        is_yes,
        current.state == ConsentState.WITHDRAWN,
        current.source != form.source,
        or_(at.is_(None), at <= func.coalesce(current.given_at, current.recorded_at)),
    )
    only_writing_differs = and_(current.id == last.id, last.is_written != written)
    return (
        select(fresh.customer_id, state, written, fresh[f"{channel}_evidence"], at)
        .select_from(staging.fresh)
        .join(last, last.id == last_word, isouter=True)
        .join(
            current,
            and_(
                current.customer_id == fresh.customer_id,
                current.channel == channel,
                current.superseded_at.is_(None),
            ),
            isouter=True,
        )
        .where(
            state.is_not(None),
            or_(last.id.is_(None), last.state != state, only_writing_differs),
            or_(current.id.is_(None), ~overruled),
        )
    )
