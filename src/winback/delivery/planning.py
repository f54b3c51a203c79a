"""Plan what is due: the one function that says who gets which step today, on which channel.

``plan_batch`` decides and writes nothing; ``queue_due`` carries its plans out in batches, each
in a transaction of its own. The message's row is the promise to send it: unique per enrollment
and step over all channels (P1), so planning twice queues once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, exists, select
from sqlalchemy.orm import Session

from winback.campaign.schema import Answer, Campaign, Step
from winback.clock import day_start
from winback.database.among import among, aside
from winback.database.tables import Enrollment, Message, Voucher
from winback.delivery.gate import WRITTEN_TO, GateInput, Never, decide
from winback.delivery.looking import OTHER, Sight, look
from winback.delivery.run import Run
from winback.enrollment.conditions import Holds, campaigns_of, conditions_of
from winback.enrollment.timeline import StepEnd
from winback.states import Channel, EnrollmentState, MessageState, VoucherState

ON_ITS_WAY: Final = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall happen to one due step.

    Exactly one of: a ``channel`` (a message, or a case for a call or letter), ``passes`` (the
    step is passed, and why), ``ends`` (the whole enrollment is over, and why), or none of them
    (nothing to do here: a purchase is being applied).
    """

    row: Row[Any]
    campaign: Campaign
    step: Step
    drop_at: datetime
    channel: Channel | None = None
    voucher_id: int | None = None
    """An earlier step's open voucher, which this one repeats; an own offer is reserved later."""
    passes: StepEnd | None = None
    ends: str | None = None
    """``suppressed`` or ``unreachable``."""
    why: str = ""


@dataclass(slots=True)
class OpenVouchers:
    """The issued, unexpired, unredeemed vouchers of a batch: enrollment to {offer: id}."""

    of: defaultdict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def before(self, enrollment_id: int, campaign: Campaign, step: str) -> int | None:
        """Give the last open voucher of an earlier step."""
        mine = self.of.get(enrollment_id, {})
        earlier = campaign.steps[: campaign.position(step)]
        offers = [one.offer for one in reversed(earlier) if one.offer is not None]
        return next((mine[offer] for offer in offers if offer in mine), None)


def due_ids(
    session: Session, run: Run, *, still: Collection[str] = ()
) -> Sequence[Row[tuple[int, str | None]]]:
    """Give (enrollment, step) of all that is due today and has no message on its way.

    ``still`` names campaigns that stand still.
    """
    return session.connection().execute(_DUE, {"today": run.today, "still": still}).all()


_IS_DUE: Final = (
    Enrollment.state == EnrollmentState.ACTIVE,
    Enrollment.due_on <= bindparam("today"),
    Enrollment.next_step.is_not(None),
)
_HAS_MESSAGE: Final = exists().where(
    Message.enrollment_id == Enrollment.id,
    Message.step == Enrollment.next_step,
    Message.state.in_(ON_ITS_WAY),
)
_DUE: Final = (
    select(Enrollment.id, Enrollment.next_step)
    .where(*_IS_DUE, ~_HAS_MESSAGE, Enrollment.campaign.not_in(bindparam("still", expanding=True)))
    .order_by(Enrollment.id)
)


def plan_batch(session: Session, run: Run, ids: Sequence[int]) -> list[Plan]:
    """Decide what happens to the due steps of these enrollments; writes nothing.

    The rows stay locked for the transaction; those that another planner holds are left to it.
    """
    rows = _due_rows(session, run, ids)
    campaigns = campaigns_of(session, run, (row.campaign_version_id for row in rows))
    sight = look(session, {row.customer_id for row in rows}, now=run.now)
    vouchers = open_vouchers(session, run, [row.id for row in rows])
    holds = conditions_of(session, run, rows)
    return [
        _plan(
            run,
            row,
            campaigns[row.campaign_version_id],
            sight=sight,
            vouchers=vouchers,
            holds=holds,
        )
        for row in rows
    ]


def open_vouchers(session: Session, run: Run, enrollment_ids: Sequence[int]) -> OpenVouchers:
    """Read the open vouchers of enrollments."""
    found = OpenVouchers()
    rows = session.connection().execute(_OPEN_VOUCHERS, {"ids": enrollment_ids, "now": run.now})
    for enrollment_id, offer, voucher_id in rows:
        if enrollment_id is not None:
            found.of[enrollment_id][offer] = voucher_id
    return found


_OPEN_VOUCHERS: Final = select(Voucher.enrollment_id, Voucher.offer, Voucher.id).where(
    among(Voucher.enrollment_id, "ids"),
    aside(Voucher.state) == VoucherState.ISSUED,
    Voucher.expires_at > bindparam("now"),
)


