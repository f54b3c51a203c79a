"""Ask the gate about queued messages: gathers in bulk what it wants to know of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.orm import Session

from winback.campaign.schema import PURCHASE, Answer, Campaign, Step
from winback.database.tables import ChannelPause, Voucher
from winback.delivery.answers import given_otherwise
from winback.delivery.daily import WRITTEN
from winback.delivery.gate import Allow, GateInput, Hold, Verdict, decide, out_of_turn
from winback.delivery.limits import cap_opens_at
from winback.delivery.looking import Point, Sight, look, look_at_traffic
from winback.delivery.opening import keeps_hours, opening_for
from winback.delivery.planning import channel_input
from winback.delivery.run import Run
from winback.delivery.whereabouts import country_of
from winback.delivery.windows import Opening, tomorrow_start
from winback.enrollment.conditions import Holds, campaigns_of, conditions_of
from winback.enrollment.pausing import WAITS_FOR_COUNTRY
from winback.states import Channel, EnrollmentState, VoucherState
from winback.vouchers.reserving import NotExported, RunOut, UsedUp

Unavailable = NotExported | RunOut | UsedUp
"""Why there is no code."""


class Queued(NamedTuple):
    """One queued message as the claim reads it: plain, since it is asked for some forty times."""

    id: int
    enrollment_id: int
    customer_id: int
    step: str
    is_answer: bool
    channel: Channel
    voucher_id: int | None
    drop_at: datetime
    reason: str
    campaign: str
    campaign_version_id: int
    lapsed_on: date
    enrollment_state: EnrollmentState
    value: str | None
    enrollment_reason: str | None
    next_step: str | None
    is_asleep: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One queued message, what the gate said, and by what it would go."""

    row: Queued
    campaign: Campaign
    message: Step | Answer
    verdict: Verdict
    point: Point | None
    consent_id: int | None
    opening: Opening | None


@dataclass(slots=True)
class Today:
    """What all messages of a channel share today."""

    left: dict[Channel, int]
    """How many may still leave in this local day."""
    holds: dict[Channel, list[Hold]]
    """Paused channels, and channels without a provider."""
    countries: Mapping[str, str] = field(default_factory=dict)
    """Countries that texts do not reach at present, and why."""


def ask_all(
    session: Session,
    run: Run,
    rows: Sequence[Queued],
    *,
    sight: Sight,
    today: Today,
    without: Mapping[int, Unavailable],
) -> list[Asked]:
    """Ask the gate about each message in turn; what it lets go counts against the next one.

    ``without`` says of messages that offer something why there is no code for them.
    """
    campaigns = campaigns_of(session, run, (row.campaign_version_id for row in rows))
    lost = _lost_vouchers(session, run, rows)
    holds = conditions_of(session, run, rows)
    answers = [row.id for row in rows if row.is_answer]
    given = given_otherwise(session, answers) if answers else set()
    asked: list[Asked] = []
    for row in rows:
        campaign = campaigns[row.campaign_version_id]
        message = campaign.message(row.step)
        needs_voucher = message.offer is not None or _reminds(message)
        waits = isinstance(without.get(row.id), NotExported)
        known = _input(
            run,
            row,
            campaign,
            sight=sight,
            today=today,
            waits=waits,
            has_lost_voucher=needs_voucher and not waits and row.voucher_id in lost,
            has_lost_condition=_has_lost_condition(row, message, holds),
        )
        known.is_given = row.id in given
        one = Asked(
            row=row,
            campaign=campaign,
            message=message,
            verdict=decide(known),
            point=sight.point(row.customer_id, row.channel),
            consent_id=sight.consent(row.customer_id, row.channel),
            opening=known.opening,
        )
        if isinstance(one.verdict, Allow) and one.point is not None:
            sight.sent(row.customer_id, row.channel).append(run.now)
            sight.sent_to(one.point).append(run.now)
            today.left[row.channel] -= 1
        asked.append(one)
    return asked


def see_people(session: Session, run: Run, rows: Sequence[Queued]) -> Sight:
    """Look at the people of these messages, with the traffic of the week."""
    sight = look(session, {row.customer_id for row in rows}, now=run.now)
    look_at_traffic(session, sight, now=run.now)
    return sight


