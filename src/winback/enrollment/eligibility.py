"""Judge who of the lapsed may enter a campaign, and say why not.

What tables can answer is one query a batch; the audience's condition is asked in Python, only for
those whom nothing else refuses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from winback.campaign.conditions import compile_condition
from winback.campaign.schema import Campaign
from winback.clock import day_start, local_date
from winback.customers.consent import (
    NEEDS_CONSENT,
    consented_condition,
    contactable_condition,
)
from winback.customers.suppression import customer_suppressed_condition, suppressed_condition
from winback.database.tables import Customer, Enrollment
from winback.enrollment.again import days_until_it_may_turn
from winback.enrollment.facts import condition_facts
from winback.enrollment.value import next_setting_on
from winback.lapse.query import LAPSED, LAPSED_AMONG, STREAMED, lapse_parameters
from winback.lapse.rule import too_long_ago_cutoff
from winback.states import OPEN_ENROLLMENTS, Channel

_SLOT_AGAIN_AFTER: Final = timedelta(days=7)


class Refused(StrEnum):
    """Why a lapsed customer does not enter; the first that applies, in this order."""

    ENROLLED = "enrolled"
    """Already enrolled for this lapse; never stored as a refusal."""
    TOO_LONG_AGO = "too_long_ago"
    SUPPRESSED = "suppressed"
    NO_CONSENT = "no_consent"
    UNREACHABLE = "unreachable"
    OPEN_SLOT = "open_slot"
    COOLDOWN = "cooldown"
    AUDIENCE = "audience"


_SENTENCES: Final = {
    Refused.ENROLLED: "already enrolled for this lapse",
    Refused.TOO_LONG_AGO: "the last purchase is more than {not_after} ago",
    Refused.SUPPRESSED: "suppressed on every channel that a step uses",
    Refused.NO_CONSENT: "no consent to {channels}",
    Refused.UNREACHABLE: "no address or number that can be reached, with consent",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One lapse, judged; ``reason`` None means it may enter."""

    customer_id: int
    lapsed_on: date
    changed_at: datetime
    """``changed_at`` of the customer as it was judged."""
    reason: Refused | None = None
    why: str = ""
    look_again_on: date | None = None


def judge_lapsed(
    session: Session, campaign: Campaign, *, now: datetime, zone: ZoneInfo, currency: str
) -> Iterator[Sequence[Judged]]:
    """Judge, batch by batch and in no order, everyone whom a campaign's rule calls lapsed."""
    rows = session.execute(
        LAPSED,
        lapse_parameters(campaign.lapse.after, now=now, zone=zone),
        execution_options=STREAMED,
    )
    for batch in rows.partitions():
        ids = [row.customer_id for row in batch]
        yield judge(session, campaign, ids, now=now, zone=zone, currency=currency)


def judge(
    session: Session,
    campaign: Campaign,
    customer_ids: Sequence[int],
    *,
    now: datetime,
    zone: ZoneInfo,
    currency: str,
) -> list[Judged]:
    """Judge those of some customers who have lapsed, in the order of their ids."""
    today = local_date(now, zone)
    rows = session.connection().execute(
        _query_for(campaign), _parameters(campaign, customer_ids, now=now, zone=zone)
    )
    judged = [_read(row, campaign, today=today, zone=zone) for row in rows]
    turns_with_value = "value" in compile_condition(campaign.audience.where).fields
    value_again_on = next_setting_on(session, today) if turns_with_value else None
    open_ids = [one.customer_id for one in judged if one.reason is None]
    outside = _outside_audience(session, campaign, open_ids, now=now, zone=zone, currency=currency)
    return [
        _not_in_audience(one, campaign, today=today, value_again_on=value_again_on)
        if one.customer_id in outside
        else one
        for one in judged
    ]


def _query_for(campaign: Campaign) -> Select[Any]:
    return _lapsed_with_reasons(
        channels=usable_channels(campaign),
        has_oldest=campaign.lapse.not_after is not None,
        has_cooldown=not campaign.cooldown.is_nothing,
    )


def _parameters(
    campaign: Campaign, customer_ids: Sequence[int], *, now: datetime, zone: ZoneInfo
) -> dict[str, object]:
    today, not_after = local_date(now, zone), campaign.lapse.not_after
    cooled_down = campaign.cooldown.latest_start(today)
    return {
        **lapse_parameters(campaign.lapse.after, now=now, zone=zone),
        "lapse_ids": customer_ids,
        "campaign": campaign.campaign,
        "too_long_ago": None if not_after is None else too_long_ago_cutoff(not_after, today),
        "free_again": day_start(cooled_down + timedelta(days=1), zone),
    }


@cache
def _lapsed_with_reasons(
    *, channels: tuple[Channel, ...], has_oldest: bool, has_cooldown: bool
) -> Select[Any]:
    """Give the query for one shape of a campaign; ``_parameters`` has its values."""
    lapsed = LAPSED_AMONG.subquery()
    last_on = lapsed.c.last_purchased_on
    is_enrolled = exists().where(
        Enrollment.campaign == _CAMPAIGN,
        Enrollment.customer_id == Customer.id,
        Enrollment.lapsed_on == last_on,
    )
    reasons = [
        (Refused.ENROLLED, is_enrolled),
        *([(Refused.TOO_LONG_AGO, last_on <= bindparam("too_long_ago"))] if has_oldest else []),
        *_reasons(channels),
        *([(Refused.COOLDOWN, _is_in_cooldown())] if has_cooldown else []),
    ]
    return (
        select(
            lapsed.c.customer_id,
            last_on,
            Customer.changed_at,
            case(*((condition, literal(reason.value)) for reason, condition in reasons)).label(
                "reason"
            ),
            _last_end(Enrollment.customer_id == Customer.id).label("ended_at"),
            _last_end(_BECAME_THIS_ONE).label("ended_before"),
        )
        .join(Customer, Customer.id == lapsed.c.customer_id)
        .order_by(lapsed.c.customer_id)
    )


