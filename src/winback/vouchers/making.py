"""Make codes, and import those of a shop's own pool."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import String, bindparam, func, insert, select
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.database.bulk import on_conflict
from winback.database.tables import Voucher, table_of
from winback.states import VoucherState
from winback.vouchers.codes import Rng, make_code, normalize_code

KEPT_WITHOUT_LIMIT: Final = 500
"""Free codes kept in stock for an offer without ``codes`` and without ``codes_from``."""

_CHUNK: Final = 1_000
_LOCKS: Final = 7_716_322
"""Our half of the name of an advisory lock; the other is the hash of the offer."""


def lock_stock(session: Session, campaign: str, offer: str) -> None:
    """Let one transaction at a time count, make and give codes of one offer.

    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_LOCK, {"stock": f"{campaign}/{offer}"})


def top_up(session: Session, campaign: Campaign, offer: str, *, now: datetime, rng: Rng) -> int:
    """Make all codes of an offer's terms that may still be given; give how many are new.

    The limit is over all terms that an offer had.
    """
    lock_stock(session, campaign.campaign, offer)
    written = campaign.offers[offer]
    asked = {"of": campaign.campaign, "name": offer, "terms_now": written.terms}
    given, free = session.connection().execute(_GIVEN_AND_FREE, asked).one()
    wanted = KEPT_WITHOUT_LIMIT if written.codes is None else written.codes - given
    return len(make_codes(session, campaign, offer, count=wanted - free, now=now, rng=rng))


def make_codes(
    session: Session, campaign: Campaign, offer: str, *, count: int, now: datetime, rng: Rng
) -> list[int]:
    """Make new free codes; give their ids, in order."""
    terms = campaign.offers[offer].terms
    ids: list[int] = []
    # A code that exists is as good as impossible; should it happen, another one is drawn.
    while (missing := count - len(ids)) > 0:
        codes = [make_code(rng) for _ in range(min(missing, _CHUNK))]
        rows = [
            _row(campaign.campaign, offer, code, now=now) | {"terms": terms, "is_imported": False}
            for code in codes
        ]
        ids += _insert(session, rows)
    return ids


def import_codes(
    session: Session, campaign: str, offer: str, codes: Iterable[str], *, now: datetime
) -> int:
    """Take codes of the shop's own pool; give how many were new. Safe to repeat."""
    new = 0
    remaining = iter(codes)
    while chunk := list(islice(remaining, _CHUNK)):
        rows = {
            normalize_code(code): _row(campaign, offer, code, now=now)
            | {"terms": "", "is_imported": True}
            for code in chunk
        }
        new += len(_insert(session, list(rows.values())))
    return new


def _row(campaign: str, offer: str, code: str, *, now: datetime) -> dict[str, Any]:
    return {
        "campaign": campaign,
        "offer": offer,
        "code": code,
        "code_key": normalize_code(code),
        "state": VoucherState.FREE,
        "made_at": now,
    }


def _insert(session: Session, rows: Sequence[dict[str, Any]]) -> list[int]:
    return sorted(session.connection().scalars(_INSERT, rows))


_LOCK: Final = select(
    func.pg_advisory_xact_lock(_LOCKS, func.hashtext(bindparam("stock", type_=String)))
)
_VOUCHERS: Final = table_of(Voucher).c
_GIVEN_AND_FREE: Final = select(
    func.count().filter(_VOUCHERS.state != VoucherState.FREE),
    func.count().filter(
        _VOUCHERS.state == VoucherState.FREE, _VOUCHERS.terms == bindparam("terms_now")
    ),
).where(_VOUCHERS.campaign == bindparam("of"), _VOUCHERS.offer == bindparam("name"))
_INSERT: Final = on_conflict(insert(table_of(Voucher)), "code_key").returning(
    table_of(Voucher).c.id
)
