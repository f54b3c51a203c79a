"""Claim a batch: the last look and the send ids, in one transaction, before any call is made.

Consent, suppression, purchases, caps and hours are asked again here, in the transaction that
makes the message ours (FACTS.md LAW-2, DS-2, DS-11). Claims of several workers take turns for
these few milliseconds, so that caps and daily limits are exact; a no that commits before the
claim is always seen.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from winback.database.history import record_moves
from winback.database.tables import Decision, Enrollment, Link, Message
from winback.delivery.asking import Asked, Unavailable, ask_all, see_people, see_today
from winback.delivery.composing import (
    Carried,
    Claimed,
    context_of,
    customer_views,
    links_of,
    name_of,
    vouchers_by_id,
)
from winback.delivery.falling import skip_messages
from winback.delivery.gate import Allow, Hold, Never, Postpone
from winback.delivery.looking import Sight
from winback.delivery.machine import MessageEvent, move
from winback.delivery.run import Run, campaigns_of
from winback.delivery.windows import tomorrow_start, validity_seconds
from winback.errors import TemplateError
from winback.messages.compiling import published_variants
from winback.messages.context import CustomerView
from winback.messages.links import Links, ShortLink, short_links
from winback.messages.templates import PublishedTemplate
from winback.messages.variants import variant_for
from winback.states import Channel, MessageState
from winback.vouchers.reserving import issue_many, reserve

_ONE_AT_A_TIME: Final = 7716322
"""Key of the advisory lock that claims of several workers take turns by."""

_POLICY: Final = "1"
"""Version of the rules of consent and hours, stored with the basis (FACTS.md LAW-1)."""


@dataclass(slots=True)
class Claims:
    """What became of a batch: ours to send, postponed, or never to be sent."""

    claimed: list[Claimed] = field(default_factory=list)
    postponed: int = 0
    skipped: int = 0


def due_messages(session: Session, now: datetime) -> list[int]:
    """Give the ids of all queued messages whose time has come: answers, then newest lapses."""
    return list(
        session.scalars(
            select(Message.id)
            .join(Enrollment, Enrollment.id == Message.enrollment_id)
            .where(Message.state == MessageState.QUEUED, Message.due_at <= now)
            .order_by(Message.is_answer.desc(), Enrollment.lapsed_on.desc(), Message.id)
        )
    )


def claim(
    session: Session, run: Run, ids: Sequence[int], *, resting: Mapping[Channel, Hold]
) -> Claims:
    """Claim what the gate lets go of these messages; the caller commits before it sends.

    ``resting`` holds the channels that this run has found closed.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    rows = _queued(session, run, ids)
    if not rows:
        return Claims()
    sight = see_people(session, run, rows)
    today = see_today(session, run, resting)
    reserved, without = _reserve(session, run, rows)
    if reserved:
        rows = _queued(session, run, ids)
    asked = ask_all(session, run, rows, sight=sight, today=today, without=without)
    never = [(one, one.verdict) for one in asked if isinstance(one.verdict, Never)]
    late = [(one, one.verdict) for one in asked if isinstance(one.verdict, Postpone)]
    ready: list[Ready] = []
    for one in asked:
        if isinstance(one.verdict, Allow):
            try:
                ready.append(Ready(one, _template(session, run, one, sight)))
            except TemplateError as none_live:
                until = min(tomorrow_start(run.now, run.zone), one.row.drop_at)
                late.append((one, Postpone(until, str(none_live))))
    claimed = _claim(session, run, ready, sight)
    _postpone(session, run, late)
    skip_messages(session, run, never)
    return Claims(claimed, postponed=len(late), skipped=len(never))


@dataclass(frozen=True, slots=True)
class Ready:
    """One message that the gate lets go, with the template version it is rendered from."""

    asked: Asked
    published: PublishedTemplate


def _queued(session: Session, run: Run, ids: Sequence[int]) -> Sequence[Row[Any]]:
    return session.execute(
        select(
            Message.id,
            Message.enrollment_id,
            Message.customer_id,
            Message.step,
            Message.is_answer,
            Message.channel,
            Message.voucher_id,
            Message.drop_at,
            Message.reason,
            Enrollment.campaign,
            Enrollment.campaign_version_id,
            Enrollment.lapsed_on,
            Enrollment.state.label("enrollment_state"),
            Enrollment.value,
            Enrollment.reason.label("enrollment_reason"),
        )
        .join(Enrollment, Enrollment.id == Message.enrollment_id)
        .where(Message.id.in_(ids), Message.state == MessageState.QUEUED, Message.due_at <= run.now)
        .order_by(Message.is_answer.desc(), Enrollment.lapsed_on.desc(), Message.id)
        .with_for_update(of=Message, skip_locked=True)
    ).all()


