"""The names that templates see: plain data that JSON can carry, explained in docs/templates.md.

What is built here is stored with the message, so that the message can be reproduced exactly.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from winback.clock import local_date
from winback.messages.links import Links
from winback.settings import Settings

Context = dict[str, Any]
_MICROSECOND: Final = timedelta(microseconds=1)
_FROM: Final = re.compile(r"\s+(?:at|from|of|von|bei|de|chez|da|di)\s+|\s*[,|/(]\s*")


@dataclass(frozen=True, slots=True)
class CustomerView:
    """What templates may know of a customer."""

    given_name: str | None
    family_name: str | None
    country: str | None
    locale: str | None
    last_purchased_on: date | None
    purchases: int
    last_product: str | None


@dataclass(frozen=True, slots=True)
class VoucherView:
    """What templates may know of the voucher that a message carries."""

    code: str
    says: str
    """The words of the offer in the customer's locale (``Offer.says``)."""
    expires_on: date
    """The last local day on which it can be used, see ``last_day``."""
    minimum_spend: Decimal | None = None


def build_context(
    *,
    customer: CustomerView,
    settings: Settings,
    facts: Mapping[str, Any],
    links: Links,
    campaign: str,
    step: str,
    today: date,
    reason: str | None = None,
    voucher: VoucherView | None = None,
) -> Context:
    """Give all that a template is told, as plain JSON: dates as ISO text, amounts as text.

    ``facts`` is ``Facts.plain()``, ``today`` the business's local date of the claim. Keys are
    always there; what is unknown is None, so that ``{% if voucher %}`` can ask. They are in order,
    where those of ``facts`` are.
    """
    return {
        "business": _business(settings),
        "campaign": campaign,
        "customer": _customer(customer, today),
        "facts": dict(facts),
        "links": dict(links),
        "reason": reason,
        "step": step,
        "today": today.isoformat(),
        "voucher": None if voucher is None else _voucher(voucher, links),
    }


def in_order(values: Mapping[str, Any]) -> Context:
    """Give a context with the keys of all that it holds in order.

    JSONB gives keys back in an order of its own: a loop over them must not depend on it.
    """
    return {
        key: in_order(value) if type(value := values[key]) is dict else value
        for key in sorted(values)
    }


def last_day(expires_at: datetime, zone: ZoneInfo) -> date:
    """Give the last local day of something that ends, exclusively, at an instant."""
    return local_date(expires_at - _MICROSECOND, zone)


def clean_name(name: str | None) -> str:
    """Give a name fit for a greeting: one line, no control characters, not all in capitals."""
    kept = name or ""
    # What is printable has no control characters: nearly every name.
    if not kept.isprintable():
        kept = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in kept)
    kept = " ".join(kept.split())[:80]
    shouts = len(kept) > 1 and kept in (kept.upper(), kept.lower()) and kept.upper() != kept.lower()
    return kept.title() if shouts else kept


def _customer(customer: CustomerView, today: date) -> Context:
    given_name = clean_name(customer.given_name)
    bought_on = customer.last_purchased_on
    return {
        "country": customer.country or "",
        "days_since_last_purchase": (today - bought_on).days if bought_on else None,
        "family_name": clean_name(customer.family_name),
        "given_name": given_name,
        "greeting_name": given_name,
        "last_product": clean_product(customer.last_product),
        "last_purchased_on": bought_on.isoformat() if bought_on else None,
        "locale": customer.locale or "",
        "purchases": customer.purchases,
    }


def clean_product(product: str | None) -> str | None:
    """Give a product's name on one line, None when there is none."""
    kept = " ".join((product or "").split())[:120]
    if not kept.isprintable():
        kept = "".join(c for c in kept if c.isprintable())
    return kept or None


def _business(settings: Settings) -> Context:
    business, sender = settings.business, settings.sender.email
    return {
        "country": business.country,
        "currency": business.currency,
        "name": business.name,
        "postal_address": business.postal_address,
        "sender_name": sender.name,
        "signature": _FROM.split(sender.name, maxsplit=1)[0].strip() or sender.name,
        "support_email": business.support_email or sender.address,
        "website": business.website,
    }


def _voucher(voucher: VoucherView, links: Links) -> Context:
    return {
        "code": voucher.code,
        "expires_on": voucher.expires_on.isoformat(),
        "minimum_spend": None if voucher.minimum_spend is None else str(voucher.minimum_spend),
        "says": voucher.says,
        "url": links["voucher"],
    }
