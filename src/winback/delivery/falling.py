"""What follows when a message will not go: the other channel where there is one, else it is passed.

``otherwise`` is used only when the first channel's gate said never or its call was finally
refused, and each channel is tried once (DESIGN.md, section 5, Message). A stale message never
uses it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from winback.database.history import record_decisions, record_moves
from winback.database.tables import Message, table_of
from winback.delivery.asking import Queued
from winback.delivery.gate import WRITTEN_TO, Never
from winback.delivery.looking import look
from winback.delivery.machine import MessageEvent, move
from winback.delivery.planning import channels_for
from winback.delivery.queueing import queue_messages
from winback.delivery.run import Run
from winback.enrollment.conditions import campaigns_of
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.timeline import StepEnd
from winback.states import Channel, EnrollmentState, MessageState


@dataclass(frozen=True, slots=True)
class Fallen:
    """One message that will not go, and why."""

    message_id: int
    enrollment_id: int
    customer_id: int
    campaign_version_id: int
    step: str
    is_answer: bool
    channel: Channel
    voucher_id: int | None
    drop_at: datetime
    may_use_other: bool
    how: StepEnd
    why: str
    stands: bool = False
    """Its enrollment stands at its step, and waits: no other channel is written to meanwhile."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """One queued message whose step is not the one that its enrollment goes on with now."""

    message_id: int
    enrollment_id: int
    step: str
    why: str
    stands: bool
    """The enrollment stands at the step, and waits: it is owed when that goes on."""


def skip_messages(session: Session, run: Run, never: Sequence[tuple[Queued, Never]]) -> None:
    """Skip queued messages for good, with their reasons, and do what follows."""
    cancel_overtaken(
        session,
        run,
        [
            Overtaken(row.id, row.enrollment_id, row.step, verdict.why, row.next_step == row.step)
            for row, verdict in never
            if verdict.is_out_of_turn
        ],
    )
    never = [(row, verdict) for row, verdict in never if not verdict.is_out_of_turn]
    _end(session, run, MessageEvent.SKIP, [(row.id, verdict.why) for row, verdict in never])
    # Where the enrollment is in other hands, its step stands for whoever resumes it.
    goes_on = [
        (row, verdict)
        for row, verdict in never
        if row.is_answer or row.enrollment_state is EnrollmentState.ACTIVE
    ]
    fall(session, run, [_fallen(run, row, verdict) for row, verdict in goes_on])


def cancel_overtaken(session: Session, run: Run, overtaken: Sequence[Overtaken]) -> None:
    """Cancel queued steps whose turn it is not; what stands for later is not passed by that."""
    _end(session, run, MessageEvent.CANCEL, [(one.message_id, one.why) for one in overtaken])
    pass_steps(
        session,
        run,
        [
            # A no-op where it was passed already: so is nearly all that is overtaken.
            Done(one.enrollment_id, one.step, StepEnd.SKIPPED, one.why)
            for one in overtaken
            if not one.stands
        ],
    )


def _end(session: Session, run: Run, event: MessageEvent, ended: Sequence[tuple[int, str]]) -> None:
    """End queued messages, each with its reason."""
    if not ended:
        return
    to_state = move(MessageState.QUEUED, event)
    session.connection().execute(
        _END,
        [
            {"b_id": id_, "state": to_state, "reason": why, "settled_at": run.now}
            for id_, why in ended
        ],
    )
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": id_,
                "from_state": MessageState.QUEUED,
                "to_state": to_state,
                "event": event,
                "why": why,
                "at": run.now,
            }
            for id_, why in ended
        ],
    )


_MESSAGES: Final = table_of(Message)
_END: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.state == MessageState.QUEUED)
    .values(**{name: bindparam(name) for name in ("state", "reason", "settled_at")})
)


def _fallen(run: Run, row: Queued, verdict: Never) -> Fallen:
    return Fallen(
        message_id=row.id,
        enrollment_id=row.enrollment_id,
        customer_id=row.customer_id,
        campaign_version_id=row.campaign_version_id,
        step=row.step,
        is_answer=row.is_answer,
        channel=row.channel,
        voucher_id=row.voucher_id,
        drop_at=row.drop_at,
        may_use_other=verdict.is_of_channel,
        how=StepEnd.STALE if run.now >= row.drop_at else StepEnd.SKIPPED,
        why=verdict.why,
    )


def fall(session: Session, run: Run, fallen: Sequence[Fallen]) -> None:
    """Queue each on the next channel that was not tried, else pass its step."""
    if not fallen:
        return
    others = _other_channels(session, run, [one for one in fallen if one.may_use_other])
    waiting = {one.message_id for one in fallen if one.stands and one.message_id in others}
    fallen = [one for one in fallen if one.message_id not in waiting]
    campaigns = campaigns_of(session, run, (one.campaign_version_id for one in fallen))
    queue_messages(
        session,
        [
            {
                "enrollment_id": one.enrollment_id,
                "customer_id": one.customer_id,
                "step": one.step,
                "is_answer": one.is_answer,
                "channel": others[one.message_id],
                "voucher_id": one.voucher_id,
                "priority": campaigns[one.campaign_version_id].priority,
                "state": MessageState.QUEUED,
                "queued_at": run.now,
                "due_at": run.now,
                "drop_at": one.drop_at,
            }
            for one in fallen
            if one.message_id in others
        ],
    )
    over = [one for one in fallen if one.message_id not in others]
    pass_steps(
        session,
        run,
        [Done(one.enrollment_id, one.step, one.how, one.why) for one in over if not one.is_answer],
    )
    _decide(
        session, run, over=[one for one in over if one.is_answer], others=fallen_to(fallen, others)
    )


def fallen_to(fallen: Sequence[Fallen], others: dict[int, Channel]) -> list[tuple[Fallen, Channel]]:
    """Give which messages go on, on which other channel."""
    return [(one, others[one.message_id]) for one in fallen if one.message_id in others]


def _other_channels(session: Session, run: Run, fallen: Sequence[Fallen]) -> dict[int, Channel]:
    if not fallen:
        return {}
    tried: defaultdict[tuple[int, str], set[Channel]] = defaultdict(set)
    rows = session.connection().execute(
        _TRIED,
        {
            "enrollments": {one.enrollment_id for one in fallen},
            "steps": {one.step for one in fallen},
        },
    )
    for enrollment_id, step, channel in rows:
        tried[enrollment_id, step].add(channel)
    campaigns = campaigns_of(session, run, (one.campaign_version_id for one in fallen))
    sight = look(session, {one.customer_id for one in fallen}, now=run.now)
    found: dict[int, Channel] = {}
    for one in fallen:
        campaign = campaigns[one.campaign_version_id]
        channels = channels_for(
            run,
            campaign.message(one.step),
            campaign=campaign,
            sight=sight,
            customer_id=one.customer_id,
        )
        fresh = [
            channel
            for channel in channels
            if channel in WRITTEN_TO and channel not in tried[one.enrollment_id, one.step]
        ]
        if fresh:
            found[one.message_id] = fresh[0]
    return found


_TRIED: Final = select(_MESSAGES.c.enrollment_id, _MESSAGES.c.step, _MESSAGES.c.channel).where(
    _MESSAGES.c.enrollment_id.in_(bindparam("enrollments", expanding=True)),
    _MESSAGES.c.step.in_(bindparam("steps", expanding=True)),
    _MESSAGES.c.state != MessageState.CANCELED,
)


def _decide(
    session: Session, run: Run, *, over: Sequence[Fallen], others: Sequence[tuple[Fallen, Channel]]
) -> None:
    """Note what the passing of a step does not: answers that end, and changes of channel."""
    told: list[tuple[Fallen, str, str]] = [(one, "skipped", one.why) for one in over]
    told += [(one, "otherwise", f"{one.why}; by {channel} instead") for one, channel in others]
    record_decisions(
        session,
        [
            {
                "customer_id": one.customer_id,
                "enrollment_id": one.enrollment_id,
                "what": what,
                "why": f"{one.step}: {why}",
                "at": run.now,
            }
            for one, what, why in told
        ],
    )