def _reserve(
    session: Session, run: Run, rows: Sequence[Row[Any]]
) -> tuple[bool, dict[int, Unavailable]]:
    """Reserve the code of each answer that offers one; says whether any, and who gets none.

    A step's code was reserved when it was queued.
    """
    wanting = [row for row in rows if row.is_answer and row.voucher_id is None]
    campaigns = campaigns_of(session, (row.campaign_version_id for row in wanting))
    bound: list[dict[str, int]] = []
    without: dict[int, Unavailable] = {}
    for row in wanting:
        campaign = campaigns[row.campaign_version_id]
        offer = campaign.message(row.step).offer
        if offer is None:
            continue
        code = reserve(
            session,
            enrollment_id=row.enrollment_id,
            campaign=campaign,
            offer=offer,
            now=run.now,
            must_be_exported=run.must_be_exported,
            rng=run.rng,
        )
        if isinstance(code, int):
            bound.append({"b_id": row.id, "voucher_id": code})
        else:
            without[row.id] = code
    if bound:
        table = Message.__table__
        session.connection().execute(
            update(Message)
            .where(table.c.id == bindparam("b_id"))
            .values(voucher_id=bindparam("voucher_id")),
            bound,
        )
    return bool(bound), without


def _template(session: Session, run: Run, one: Asked, sight: Sight) -> PublishedTemplate:
    campaign, template = one.campaign.campaign, one.message.template
    live = published_variants(
        session,
        run.business.shelf,
        campaign=campaign,
        template=template,
        channel=one.row.channel,
        locale=sight.persons[one.row.customer_id].locale,
        now=run.now,
    )
    by_name = {version.variant: version for version in live}
    drawn = variant_for(
        run.salt,
        campaign,
        enrollment_id=one.row.enrollment_id,
        template=template,
        variants=list(by_name),
    )
    return by_name[drawn]


def _claim(session: Session, run: Run, ready: Sequence[Ready], sight: Sight) -> list[Claimed]:
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
            carried=vouchers.get(one.asked.row.voucher_id),
            links=_links(run, one.asked.row, links),
        )
        for one in ready
    ]
    _write(session, run, claimed)
    if links:
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        session.execute(
            (sqlite if is_sqlite else postgresql).insert(Link).on_conflict_do_nothing(),
            [{"id": link.id, "message_id": link.message_id, "url": link.url} for link in links],
        )
    return claimed


def _issued(session: Session, run: Run, ready: Sequence[Ready]) -> dict[int, Carried]:
    """Issue what these messages carry, and read it; a repeated voucher keeps its expiry."""
    own = {
        one.asked.row.id: (one.asked.row.voucher_id, one.asked.campaign.offers[offer].valid_for)
        for one in ready
        if (offer := one.asked.message.offer) is not None
    }
    if own:
        issue_many(session, own, now=run.now, zone=run.zone)
    ids = {one.asked.row.voucher_id for one in ready} - {None}
    found = vouchers_by_id(session, list(ids)) if ids else {}
    return {id_: carried for id_, carried in found.items() if carried.expires_at > run.now}


def _links(run: Run, row: Row[Any], short: list[ShortLink]) -> Links:
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
        "kind": "express",
        "consent_id": asked.consent_id,
        "country": view.country or run.business.settings.business.country,
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


def _write(session: Session, run: Run, claimed: Sequence[Claimed]) -> None:
    table = Message.__table__
    to_state = move(MessageState.QUEUED, MessageEvent.CLAIM)
    session.connection().execute(
        update(Message)
        .where(table.c.id == bindparam("b_id"), table.c.state == MessageState.QUEUED)
        .values(
            state=to_state,
            reason="",
            claimed_at=run.now,
            **{name: bindparam(name) for name in _WRITTEN_AT_CLAIM},
        ),
        [
            {
                "b_id": one.message_id,
                "send_id": one.send_id,
                "contact_point_id": one.point.id,
                "address_hash": one.point.address_hash,
                "template_version_id": one.published.id,
                "variant": one.published.variant,
                "context": one.context,
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


_WRITTEN_AT_CLAIM: Final = (
    "send_id",
    "contact_point_id",
    "address_hash",
    "template_version_id",
    "variant",
    "context",
    "provider",
)


def _postpone(session: Session, run: Run, late: Sequence[tuple[Asked, Postpone]]) -> None:
    if not late:
        return
    table = Message.__table__
    session.connection().execute(
        update(Message)
        .where(table.c.id == bindparam("b_id"), table.c.state == MessageState.QUEUED)
        .values(due_at=bindparam("due_at"), reason=bindparam("reason")),
        [
            {"b_id": one.row.id, "due_at": verdict.until, "reason": verdict.why}
            for one, verdict in late
        ],
    )
    news = [
        {
            "customer_id": one.row.customer_id,
            "campaign": one.row.campaign,
            "enrollment_id": one.row.enrollment_id,
            "what": "postponed",
            "why": f"{one.row.step}: {verdict.why}",
            "at": run.now,
        }
        for one, verdict in late
        # Said once for each reason, however often the gate is asked.
        if one.row.reason != verdict.why
    ]
    if news:
        session.execute(insert(Decision), news)
