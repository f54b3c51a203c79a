"""Render the newest edit of a template as one customer would get it; writes and burns nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.database.tables import Customer, Purchase
from winback.errors import ConfigError, Mistake
from winback.messages.compiling import compile_template
from winback.messages.context import Context, CustomerView, VoucherView, build_context
from winback.messages.headers import email_headers
from winback.messages.links import build_links, reply_address, short_links
from winback.messages.mistakes import mistakes_of
from winback.messages.positions import Position, positions_of
from winback.messages.rendering import render
from winback.messages.sample import SAMPLE_CODE
from winback.messages.segments import Segments, count_segments
from winback.messages.shelf import Shelf
from winback.messages.templates import Rendered, Source
from winback.settings import Settings
from winback.states import Channel, PurchaseKind
from winback.yaml_files import nearest

NO_MESSAGE = 0
"""The message that links of a preview speak of: none has this id, so they do nothing."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """What a preview shows."""

    source: Source
    position: Position
    rendered: Rendered
    headers: Mapping[str, str]
    segments: Segments | None
    """Of a text; None else."""
    has_sample_code: bool
    has_sample_links: bool
    """It shows links of its own, which lead to no message."""
    mistakes: tuple[Mistake, ...]
    """What keeps this edit from going live."""


def preview(
    session: Session,
    shelf: Shelf,
    *,
    settings: Settings,
    secret: str,
    template: str,
    customer_id: int,
    now: datetime,
    campaign: str | None = None,
    channel: Channel | None = None,
    variant: str | None = None,
) -> Previewed:
    """Render a template, named by itself or by its step, for one customer.

    Raises ConfigError where the template cannot be found, FileMistakes where the edit
    cannot be compiled, TemplateError where it cannot be rendered for this customer.
    """
    of = _campaign(shelf, campaign)
    name = _template(shelf, of, template)
    view = customer_view(session, customer_id)
    source = _source(shelf, of, name, channel=channel, locale=view.locale, variant=variant)
    position = _position(of, template, name, channel=source.channel)
    compiled = compile_template(source)
    context = _context(
        of, position, settings=settings, shelf=shelf, view=view, secret=secret, now=now
    )
    rendered = render(compiled.unpublished(), context)
    is_text = source.channel is Channel.SMS
    shown = f"{rendered.subject}{rendered.html}{rendered.text}"
    return Previewed(
        source=source,
        position=position,
        rendered=rendered,
        headers=_headers(settings, context, secret) if source.channel is Channel.EMAIL else {},
        segments=count_segments(rendered.text) if is_text else None,
        has_sample_code=SAMPLE_CODE in shown,
        has_sample_links=_has_own_links(context, shown, settings.base_url),
        mistakes=mistakes_of(shelf, source),
    )


def _has_own_links(context: Context, shown: str, base_url: str) -> bool:
    own = [link for link in context["links"].values() if str(link).startswith(f"{base_url}/")]
    return any(link in shown for link in own)


def customer_view(session: Session, customer_id: int) -> CustomerView:
    """Give what templates may know of one customer."""
    customer = session.get_one(Customer, customer_id)
    product = session.scalar(
        select(Purchase.product)
        .where(Purchase.customer_id == customer_id, Purchase.kind == PurchaseKind.SALE)
        .order_by(Purchase.purchased_at.desc(), Purchase.id.desc())
        .limit(1)
    )
    return CustomerView(
        given_name=customer.given_name,
        family_name=customer.family_name,
        country=customer.country,
        locale=customer.locale,
        last_purchased_on=customer.last_purchased_on,
        purchases=customer.purchase_count,
        last_product=product,
    )


def _campaign(shelf: Shelf, named: str | None) -> Campaign:
    names = [one.campaign for one in shelf.campaigns]
    if named is None and len(names) == 1:
        return shelf.campaigns[0]
    found = shelf.campaign(named or "")
    if found is None:
        raise ConfigError(
            f"no campaign is called {named!r}: {nearest(named, names)}"
            if named
            else f"which campaign? add --campaign; {nearest('', names)}"
        )
    return found


def _template(shelf: Shelf, campaign: Campaign, named: str) -> str:
    """Give the template's own name for a template's or a step's name."""
    templates = {source.template for source in shelf.sources.values()}
    if named in {one for one in templates if _has(shelf, campaign, one)}:
        return named
    if named in campaign.message_names():
        return campaign.message(named).template
    known = sorted({*campaign.message_names(), *templates})
    raise ConfigError(f"no template is called {named!r}: {nearest(named, known)}")


