"""Make messages ours: template, voucher, context, links and send id, written before any call."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.many import insert_rows, update_rows
from winback.database.tables import Link, Message, table_of
from winback.delivery.asking import Asked, Queued
from winback.delivery.budget import Budget
from winback.delivery.composing import (
    Carried,
    Claimed,
    context_of,
    customer_views,
    links_of,
    name_of,
    vouchers_by_id,
)
from winback.delivery.looking import Sight
from winback.delivery.machine import MessageEvent, move
from winback.delivery.run import Run
from winback.delivery.windows import validity_seconds
from winback.messages.context import CustomerView
from winback.messages.keeping import keep_shared, own_part, shared_part
from winback.messages.links import Links, ShortLink, short_links
from winback.messages.publishing import published_variants
from winback.messages.templates import PublishedTemplate
from winback.messages.variants import variant_for
from winback.states import Channel, MessageState
from winback.vouchers.reserving import issue_many, return_unsent

_POLICY: Final = "1"
"""Version of the rules of consent and hours, stored with the basis (FACTS.md LAW-1)."""


LiveTemplates = dict[tuple[str, str, Channel, str | None], dict[str, PublishedTemplate]]
"""What is live of each template that a batch needs, by variant: asked once a batch."""


@dataclass(frozen=True, slots=True)
class Ready:
    """One message that the gate lets go, with the template version it is rendered from."""

    asked: Asked
    published: PublishedTemplate


def template_for(
    session: Session, run: Run, one: Asked, *, sight: Sight, live: LiveTemplates
) -> PublishedTemplate:
    """Give the version that a message is rendered from; raises TemplateError if none is live."""
    campaign, template = one.campaign.campaign, one.message.template
    locale = sight.persons[one.row.customer_id].locale
    key = (campaign, template, one.row.channel, locale)
    if key not in live:
        versions = published_variants(
            session,
            run.business.shelf,
            campaign=campaign,
            template=template,
            channel=one.row.channel,
            locale=locale,
            now=run.now,
        )
        live[key] = {version.variant: version for version in versions}
    drawn = variant_for(
        run.salt,
        campaign,
        enrollment_id=one.row.enrollment_id,
        template=template,
        variants=list(live[key]),
    )
    return live[key][drawn]


def take(
    session: Session,
    run: Run,
    ready: Sequence[Ready],
    *,
    sight: Sight,
    worker_id: int,
    budget: Budget | None = None,
) -> list[Claimed]:
    """Claim messages that the gate let go, in one write; the caller commits before it sends.

    Texts that do not fit into the day's budget are left as they were, and noted there.
    """
    if not ready:
        return []
    vouchers = _issued(session, run, ready)
    views = customer_views(session, run, sight, [one.asked.row.customer_id for one in ready])
    links: list[ShortLink] = []
    claimed = [
        _claimed(
            run,
            one,
            view=views[one.asked.row.customer_id],
            carried=vouchers.get(one.asked.row.voucher_id or 0),
            links=_links(run, one.asked.row, links),
        )
        for one in ready
    ]
    if budget is not None:
        claimed = _within(session, run, claimed, budget=budget)
        links = [link for link in links if link.message_id not in budget.over]
    if not claimed:
        return []
    _write(session, run, claimed, worker_id)
    if links:
        insert_rows(
            session.connection(),
            table_of(Link),
            [{"id": link.id, "message_id": link.message_id, "url": link.url} for link in links],
            skips_known=True,
        )
    return claimed


def _within(
    session: Session, run: Run, claimed: Sequence[Claimed], *, budget: Budget
) -> list[Claimed]:
    """Keep what the budget has room for; an own voucher of the others is reserved as before."""
    kept = budget.keep(run, claimed)
    for one in claimed:
        if one.message_id in budget.over and one.voucher_id is not None:
            return_unsent(session, one.voucher_id, one.message_id, run.now)
    return kept


def _issued(session: Session, run: Run, ready: Sequence[Ready]) -> dict[int, Carried]:
    """Issue what these messages carry, and read it; a repeated voucher keeps its expiry."""
    own = {
        one.asked.row.id: (voucher_id, one.asked.campaign.offers[offer].valid_for)
        for one in ready
        if (offer := one.asked.message.offer) is not None
        and (voucher_id := one.asked.row.voucher_id) is not None
    }
    if own:
        issue_many(session, own, now=run.now, zone=run.zone)
    ids = {id_ for one in ready if (id_ := one.asked.row.voucher_id) is not None}
    found = vouchers_by_id(session, list(ids)) if ids else {}
    return {id_: carried for id_, carried in found.items() if carried.expires_at > run.now}


def _links(run: Run, row: Queued, short: list[ShortLink]) -> Links:
    links = links_of(run, row.id)
    if row.channel is not Channel.SMS:
        return links
    business = run.business
    links, rows = short_links(
        business.secret, business.settings.base_url, message_id=row.id, links=links
    )
    short.extend(rows)
    return links


def _claimed(
    run: Run, ready: Ready, *, view: CustomerView, carried: Carried | None, links: Links
) -> Claimed:
    asked, row = ready.asked, ready.asked.row
    assert asked.point is not None  # noqa: S101 - the gate asked for an address
    context = context_of(
        run,
        view,
        campaign=asked.campaign,
        step=row.step,
        reason=row.enrollment_reason,
        carried=carried,
        links=links,
    )
    # Whose word allows it, by which rules: the burden of proof is the sender's (FACTS.md LAW-1).
    context["basis"] = {
        "consent_id": asked.consent_id,
        "country": view.country or run.business.settings.business.country,
        "kind": "express",
        "policy": _POLICY,
    }
    return Claimed(
        message_id=row.id,
        enrollment_id=row.enrollment_id,
        customer_id=row.customer_id,
        campaign=asked.campaign.campaign,
        step=row.step,
        is_answer=row.is_answer,
        channel=row.channel,
        provider=run.providers[row.channel],
        send_id=_send_id(run, row.id),
        point=asked.point,
        name=name_of(view),
        published=ready.published,
        context=context,
        voucher_id=row.voucher_id,
        valid_for_seconds=validity_seconds(run.now, asked.opening) if asked.opening else 0,
    )


def _send_id(run: Run, message_id: int) -> str:
    """Make a fresh id for one claim: unguessable, and no other even where chance is seeded."""
    drawn = f"{run.rng.getrandbits(128):032x}:{message_id}:{run.now.isoformat()}"
    return hashlib.sha256(drawn.encode("ascii")).hexdigest()[:32]


def _write(session: Session, run: Run, claimed: Sequence[Claimed], worker_id: int) -> None:
    to_state = move(MessageState.QUEUED, MessageEvent.CLAIM)
    shared = keep_shared(session, shared_part(claimed[0].context), now=run.now)
    update_rows(
        session.connection(),
        _MESSAGES,
        [
            {
                "b_id": one.message_id,
                "b_state": MessageState.QUEUED,
                "state": to_state,
                "reason": "",
                "claimed_at": run.now,
                "worker_id": worker_id,
                "send_id": one.send_id,
                "contact_point_id": one.point.id,
                "address_hash": one.point.address_hash,
                "template_version_id": one.published.id,
                "variant": one.published.variant,
                "context": own_part(one.context),
                "shared_context_id": shared,
                "provider": one.provider,
            }
            for one in claimed
        ],
    )
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": one.message_id,
                "from_state": MessageState.QUEUED,
                "to_state": to_state,
                "event": MessageEvent.CLAIM,
                "why": "",
                "at": run.now,
            }
            for one in claimed
        ],
    )


_MESSAGES: Final = table_of(Message)