_CAMPAIGN: Final[BindParameter[str]] = bindparam("campaign")


def _reasons(channels: Sequence[Channel]) -> Iterator[tuple[Refused, ColumnElement[bool]]]:
    by_channel = [consented_condition(Customer.id, channel) for channel in channels]
    yield (
        Refused.SUPPRESSED,
        and_(*(customer_suppressed_condition(Customer.id, channel) for channel in channels)),
    )
    yield Refused.NO_CONSENT, ~or_(*by_channel)
    is_contactable = or_(*(contactable_condition(Customer.id, channel) for channel in channels))
    is_kept_back = or_(
        *(
            consented & suppressed_condition(Customer.id, channel)
            for consented, channel in zip(by_channel, channels, strict=True)
        )
    )
    yield Refused.SUPPRESSED, ~is_contactable & is_kept_back
    yield Refused.UNREACHABLE, ~is_contactable
    yield (
        Refused.OPEN_SLOT,
        exists().where(
            Enrollment.customer_id == Customer.id, Enrollment.state.in_(OPEN_ENROLLMENTS)
        ),
    )


def _is_in_cooldown() -> ColumnElement[bool]:
    return or_(
        exists().where(
            Enrollment.customer_id == Customer.id,
            Enrollment.campaign == _CAMPAIGN,
            Enrollment.ended_at >= bindparam("free_again"),
        ),
        _last_end(_BECAME_THIS_ONE) >= bindparam("free_again"),
    )


_BECAME: Final = aliased(Customer)
# Within, not joined: SQLite would begin with all enrollments of the campaign.
_BECAME_THIS_ONE: Final = Enrollment.customer_id.in_(
    select(_BECAME.id).where(_BECAME.merged_into == Customer.id).correlate(Customer)
)
"""Enrollments that stayed behind where two customers became one: both had that lapse's."""


def usable_channels(campaign: Campaign) -> tuple[Channel, ...]:
    """Give the channels on which a customer must be contactable: those that some step uses.

    Calls and letters need no yes, so they count only where a campaign has nothing else: nobody
    is enrolled for the sake of one call at the end.
    """
    used = {channel for step in campaign.steps for channel in step.channels}
    return tuple(sorted(used & set(NEEDS_CONSENT))) or tuple(sorted(used))


def _last_end(whose: ColumnElement[bool]) -> ScalarSelect[datetime | None]:
    last = select(func.max(Enrollment.ended_at)).where(Enrollment.campaign == _CAMPAIGN)
    return last.where(whose).scalar_subquery()


def _read(row: Any, campaign: Campaign, *, today: date, zone: ZoneInfo) -> Judged:
    reason = None if row.reason is None else Refused(row.reason)
    ended_at = max(filter(None, (row.ended_at, row.ended_before)), default=None)
    why, again = _explain(reason, campaign, ended_at, today=today, zone=zone)
    return Judged(
        customer_id=row.customer_id,
        lapsed_on=row.last_purchased_on,
        changed_at=row.changed_at,
        reason=reason,
        why=why,
        look_again_on=again,
    )


def _explain(
    reason: Refused | None,
    campaign: Campaign,
    ended_at: datetime | None,
    *,
    today: date,
    zone: ZoneInfo,
) -> tuple[str, date | None]:
    """Give the sentence, and the day on which it may be otherwise by itself."""
    match reason:
        case None:
            return "", None
        case Refused.COOLDOWN if ended_at is not None:
            until = campaign.cooldown.after(local_date(ended_at, zone))
            return f"in cooldown until {until}", until
        case Refused.OPEN_SLOT:
            # Freed when the other enrollment ends; looked at now and then all the same, in case
            # it ended while this was being written.
            return "another enrollment of the customer is open", today + _SLOT_AGAIN_AFTER
        case _:
            return _SENTENCES[reason].format(
                not_after=campaign.lapse.not_after, channels=" or ".join(usable_channels(campaign))
            ), None


def _outside_audience(
    session: Session,
    campaign: Campaign,
    customer_ids: list[int],
    *,
    now: datetime,
    zone: ZoneInfo,
    currency: str,
) -> set[int]:
    condition = compile_condition(campaign.audience.where)
    facts = condition_facts(
        session, customer_ids, now=now, zone=zone, currency=currency, fields=condition.fields
    )
    return {customer_id for customer_id, one in facts.items() if not condition.holds(one)}


def _not_in_audience(
    one: Judged, campaign: Campaign, *, today: date, value_again_on: date | None
) -> Judged:
    where = campaign.audience.where
    turns_in = days_until_it_may_turn(where, (today - one.lapsed_on).days)
    turns_on = None if turns_in is None else today + timedelta(days=turns_in)
    return Judged(
        customer_id=one.customer_id,
        lapsed_on=one.lapsed_on,
        changed_at=one.changed_at,
        reason=Refused.AUDIENCE,
        why=f"not in the audience: {where}",
        look_again_on=min((day for day in (turns_on, value_again_on) if day), default=None),
    )