def _has(shelf: Shelf, campaign: Campaign, template: str) -> bool:
    return any(key[:2] == (campaign.campaign, template) for key in shelf.sources)


def _source(
    shelf: Shelf,
    campaign: Campaign,
    template: str,
    *,
    channel: Channel | None,
    locale: str | None,
    variant: str | None,
) -> Source:
    channels = [channel] if channel else _channels(campaign, template)
    for wanted in channels:
        found = shelf.find(campaign.campaign, template, wanted, locale)
        chosen = [source for source in found if variant in (None, source.variant)]
        if chosen:
            return chosen[0]
    what = f" for {channel}" if channel else ""
    raise ConfigError(f"templates/{campaign.campaign}/{template} has no such file{what}")


def _channels(campaign: Campaign, template: str) -> Sequence[Channel]:
    used = [
        channel
        for name in campaign.message_names()
        if (message := campaign.message(name)).template == template
        for channel in message.channels
    ]
    return (*used, *Channel)


def _position(campaign: Campaign, named: str, template: str, *, channel: Channel) -> Position:
    positions = positions_of(campaign, template, channel)
    for position in positions:
        if position.name == named:
            return position
    return positions[0] if positions else Position(template, channel, may_have_voucher=True)


def _context(
    campaign: Campaign,
    position: Position,
    *,
    settings: Settings,
    shelf: Shelf,
    view: CustomerView,
    secret: str,
    now: datetime,
) -> Context:
    base = settings.base_url
    links = build_links(secret, base, message_id=NO_MESSAGE, website=settings.business.website)
    if position.channel is Channel.SMS:
        links, _ = short_links(secret, base, message_id=NO_MESSAGE, links=links)
    return build_context(
        customer=view,
        settings=settings,
        facts=shelf.facts.plain(),
        links=links,
        campaign=campaign.campaign,
        step=position.name,
        today=local_date(now, settings.business.zone),
        voucher=_sample(campaign, position, settings, view=view, now=now),
    )


def _sample(
    campaign: Campaign,
    position: Position,
    settings: Settings,
    *,
    view: CustomerView,
    now: datetime,
) -> VoucherView | None:
    """Give a voucher with the offer's true words, the expiry of today's send, and no real code."""
    if not position.may_have_voucher or not campaign.offers:
        return None
    own = campaign.message(position.name).offer if position.has_offer else None
    earlier = [step.offer for step in campaign.steps if step.offer]
    offer = campaign.offers[own or (earlier or list(campaign.offers))[0]]
    return VoucherView(
        code=SAMPLE_CODE,
        says=offer.says(settings.business.currency, view.locale),
        expires_on=offer.valid_for.after(local_date(now, settings.business.zone)),
        minimum_spend=offer.minimum_spend,
    )


def _headers(settings: Settings, context: Context, secret: str) -> Mapping[str, str]:
    sender = settings.sender.email
    reply_to = settings.business.support_email or sender.address
    if sender.reply_domain:
        reply_to = reply_address(secret, sender.reply_domain, message_id=NO_MESSAGE)
    return {
        "From": f"{sender.name} <{sender.address}>",
        "Reply-To": reply_to,
        **email_headers(str(context["links"]["unsubscribe"])),
    }