def see_today(
    session: Session, run: Run, resting: Mapping[Channel, Hold], *, left: Mapping[Channel, int]
) -> Today:
    """See which channels stand still; ``left`` is how many may still leave today by each."""
    holds: dict[Channel, list[Hold]] = {channel: [] for channel in WRITTEN}
    for channel, until, why in session.connection().execute(_PAUSES, {"now": run.now}):
        holds.setdefault(channel, []).append(Hold(until, f"{channel} is paused: {why}"))
    for channel, hold in resting.items():
        holds[channel].append(hold)
    tomorrow = tomorrow_start(run.now, run.zone)
    for channel in WRITTEN:
        if channel not in run.providers:
            holds[channel].append(Hold(tomorrow, f"no provider for {channel}"))
    return Today(dict(left), holds)


_PAUSES: Final = select(ChannelPause.channel, ChannelPause.try_again_at, ChannelPause.why).where(
    ChannelPause.try_again_at > bindparam("now")
)


def _input(
    run: Run,
    row: Queued,
    campaign: Campaign,
    *,
    sight: Sight,
    today: Today,
    waits: bool,
    has_lost_voucher: bool,
    has_lost_condition: bool,
) -> GateInput:
    """Put together what the gate asks; ``waits`` is for a code that is not exported yet."""
    channel: Channel = row.channel
    point = sight.point(row.customer_id, channel)
    known = channel_input(run, row, channel, drop_at=row.drop_at, sight=sight)
    known.is_answer = row.is_answer
    if not row.is_answer and row.enrollment_state is EnrollmentState.ACTIVE:
        known.out_of_turn = out_of_turn(
            row.step, row.next_step, state=row.enrollment_state, is_asleep=row.is_asleep
        )
    if row.is_answer and row.step == PURCHASE:
        # The purchase that an answer thanks for does not refuse it.
        known.has_purchased_since = False
    known.waited_for = row.reason
    known.has_lost_voucher = has_lost_voucher
    known.has_lost_condition = has_lost_condition
    known.keeps_hours = keeps_hours(run, channel)
    if point is not None:
        holders = sight.holders.get((campaign.campaign, channel, point.address), ())
        # The older of two enrollments goes on; the younger one leaves the address alone.
        known.shares_address = any(other < row.enrollment_id for other in holders)
        if known.keeps_hours:
            known.opening = opening_for(run, sight.persons[row.customer_id], channel, point)
    known.holds = tuple(_holds(run, row, point, sight=sight, today=today))
    if waits:
        known.holds += (_not_exported(run),)
    return known


def _holds(
    run: Run, row: Queued, point: Point | None, *, sight: Sight, today: Today
) -> Iterator[Hold]:
    channel: Channel = row.channel
    yield from today.holds[channel]
    if today.left[channel] <= 0:
        yield Hold(tomorrow_start(run.now, run.zone), f"the daily limit of {channel} is reached")
    if today.countries and point is not None and channel is Channel.SMS:
        why = today.countries.get(country_of(point.address) or "")
        if why is not None:
            yield Hold(tomorrow_start(run.now, run.zone), WAITS_FOR_COUNTRY.format(why))
    cap, to_address = run.cap(channel), sight.sent_to(point) if point is not None else []
    for sent in (sight.sent(row.customer_id, channel), to_address):
        until = cap_opens_at(sent, cap, run.now)
        if until is not None:
            yield Hold(until, f"the cap of {channel} is reached")


def _not_exported(run: Run) -> Hold:
    why = "its codes are not exported yet: winback voucher export"
    return Hold(tomorrow_start(run.now, run.zone), why)


def _reminds(message: Step | Answer) -> bool:
    return isinstance(message, Step) and message.before_expiry is not None


def _has_lost_condition(row: Queued, message: Step | Answer, holds: Holds) -> bool:
    if not isinstance(message, Step) or message.only_if is None:
        return False
    return not holds(row, message.only_if)


def _lost_vouchers(session: Session, run: Run, rows: Sequence[Queued]) -> set[int | None]:
    """Give the vouchers that nothing may carry any more; a message without one lost it too."""
    ids = {row.voucher_id for row in rows if row.voucher_id is not None}
    if not ids:
        return {None}
    return (ids | {None}) - set(
        session.connection().scalars(_GOOD_VOUCHERS, {"ids": ids, "now": run.now})
    )


_GOOD_VOUCHERS: Final = select(Voucher.id).where(
    Voucher.id.in_(bindparam("ids", expanding=True)),
    or_(
        Voucher.state == VoucherState.RESERVED,
        and_(Voucher.state == VoucherState.ISSUED, Voucher.expires_at > bindparam("now")),
    ),
)
