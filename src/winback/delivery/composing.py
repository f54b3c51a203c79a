"""Put together what one message is rendered from, and its outgoing form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.database.tables import Voucher
from winback.delivery.looking import PersonView, Point, Sight
from winback.delivery.run import Run
from winback.enrollment.facts import condition_facts
from winback.messages.context import (
    Context,
    CustomerView,
    VoucherView,
    build_context,
    last_day,
)
from winback.messages.headers import email_headers
from winback.messages.links import Links, build_links, reply_address
from winback.messages.rendering import render
from winback.messages.segments import count_segments
from winback.messages.templates import PublishedTemplate
from winback.providers.outgoing import Outgoing, OutgoingEmail, OutgoingText
from winback.states import Channel, Reason

STATUS_PATH = "/webhooks/twilio/status"


@dataclass(frozen=True, slots=True)
class Carried:
    """The voucher that a message carries."""

    offer: str
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message that is ours to send, with all that it takes."""

    message_id: int
    enrollment_id: int
    customer_id: int
    campaign: str
    step: str
    is_answer: bool
    channel: Channel
    provider: str
    send_id: str
    point: Point
    name: str | None
    published: PublishedTemplate
    context: Context
    voucher_id: int | None
    valid_for_seconds: int
    segments: int = 0
    """What the claim took of the day's budget of segments; 0 where none is set."""


@dataclass(frozen=True, slots=True)
class Words:
    """A message ready for its provider, and what it will cost."""

    outgoing: Outgoing
    segments: int | None
    cost: Decimal


def vouchers_by_id(session: Session, ids: Sequence[int]) -> dict[int, Carried]:
    """Read issued vouchers, as messages carry them."""
    rows = session.connection().execute(_CARRIED, {"ids": ids})
    return {
        id_: Carried(offer, code, expires_at)
        for id_, offer, code, expires_at in rows
        if expires_at is not None
    }


_CARRIED: Final = select(Voucher.id, Voucher.offer, Voucher.code, Voucher.expires_at).where(
    Voucher.id.in_(bindparam("ids", expanding=True)), Voucher.expires_at.is_not(None)
)


def customer_views(
    session: Session, run: Run, sight: Sight, customer_ids: Sequence[int]
) -> dict[int, CustomerView]:
    """Give what templates may know of customers."""
    facts = condition_facts(
        session,
        list(set(customer_ids)),
        now=run.now,
        zone=run.zone,
        currency=run.currency,
        fields=("purchases", "last_product"),
    )
    return {id_: _view(sight, id_, facts.get(id_, {})) for id_ in set(customer_ids)}


def _view(sight: Sight, customer_id: int, facts: Mapping[str, object]) -> CustomerView:
    person: PersonView = sight.persons[customer_id]
    bought_on: date | None = sight.bought_on.get(person.id)
    purchases, product = facts.get("purchases", 0), facts.get("last_product")
    return CustomerView(
        given_name=person.given_name,
        family_name=person.family_name,
        country=person.country,
        locale=person.locale,
        last_purchased_on=bought_on,
        purchases=purchases if isinstance(purchases, int) else 0,
        last_product=str(product) if product else None,
    )


def context_of(
    run: Run,
    view: CustomerView,
    *,
    campaign: Campaign,
    step: str,
    reason: str | None,
    carried: Carried | None,
    links: Links,
) -> Context:
    """Give all that the template of a step or an answer is told."""
    return build_context(
        customer=view,
        settings=run.business.settings,
        facts=run.facts,
        links=links,
        campaign=campaign.campaign,
        step=step,
        today=run.today,
        reason=reason,
        voucher=None if carried is None else _voucher_view(run, view, campaign, carried),
    )


def links_of(run: Run, message_id: int) -> Links:
    """Give the links of one message."""
    business = run.business
    return build_links(
        business.secret,
        business.settings.base_url,
        message_id=message_id,
        website=business.settings.business.website,
    )


def links_of_nothing(run: Run) -> Links:
    """Give the links of what is no message: a call or a letter has no page of its own."""
    website = run.business.settings.business.website
    return {
        "unsubscribe": None,
        "why": None,
        "reasons": {reason.value: "" for reason in Reason},
        "voucher": None,
        "shop": website,
        "referral": website,
    }


def _voucher_view(
    run: Run, view: CustomerView, campaign: Campaign, carried: Carried
) -> VoucherView:
    offer = campaign.offers[carried.offer]
    return VoucherView(
        code=carried.code,
        says=offer.says(run.currency, view.locale),
        expires_on=last_day(carried.expires_at, run.zone),
        minimum_spend=offer.minimum_spend,
    )


def write(run: Run, claimed: Claimed) -> Words:
    """Render a claimed message into what its provider takes; raises TemplateError."""
    settings = run.business.settings
    rendered = render(claimed.published, claimed.context, is_in_order=True)
    if claimed.channel is Channel.SMS:
        segments = count_segments(rendered.text).segments
        service = settings.sender.sms
        text = OutgoingText(
            send_id=claimed.send_id,
            to_number=claimed.point.address,
            body=rendered.text,
            messaging_service=service.messaging_service if service is not None else "",
            status_callback=settings.base_url + STATUS_PATH,
            valid_for_seconds=claimed.valid_for_seconds,
        )
        return Words(text, segments, settings.economics.sms_segment_cost * segments)
    sender = settings.sender.email
    reply_to = settings.business.support_email or sender.address
    if sender.reply_domain is not None:
        reply_to = reply_address(
            run.business.secret, sender.reply_domain, message_id=claimed.message_id
        )
    mail = OutgoingEmail(
        send_id=claimed.send_id,
        to_address=claimed.point.address,
        to_name=claimed.name,
        from_name=sender.name,
        from_address=sender.address,
        reply_to=reply_to,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers=email_headers(claimed.context["links"]["unsubscribe"]),
        categories=(claimed.campaign, claimed.step),
    )
    return Words(mail, None, settings.economics.email_cost)


def name_of(view: CustomerView) -> str | None:
    """Give the name that stands beside an address, on one line; None where none is known."""
    from_names = " ".join(filter(None, (view.given_name, view.family_name)))
    kept: Any = " ".join(from_names.split())
    return kept or None