def channels_for(
    run: Run, message: Step | Answer, *, campaign: Campaign, sight: Sight, customer_id: int
) -> Iterator[Channel]:
    """Give the channels to ask in order: its own, ``otherwise``, and the other after a bounce.

    A hard bounce moves later steps to the other written channel, where there is a template.
    """
    yield from message.channels
    for channel in message.channels:
        other = OTHER.get(channel)
        if other is None or other in message.channels:
            continue
        locale = sight.persons[customer_id].locale
        has_template = run.business.shelf.find(campaign.campaign, message.template, other, locale)
        if has_template and sight.has_bounced(customer_id, channel):
            yield other


def channel_input(
    run: Run, row: Any, channel: Channel, *, drop_at: datetime, sight: Sight
) -> GateInput:
    """Give what the gate asks about a person and a channel, as far as planning knows it.

    ``row`` has customer_id, lapsed_on and enrollment_state.
    """
    customer_id = row.customer_id
    return GateInput(
        channel=channel,
        now=run.now,
        drop_at=drop_at,
        enrollment_state=row.enrollment_state,
        is_suppressed=sight.is_suppressed(customer_id),
        is_channel_suppressed=sight.is_channel_suppressed(customer_id, channel),
        is_offered=run.sends(channel),
        has_consent=sight.may_be_reached(customer_id, channel),
        has_address=sight.point(customer_id, channel) is not None,
        has_purchased_since=sight.has_purchased_since(customer_id, row.lapsed_on),
    )


def _plan(
    run: Run,
    row: Row[Any],
    campaign: Campaign,
    *,
    sight: Sight,
    vouchers: OpenVouchers,
    holds: Holds,
) -> Plan:
    step = campaign.step(row.next_step)
    drop_at = day_start(step.fresh_for.after(row.due_on), run.zone)
    repeated = vouchers.before(row.id, campaign, step.step)
    passed = _passed_at_once(row, step, repeated=repeated, holds=holds)
    if passed is not None:
        return Plan(row, campaign, step, drop_at, passes=StepEnd.PASSED, why=passed)
    own_or_none = repeated if step.offer is None else None
    refused: list[tuple[GateInput, Never]] = []
    for channel in channels_for(
        run, step, campaign=campaign, sight=sight, customer_id=row.customer_id
    ):
        asked = channel_input(run, row, channel, drop_at=drop_at, sight=sight)
        verdict = decide(asked)
        if not isinstance(verdict, Never):
            return Plan(row, campaign, step, drop_at, channel=channel, voucher_id=own_or_none)
        refused.append((asked, verdict))
        if not verdict.is_of_channel:
            break
    what = _without_channel(*refused[0], sight=sight, row=row)
    return Plan(row, campaign, step, drop_at, **what)


def _passed_at_once(row: Row[Any], step: Step, *, repeated: int | None, holds: Holds) -> str | None:
    """Say why a step is passed without asking the gate; None where it stands."""
    if row.is_gentle and step.offer is not None:
        return "after a hard time, nothing with an offer comes first"
    if step.only_if is not None and not holds(row, step.only_if):
        return f"only_if does not hold: {step.only_if}"
    if step.before_expiry is not None and repeated is None:
        return "there is no open voucher to remind of"
    return None


def _without_channel(
    asked: GateInput, refusal: Never, *, sight: Sight, row: Row[Any]
) -> Mapping[str, Any]:
    if asked.is_suppressed:
        return {"ends": "suppressed", "why": refusal.why}
    if asked.has_purchased_since:
        # The next stage converts the enrollment; nothing is passed meanwhile.
        return {"why": refusal.why}
    if asked.now >= asked.drop_at:
        why = f"due on {row.due_on}, could not leave in time"
        return {"passes": StepEnd.STALE, "why": why}
    if _is_out_of_reach(sight, row.customer_id):
        return {"ends": "unreachable", "why": "no address is left that can be reached"}
    return {"passes": StepEnd.SKIPPED, "why": refusal.why}


def _is_out_of_reach(sight: Sight, customer_id: int) -> bool:
    points = [sight.point(customer_id, channel) for channel in WRITTEN_TO]
    bounced = [sight.has_bounced(customer_id, channel) for channel in WRITTEN_TO]
    return any(bounced) and not any(points)


def _due_rows(session: Session, run: Run, ids: Sequence[int]) -> Sequence[Row[Any]]:
    return session.connection().execute(_DUE_ROWS, {"ids": ids, "today": run.today}).all()


_DUE_ROWS: Final = (
    select(
        Enrollment.id,
        Enrollment.customer_id,
        Enrollment.campaign,
        Enrollment.campaign_version_id,
        Enrollment.lapsed_on,
        Enrollment.state.label("enrollment_state"),
        Enrollment.next_step,
        Enrollment.due_on,
        Enrollment.is_gentle,
        Enrollment.value,
        Enrollment.reason.label("enrollment_reason"),
    )
    .where(
        among(Enrollment.id, "ids"),
        aside(Enrollment.state) == EnrollmentState.ACTIVE,
        aside(Enrollment.due_on) <= bindparam("today"),
        Enrollment.next_step.is_not(None),
    )
    .order_by(Enrollment.id)
    .with_for_update(skip_locked=True)
)
