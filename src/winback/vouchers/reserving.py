"""Bind codes to enrollments, issue them with the claim, give them back when nothing was sent.

All functions work in the caller's transaction: reserving happens where the message is queued,
issuing where it is claimed (FACTS.md DS-12). Every move is a guarded update with a history row.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Integer, Row, Select, bindparam, exists, func, select
from sqlalchemy.orm import Session, aliased

from winback.campaign.schema import Campaign
from winback.clock import day_start, local_date
from winback.database.tables import Enrollment, Message, Voucher, table_of
from winback.periods import Period
from winback.states import OPEN_ENROLLMENTS, MessageState, VoucherState
from winback.vouchers.codes import Rng
from winback.vouchers.machine import VoucherEvent
from winback.vouchers.making import lock_stock, make_codes, top_up
from winback.vouchers.moving import move_vouchers

Pair = tuple[int, str]
"""An enrollment and the offer that it shall get."""

_CHUNK = 5_000
_ON_ITS_WAY = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class NotExported:
    """There are codes, or they can be made, but the shop does not know them yet: postpone."""

    offer: str


@dataclass(frozen=True, slots=True)
class RunOut:
    """No code is left: the step is skipped and the owner told."""

    offer: str


@dataclass(frozen=True, slots=True)
class UsedUp:
    """The enrollment's one code of this offer is redeemed, expired or voided: no second one."""

    offer: str


Answer = int | NotExported | RunOut | UsedUp
"""The voucher's id, or why there is none."""


def expiry_of(claimed_at: datetime, valid_for: Period, zone: ZoneInfo) -> datetime:
    """Give the end, exclusive, of the business's local day ``valid_for`` after the claim's."""
    last_day = valid_for.after(local_date(claimed_at, zone))
    return day_start(last_day + timedelta(days=1), zone)


def reserve(
    session: Session,
    *,
    enrollment_id: int,
    campaign: Campaign,
    offer: str,
    now: datetime,
    must_be_exported: bool,
    rng: Rng | None = None,
) -> Answer:
    """Reserve the one voucher of an enrollment and an offer, or give the one it has.

    ``must_be_exported`` is true in modes test and live. With an ``rng`` codes that lack are made on
    the spot.
    """
    pair = (enrollment_id, offer)
    answers = reserve_many(
        session, [pair], campaign=campaign, now=now, must_be_exported=must_be_exported, rng=rng
    )
    return answers[pair]


def reserve_many(
    session: Session,
    pairs: Iterable[Pair],
    *,
    campaign: Campaign,
    now: datetime,
    must_be_exported: bool,
    rng: Rng | None = None,
) -> dict[Pair, Answer]:
    """Reserve for many enrollments of one campaign (version) at once; safe to repeat.

    The stock is filled for the terms of today. Who entered before an edit is given a code of the
    terms that they were promised: with an ``rng`` such codes are made here.
    """
    session.flush()
    answers: dict[Pair, Answer] = {}
    wanted: defaultdict[str, list[int]] = defaultdict(list)
    for enrollment_id, offer in dict.fromkeys(pairs):
        wanted[offer].append(enrollment_id)
    for offer, enrollment_ids in sorted(wanted.items()):
        lock_stock(session, campaign.campaign, offer)
        answers |= _kept(session, offer, enrollment_ids, now)
        new = [one for one in enrollment_ids if (one, offer) not in answers]
        ids = _pick(session, campaign, offer, count=len(new), must_be_exported=must_be_exported)
        missing = len(new) - len(ids)
        if missing and rng is not None and campaign.offers[offer].codes_from is None:
            if must_be_exported:
                # Not usable yet; all that may be given, so that one export is enough.
                top_up(session, campaign, offer, now=now, rng=rng)
            else:
                count = _within_limit(session, campaign, offer, missing, beside=len(ids))
                ids += make_codes(session, campaign, offer, count=count, now=now, rng=rng)
        _bind(session, ids, new, now)
        answers |= {(one, offer): id_ for one, id_ in zip(new, ids, strict=False)}
        if len(ids) < len(new):
            refusal = _why_none(session, campaign, offer, must_be_exported=must_be_exported)
            answers |= {(one, offer): refusal for one in new[len(ids) :]}
    return answers


