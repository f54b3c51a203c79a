"""A made-up customer and business, for dry renderings: lint, the studio, the golden tests."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from winback.messages.context import Context, CustomerView, VoucherView, build_context
from winback.messages.links import build_links, short_links
from winback.settings import Settings

SAMPLE_CODE: Final = "SAMPLE-0000-CODE"
SAMPLE_DAY: Final = date(2026, 3, 2)
_SECRET: Final = "only for samples"  # noqa: S105 - signs links that lead nowhere
_BASE_URL: Final = "https://win.example.com"

ADA: Final = CustomerView(
    given_name="Ada",
    family_name="Byron",
    country="GB",
    locale="en-GB",
    last_purchased_on=date(2025, 9, 2),
    purchases=3,
    last_product="olive oil",
)
NAMELESS: Final = replace(ADA, given_name=None, family_name=None, last_product=None, locale=None)
"""Of whom a source told as little as it may."""
AMERICAN: Final = replace(ADA, country="US", locale="en-US")

SAMPLE_SETTINGS: Final = Settings.model_validate(
    {
        "business": {
            "name": "Olive & Oak",
            "postal_address": "12 Mill Lane, Bristol BS1 4XY, United Kingdom",
            "country": "GB",
            "time_zone": "Europe/London",
            "currency": "GBP",
            "website": "https://shop.example.com",
            "support_email": "help@example.com",
        },
        "sender": {
            "email": {
                "name": "Anna at Olive & Oak",
                "address": "anna@example.com",
                "reply_domain": "reply.example.com",
            }
        },
    }
)


def sample_voucher(*, minimum_spend: Decimal | None = Decimal(30)) -> VoucherView:
    """Give a voucher whose code says that it is none."""
    return VoucherView(
        code=SAMPLE_CODE,
        says="15% off",
        expires_on=SAMPLE_DAY + timedelta(days=21),
        minimum_spend=minimum_spend,
    )


def sample_context(
    facts: Mapping[str, Any],
    *,
    customer: CustomerView = ADA,
    campaign: str = "six-month",
    step: str = "concern",
    voucher: VoucherView | None = None,
    is_short: bool = False,
    reason: str | None = None,
) -> Context:
    """Give the context of a message that is never sent; ``is_short`` shortens links for texts."""
    website = SAMPLE_SETTINGS.business.website
    links = build_links(_SECRET, _BASE_URL, message_id=1, website=website)
    if is_short:
        links, _ = short_links(_SECRET, _BASE_URL, message_id=1, links=links)
    return build_context(
        customer=customer,
        settings=SAMPLE_SETTINGS,
        facts=facts,
        links=links,
        campaign=campaign,
        step=step,
        today=SAMPLE_DAY,
        reason=reason,
        voucher=voucher,
    )
