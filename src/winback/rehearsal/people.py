"""Whom a rehearsal must know: everyone for whom something may come due in the days it plays.

Rather too many than too few: the stages themselves decide on the copy, and whoever is copied in
vain only costs the copying. Whoever is not copied can neither enter nor get a message then.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Select, bindparam, exists, or_, select
from sqlalchemy.orm import Session, aliased

from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.customers.consent import contactable_condition
from winback.database.tables import (
    ContactPoint,
    Customer,
    Enrollment,
    Message,
    Refusal,
    Voucher,
)
from winback.enrollment.eligibility import usable_channels
from winback.lapse.query import LAPSED, lapse_parameters
from winback.lapse.rule import cutoff, too_long_ago_cutoff
from winback.states import OPEN_ENROLLMENTS, EnrollmentState, MessageState, VoucherState

CHUNK: Final = 2_000
_STREAMED: Final = {"yield_per": 10_000}
UNSETTLED: Final = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED)
"""States in which it is open what becomes of a message."""

_DUE: Final = select(Enrollment.customer_id).where(
    Enrollment.state.in_((EnrollmentState.ACTIVE, EnrollmentState.HELD_OUT)),
    Enrollment.due_on <= bindparam("until"),
)
_UNDERWAY: Final = (
    select(Enrollment.customer_id)
    .join(Message, Message.enrollment_id == Enrollment.id)
    .where(Message.state.in_(UNSETTLED))
)
_HOLDING_CODES: Final = (
    select(Enrollment.customer_id)
    .join(Voucher, Voucher.enrollment_id == Enrollment.id)
    .where(Voucher.state == VoucherState.RESERVED)
)


def people_of(
    source: Session,
    campaigns: Mapping[int, Campaign],
    *,
    now: datetime,
    until: date,
    zone: ZoneInfo,
) -> list[int]:
    """Give the ids of all whom a rehearsal up to a local day must know, in order.

    ``campaigns`` are those that detect enrolls for, by the id of their version.
    """
    people: set[int] = set()
    for wanted in (_DUE, _UNDERWAY, _HOLDING_CODES):
        people.update(source.scalars(wanted, {"until": until}, execution_options=_STREAMED))
    for version_id, campaign in campaigns.items():
        parameters = _parameters(campaign, version_id, now=now, until=until, zone=zone)
        entering = source.scalars(_may_enter(campaign), parameters, execution_options=_STREAMED)
        people.update(entering)
    # First whom they became, then who became them, then with whom each of these shares an address.
    for others in (_BECAME, _MERGED, _SHARING):
        people |= {id_ for part in chunks(sorted(people)) for id_ in _found(source, others, part)}
    return sorted(people)


def chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Give ids in parts that one statement can name."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _found(source: Session, wanted: Select[Any], ids: Sequence[int]) -> Sequence[int]:
    return source.scalars(wanted, {"people": ids}).all()


_PEOPLE: Final[BindParameter[Any]] = bindparam("people", expanding=True)
_BECAME: Final = select(Customer.merged_into).where(
    Customer.id.in_(_PEOPLE), Customer.merged_into.is_not(None)
)
_MERGED: Final = select(Customer.id).where(Customer.merged_into.in_(_PEOPLE))
_MINE, _THEIRS = aliased(ContactPoint), aliased(ContactPoint)
_SHARING: Final = (
    select(_THEIRS.customer_id)
    .join(_MINE, _MINE.address_hash == _THEIRS.address_hash)
    .join(Enrollment, Enrollment.customer_id == _THEIRS.customer_id)
    .where(_MINE.customer_id.in_(_PEOPLE), Enrollment.state.in_(OPEN_ENROLLMENTS))
)
"""An older open enrollment of the same address keeps the younger one from writing to it."""


def _may_enter(campaign: Campaign) -> Select[tuple[int]]:
    """Give the query for those who may enter a campaign on one of the days to come.

    Left out is only what no passing of days changes: too long ago, no consent, nothing to write
    to, suppressed, enrolled for this lapse, or refused beyond the last day.
    """
    lapsed = LAPSED.subquery()
    is_enrolled = exists().where(
        Enrollment.campaign == bindparam("campaign"),
        Enrollment.customer_id == Customer.id,
        Enrollment.lapsed_on == lapsed.c.last_purchased_on,
    )
    stays_refused = exists().where(
        Refusal.campaign == bindparam("campaign"),
        Refusal.customer_id == Customer.id,
        Refusal.lapsed_on == lapsed.c.last_purchased_on,
        Refusal.campaign_version_id == bindparam("version"),
        Refusal.customer_changed_at == Customer.changed_at,
        or_(Refusal.look_again_on.is_(None), Refusal.look_again_on > bindparam("until")),
    )
    query = (
        select(lapsed.c.customer_id)
        .join(Customer, Customer.id == lapsed.c.customer_id)
        .where(
            ~is_enrolled,
            ~stays_refused,
            or_(
                *(
                    contactable_condition(Customer.id, channel)
                    for channel in usable_channels(campaign)
                )
            ),
        )
    )
    if campaign.lapse.not_after is None:
        return query
    return query.where(lapsed.c.last_purchased_on > bindparam("too_long_ago"))


def _parameters(
    campaign: Campaign, version_id: int, *, now: datetime, until: date, zone: ZoneInfo
) -> dict[str, object]:
    # What was bought up to now is known; who will have lapsed, is asked of the last day.
    known = lapse_parameters(campaign.lapse.after, now=now, zone=zone)
    not_after = campaign.lapse.not_after
    return {
        **known,
        "lapse_latest": cutoff(campaign.lapse.after, until),
        "campaign": campaign.campaign,
        "version": version_id,
        "until": until,
        "too_long_ago": None
        if not_after is None
        else too_long_ago_cutoff(not_after, local_date(now, zone)),
    }