def issue(
    session: Session,
    voucher_id: int,
    *,
    message_id: int,
    now: datetime,
    valid_for: Period,
    zone: ZoneInfo,
) -> datetime | None:
    """Issue a voucher in the transaction that claims a message; give its expiry, exclusive.

    A voucher that an earlier message issued keeps its expiry. None: it expired, was redeemed,
    voided or released, and nothing that carries it may be sent.
    """
    return issue_many(session, {message_id: (voucher_id, valid_for)}, now=now, zone=zone)[
        message_id
    ]


def issue_many(
    session: Session,
    carried: Mapping[int, tuple[int, Period]],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> dict[int, datetime | None]:
    """Issue the vouchers of many claimed messages: {message id: (voucher id, valid_for)}."""
    first: dict[int, int] = {}
    for message_id, (voucher_id, _) in carried.items():
        first.setdefault(voucher_id, message_id)
    move_vouchers(
        session,
        VoucherEvent.ISSUED,
        [
            {
                "id": voucher_id,
                "issued_at": now,
                "issued_by": message_id,
                "expires_at": expiry_of(now, carried[message_id][1], zone),
            }
            for voucher_id, message_id in first.items()
        ],
        now=now,
    )
    expiries = {
        row.id: row.expires_at
        for row in _rows(session, _BY_ID, list(first))
        if row.state is VoucherState.ISSUED and row.expires_at > now
    }
    return {message_id: expiries.get(voucher) for message_id, (voucher, _) in carried.items()}


def return_unsent(session: Session, voucher_id: int, message_id: int, now: datetime) -> bool:
    """Take an issue back, since the message that made it was surely not sent.

    Gives False, and changes nothing, when another message issued it or carried it away since.
    """
    other = aliased(Message)
    carried_away = exists().where(
        other.voucher_id == voucher_id,
        other.id != message_id,
        (other.state.in_((MessageState.SENDING, MessageState.UNCONFIRMED)))
        | other.accepted_at.is_not(None),
    )
    moved = move_vouchers(
        session,
        VoucherEvent.RETURNED,
        [{"id": voucher_id, "issued_at": None, "issued_by": None, "expires_at": None}],
        now=now,
        only_if=(Voucher.issued_by == message_id) & ~carried_away,
    )
    return bool(moved)


def release(session: Session, enrollment_id: int, now: datetime) -> int:
    """Free what an ended enrollment reserved and never sent; give how many.

    Call it after the enrollment's queued messages were canceled: what a live message carries
    stays reserved, and ``release_ended`` frees it later.
    """
    return release_many(session, [enrollment_id], now)


def release_many(session: Session, enrollment_ids: Sequence[int], now: datetime) -> int:
    """Free what these ended enrollments reserved and never sent, as ``release``."""
    unsent = session.connection().scalars(_UNSENT_OF, {"ids": enrollment_ids}).all()
    return _release(session, unsent, now)


def release_ended(session: Session, now: datetime) -> int:
    """Free every code that an ended enrollment still holds without need; give how many."""
    return _release(session, session.connection().scalars(_UNSENT_OF_ENDED).all(), now)


def _release(session: Session, ids: Sequence[int], now: datetime) -> int:
    nobody = {"enrollment_id": None, "reserved_at": None}
    rows = [{"id": id_} | nobody for id_ in ids]
    return len(move_vouchers(session, VoucherEvent.RELEASED, rows, now=now))


def _kept(
    session: Session, offer: str, enrollment_ids: list[int], now: datetime
) -> dict[Pair, Answer]:
    """Give what these enrollments were given before: one voucher per offer, for good."""
    kept: dict[Pair, Answer] = {}
    for row in _rows(session, _BY_ENROLLMENT, enrollment_ids):
        if row.offer != offer:
            continue
        is_usable = row.state is VoucherState.RESERVED or (
            row.state is VoucherState.ISSUED and row.expires_at > now
        )
        kept[row.enrollment_id, offer] = row.id if is_usable else UsedUp(offer)
    return kept


def _rows(session: Session, wanted: Select[Any], ids: Sequence[int]) -> Iterator[Row[Any]]:
    for start in range(0, len(ids), _CHUNK):
        yield from session.connection().execute(wanted, {"ids": ids[start : start + _CHUNK]})


def _pick(
    session: Session, campaign: Campaign, name: str, *, count: int, must_be_exported: bool
) -> list[int]:
    """Choose free codes that fit the offer's terms, never beyond its limit."""
    count = _within_limit(session, campaign, name, count)
    if count <= 0:
        return []
    free = _FREE_AND_KNOWN if must_be_exported else _FREE
    return list(session.connection().scalars(free, _free_of(campaign, name, count=count)))


def _within_limit(
    session: Session, campaign: Campaign, name: str, count: int, *, beside: int = 0
) -> int:
    """Give how many of ``count`` codes an offer's limit allows ``beside`` so many others."""
    limit = campaign.offers[name].codes
    if limit is None:
        return count
    return min(count, limit - _given(session, campaign.campaign, name) - beside)


def _bind(session: Session, ids: list[int], enrollment_ids: list[int], now: datetime) -> None:
    move_vouchers(
        session,
        VoucherEvent.RESERVED,
        [
            {"id": id_, "enrollment_id": enrollment_id, "reserved_at": now}
            for id_, enrollment_id in zip(ids, enrollment_ids, strict=False)
        ],
        now=now,
    )


def _why_none(
    session: Session, campaign: Campaign, name: str, *, must_be_exported: bool
) -> NotExported | RunOut:
    offer = campaign.offers[name]
    if offer.has_no_limit:
        return NotExported(name)
    is_over = offer.codes is not None and _given(session, campaign.campaign, name) >= offer.codes
    waits = must_be_exported and session.connection().scalar(
        _FREE, _free_of(campaign, name, count=1)
    )
    return NotExported(name) if waits and not is_over else RunOut(name)


def is_known_to_shop() -> ColumnElement[bool]:
    """Give the condition that the shop can honor a code: exported, or its own."""
    return Voucher.exported_at.is_not(None) | Voucher.is_imported


def _free_of(campaign: Campaign, name: str, *, count: int) -> dict[str, Any]:
    terms = campaign.offers[name].terms
    return {"of": campaign.campaign, "name": name, "terms_now": terms, "count": count}


def _given(session: Session, campaign: str, name: str) -> int:
    """Count the codes that are bound or were: the limit is over all versions of an offer."""
    return session.connection().scalars(_GIVEN, {"of": campaign, "name": name}).one()


# Built once: putting a statement together costs more than the database needs to answer it.
_TABLE: Final = table_of(Voucher)
_VOUCHERS: Final = _TABLE.c
_STATES: Final = select(
    _VOUCHERS.id,
    _VOUCHERS.enrollment_id,
    _VOUCHERS.offer,
    _VOUCHERS.state,
    _VOUCHERS.expires_at,
)
_BY_ID: Final = _STATES.where(_VOUCHERS.id.in_(bindparam("ids", expanding=True)))
_BY_ENROLLMENT: Final = _STATES.where(_VOUCHERS.enrollment_id.in_(bindparam("ids", expanding=True)))
_OF_OFFER: Final = (_VOUCHERS.campaign == bindparam("of")) & (_VOUCHERS.offer == bindparam("name"))
# A code that the till knows as 15% is not sent as 20% after an edit (DESIGN.md, P5, P6).
_FREE: Final = (
    select(_VOUCHERS.id)
    .where(
        _OF_OFFER,
        _VOUCHERS.state == VoucherState.FREE,
        (_VOUCHERS.terms == bindparam("terms_now")) | _VOUCHERS.is_imported,
    )
    .order_by(_VOUCHERS.id)
    .limit(bindparam("count", type_=Integer))
)
_FREE_AND_KNOWN: Final = _FREE.where(_VOUCHERS.exported_at.is_not(None) | _VOUCHERS.is_imported)
_GIVEN: Final = (
    select(func.count()).select_from(_TABLE).where(_OF_OFFER, _VOUCHERS.state != VoucherState.FREE)
)
_IS_CARRIED: Final = exists().where(
    # Implied by the next line; it is what the index knows.
    Message.enrollment_id == _VOUCHERS.enrollment_id,
    Message.voucher_id == _VOUCHERS.id,
    # Also what was called not sent, until late evidence told otherwise: somebody has the code.
    Message.state.in_(_ON_ITS_WAY) | Message.accepted_at.is_not(None),
)
_UNSENT: Final = select(_VOUCHERS.id).where(_VOUCHERS.state == VoucherState.RESERVED, ~_IS_CARRIED)
_UNSENT_OF: Final = _UNSENT.where(_VOUCHERS.enrollment_id.in_(bindparam("ids", expanding=True)))
_IS_OPEN: Final = exists().where(
    Enrollment.id == _VOUCHERS.enrollment_id, Enrollment.state.in_(OPEN_ENROLLMENTS)
)
_UNSENT_OF_ENDED: Final = _UNSENT.where(_VOUCHERS.enrollment_id.is_not(None), ~_IS_OPEN)
