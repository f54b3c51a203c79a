"""``/v/TOKEN``: the code, what it gives, its true last day, and how to use it (promise P5)."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlsplit

from babel.dates import format_date
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from winback.campaign.versions import campaign_of_version
from winback.clock import local_date
from winback.database.tables import Enrollment, Message, Voucher
from winback.states import VoucherState
from winback.web.page import date_locale
from winback.web.reader import Reader, find_reader
from winback.web.serving import Served, Serving

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page tells of a voucher."""

    state: str
    """issued, redeemed, expired or voided."""
    code: str
    says: str
    last_day: str
    minimum_spend: Decimal | None


@router.api_route("/v/{token}", methods=["GET", "HEAD"])
def show_voucher(token: str, serving: Served) -> HTMLResponse:
    """Show the voucher of a message; changes nothing. Without one: as for an unknown token."""
    reader = find_reader(serving, "voucher", token)
    shown = _look_up(serving, reader) if reader else None
    if reader is None or shown is None:
        return serving.pages.show("unknown", status=404)
    website = serving.business.settings.business.website
    is_safe = website is not None and urlsplit(website).scheme in ("http", "https")
    return serving.pages.show(
        "voucher", locale=reader.locale, voucher=shown, website=website if is_safe else None
    )


def _look_up(serving: Serving, reader: Reader) -> Shown | None:
    with serving.reading() as session:
        row = session.execute(
            select(Voucher, Enrollment.campaign_version_id)
            .join(Message, Message.voucher_id == Voucher.id)
            .join(Enrollment, Enrollment.id == Message.enrollment_id)
            .where(Message.id == reader.message_id, Voucher.expires_at.is_not(None))
        ).one_or_none()
        if row is None:
            return None
        voucher: Voucher = row.Voucher
        offer = campaign_of_version(session, row.campaign_version_id).offers.get(voucher.offer)
    if offer is None or voucher.expires_at is None:
        return None
    about = serving.business.settings.business
    written = date_locale(reader.locale, about.country)
    # ``expires_at`` is the first instant at which it is over: the day before is the last one.
    last_day = local_date(voucher.expires_at - timedelta(microseconds=1), serving.business.zone)
    state = voucher.state.value
    if voucher.state is VoucherState.ISSUED and voucher.expires_at <= serving.now():
        state = "expired"
    return Shown(
        state=state,
        code=voucher.code,
        says=offer.says(about.currency, str(written).replace("_", "-")),
        last_day=format_date(last_day, "full", locale=written),
        minimum_spend=offer.minimum_spend,
    )
