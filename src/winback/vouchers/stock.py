"""Keep enough codes in stock, and tell when they run low."""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from winback.campaign.offers import Offer
from winback.campaign.schema import Campaign
from winback.database.tables import SourceWatermark, Voucher
from winback.errors import FileMistakes, Mistake
from winback.states import VoucherState
from winback.vouchers.codes import LONGEST, Rng, normalize_code
from winback.vouchers.making import import_codes, top_up
from winback.vouchers.reserving import is_known_to_shop

LOW_SHARE: Final = 10
"""Low is less than one in so many of all codes free and usable ..."""
LOW_DAYS: Final = 7
"""... or fewer than were given in so many days."""
_COUNTED: Final = (*(state.value for state in VoucherState), "expired", "usable")
_HEADERS: Final = ("code", "codes", "voucher", "coupon")


@dataclass(frozen=True, slots=True)
class StockLine:
    """The codes of one offer, by state."""

    campaign: str
    offer: str
    free: int
    reserved: int
    issued: int
    redeemed: int
    voided: int
    expired: int
    """Of the issued ones, those that nobody used in time."""
    usable: int
    """Of the free ones, those that may be sent: outside the sandbox, known to the shop."""
    is_low: bool


def fill(session: Session, campaign: Campaign, *, now: datetime, rng: Rng, home: Path) -> int:
    """Bring every offer's stock up to its limit; give how many codes were made or imported.

    Raises FileMistakes when a file of ``codes_from`` cannot be read. Safe to repeat, and by two
    processes at once; an unchanged file is not read twice.
    """
    made = 0
    session.flush()
    for name, offer in sorted(campaign.offers.items()):
        if offer.codes_from is not None:
            made += _import_pool(
                session, (campaign.campaign, name), home, offer.codes_from, now=now
            )
        else:
            made += top_up(session, campaign, name, now=now, rng=rng)
    return made


def read_pool(path: Path, *, shown_as: str) -> Iterator[str]:
    """Give the codes of a shop's pool: a text or CSV file, one a line, in the first column.

    A header named code is passed over. Raises FileMistakes with every line that is no code, or
    whose code stands there twice.
    """
    mistakes: list[Mistake] = []
    codes: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.reader(file), start=1):
                code = row[0].strip() if row else ""
                if not code or (line == 1 and code.lower() in _HEADERS):
                    continue
                key = normalize_code(code)
                if not key or len(code) > LONGEST or not code.isprintable():
                    mistakes.append(
                        Mistake(shown_as, line, "no code", f"write up to {LONGEST} characters")
                    )
                elif key in codes:
                    mistakes.append(Mistake(shown_as, line, "this code stands here twice", ""))
                codes[key] = code
    except (FileNotFoundError, IsADirectoryError):
        mistakes.append(Mistake(shown_as, 1, "this file is missing", "create it, one code a line"))
    except (UnicodeDecodeError, csv.Error):
        mistakes.append(
            Mistake(shown_as, 1, "not a text file", "save it as UTF-8, one code a line")
        )
    if mistakes:
        raise FileMistakes(mistakes)
    return iter(codes.values())


def pool_mistakes(
    home: Path, campaigns: Sequence[Campaign], also: Iterable[str] = ()
) -> list[Mistake]:
    """Give the mistakes of every file of ``codes_from``, and of others, for ``winback check``."""
    files = {*also} | {
        offer.codes_from
        for campaign in campaigns
        for offer in campaign.offers.values()
        if offer.codes_from is not None
    }
    mistakes: list[Mistake] = []
    for file in sorted(files):
        try:
            read_pool(home / file, shown_as=file)
        except FileMistakes as found:
            mistakes += found.mistakes
    return mistakes


def _import_pool(
    session: Session, key: tuple[str, str], home: Path, file: str, *, now: datetime
) -> int:
    campaign, offer = key
    path = home / file
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    fingerprint = hashlib.sha256(f"{offer}/".encode() + content).hexdigest()
    seen = session.scalars(
        select(SourceWatermark).where(
            SourceWatermark.source == campaign,
            SourceWatermark.part == "codes",
            SourceWatermark.path == f"{offer}/{file}",
        )
    ).one_or_none()
    if seen is not None and seen.fingerprint == fingerprint:
        return 0
    new = import_codes(session, campaign, offer, read_pool(path, shown_as=file), now=now)
    if seen is None:
        seen = SourceWatermark(source=campaign, part="codes", path=f"{offer}/{file}")
        session.add(seen)
    seen.fingerprint, seen.pulled_at = fingerprint, now
    session.flush()
    return new


def stock(
    session: Session, campaigns: Sequence[Campaign], *, now: datetime, must_be_exported: bool
) -> tuple[StockLine, ...]:
    """Count the codes of every offer, also of those that no campaign file describes any more.

    ``must_be_exported`` is true in modes test and live.
    """
    offers = {
        (campaign.campaign, name): offer
        for campaign in campaigns
        for name, offer in campaign.offers.items()
    }
    counted = {
        (row.campaign, row.offer): row
        for row in session.execute(_counts(now, must_be_exported=must_be_exported))
    }
    lines = []
    for key in sorted(offers.keys() | counted.keys()):
        row = counted.get(key)
        numbers: dict[str, Any] = {name: getattr(row, name, 0) for name in _COUNTED}
        campaign, name = key
        is_low = key in offers and _is_low(
            offers[key],
            numbers,
            given_lately=getattr(row, "given_lately", 0),
            must_be_exported=must_be_exported,
        )
        lines.append(StockLine(campaign=campaign, offer=name, is_low=is_low, **numbers))
    return tuple(lines)


def _is_low(
    offer: Offer, numbers: Mapping[str, int], *, given_lately: int, must_be_exported: bool
) -> bool:
    if offer.has_no_limit and not must_be_exported:
        return False
    made = sum(numbers[state] for state in VoucherState)
    ready = numbers["usable"]
    if offer.codes is not None and not must_be_exported:
        # What is not made yet is made with the next send.
        ready += max(offer.codes - made, 0)
    return not ready or ready < given_lately or ready * LOW_SHARE < (offer.codes or made)


def _counts(now: datetime, *, must_be_exported: bool) -> Select[Any]:
    is_expired = (Voucher.state == VoucherState.ISSUED) & (Voucher.expires_at <= now)
    is_usable = Voucher.state == VoucherState.FREE
    if must_be_exported:
        is_usable &= is_known_to_shop()
    return select(
        Voucher.campaign,
        Voucher.offer,
        *(func.count().filter(Voucher.state == state).label(state) for state in VoucherState),
        func.count().filter(is_expired).label("expired"),
        func.count().filter(is_usable).label("usable"),
        func.count()
        .filter(Voucher.reserved_at > now - timedelta(days=LOW_DAYS))
        .label("given_lately"),
    ).group_by(Voucher.campaign, Voucher.offer)
