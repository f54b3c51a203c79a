"""Write the codes that the till must know before they are sent.

Cells that a spreadsheet would take for a formula are made plain text (FACTS.md SEC-19).
"""

import csv
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TextIO

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from winback.campaign.offers import Offer
from winback.campaign.schema import Campaign
from winback.database.tables import Voucher
from winback.states import VoucherState

HEADER: Final = (
    "code",
    "campaign",
    "offer",
    "gives",
    "at_the_till",
    "minimum_spend",
    "currency",
    "valid_for",
    "expires_at",
)
_LIVING: Final = (VoucherState.FREE, VoucherState.RESERVED, VoucherState.ISSUED)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
_CHUNK: Final = 5_000


def export_codes(
    session: Session,
    file: TextIO,
    *,
    campaigns: Sequence[Campaign],
    currency: str,
    now: datetime,
    only_new: bool = False,
    campaign: str | None = None,
    offer: str | None = None,
) -> int:
    """Write codes as CSV and mark them exported in the caller's transaction; give how many.

    All codes that can still be used are written, or with ``only_new`` those never written
    before. The shop's own codes are not: it knows them. Commit only when the file is safe: what
    is marked may be sent.
    """
    query = select(Voucher).where(~Voucher.is_imported, Voucher.state.in_(_LIVING))
    if only_new:
        query = query.where(Voucher.exported_at.is_(None))
    if campaign is not None:
        query = query.where(Voucher.campaign == campaign)
    if offer is not None:
        query = query.where(Voucher.offer == offer)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(HEADER)
    offers = {
        (one.campaign, name, kept.terms): kept
        for one in campaigns
        for name, kept in one.offers.items()
    }
    written: list[int] = []
    rows = session.scalars(query.order_by(Voucher.id).execution_options(yield_per=_CHUNK))
    for voucher in rows:
        key = (voucher.campaign, voucher.offer, voucher.terms)
        if key not in offers:
            offers[key] = _of_terms(voucher.terms)
        writer.writerow(safe_cell(cell) for cell in _cells(voucher, offers[key], currency))
        written.append(voucher.id)
    # By id, not by the query again: what was made meanwhile is in no file.
    for start in range(0, len(written), _CHUNK):
        session.execute(
            update(Voucher)
            .where(Voucher.id.in_(written[start : start + _CHUNK]), Voucher.exported_at.is_(None))
            .values(exported_at=now)
            .execution_options(synchronize_session=False)
        )
    return len(written)


def offer_of(voucher: Voucher, campaigns: Sequence[Campaign]) -> Offer | None:
    """Give the offer that a code was made for: the one on file, or as it was before an edit.

    None for a code of the shop's own whose offer is on file no more.
    """
    for campaign in campaigns:
        offer = campaign.offers.get(voucher.offer)
        if campaign.campaign == voucher.campaign and offer is not None:
            return offer if voucher.terms in ("", offer.terms) else _of_terms(voucher.terms)
    return _of_terms(voucher.terms) if voucher.terms else None


def safe_cell(text: str) -> str:
    """Give a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.strip(" ").startswith(_FORMULA) else text


def _of_terms(terms: str) -> Offer:
    """Rebuild an offer that was edited since; how long it was valid is no longer known."""
    return Offer.model_validate(json.loads(terms) | {"valid_for": "1 day"})


def _cells(voucher: Voucher, offer: Offer, currency: str) -> tuple[str, ...]:
    return (
        voucher.code,
        voucher.campaign,
        voucher.offer,
        offer.says(currency, None),
        offer.honored_by(currency, None),
        "" if offer.minimum_spend is None else str(offer.minimum_spend),
        currency,
        str(offer.valid_for),
        "" if voucher.expires_at is None else voucher.expires_at.isoformat(),
    )
