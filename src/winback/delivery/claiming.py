"""Claim a batch: the last look and the send ids, in one transaction, before any call is made.

Consent, suppression, purchases, caps, hours and pauses are asked again here, in the transaction
that makes the message ours (FACTS.md LAW-2, DS-2, DS-11, DS-15). Claims of several workers take
turns for these few milliseconds, so that caps and daily limits are exact; a no that commits before
the claim is always seen.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from winback.database.among import among, aside
from winback.database.history import record_decisions
from winback.database.tables import Enrollment, Message, table_of
from winback.delivery.asking import (
    Queued,
    Today,
    Unavailable,
    ask_all,
    see_people,
    see_today,
)
from winback.delivery.budget import SPENT, budget_of
from winback.delivery.composing import Claimed
from winback.delivery.daily import count_claims, left_today
from winback.delivery.due import FIRST_COMES
from winback.delivery.falling import skip_messages
from winback.delivery.gate import STALE, Allow, Hold, Never, Postpone
from winback.delivery.leases import LeaseLost, is_alive
from winback.delivery.run import Run
from winback.delivery.taking import LiveTemplates, Ready, take, template_for
from winback.delivery.windows import tomorrow_start
from winback.enrollment.conditions import campaigns_of
from winback.enrollment.pausing import Pauses, standing_pauses
from winback.errors import TemplateError
from winback.outcomes.unprepared import UNPREPARED
from winback.states import Channel, MessageState
from winback.vouchers.reserving import reserve


@dataclass(slots=True)
class Claims:
    """What became of a batch: ours to send, postponed, or never to be sent."""

    claimed: list[Claimed] = field(default_factory=list)
    postponed: int = 0
    skipped: int = 0
    pauses: Pauses = field(default_factory=Pauses)
    """What stood still at the claim."""
    stopped: Sequence[int] = ()
    """What of the batch was postponed for that; it stays due."""
    held: Sequence[int] = ()
    """What others have locked, who may be about to move it: not claimed, and due all the same."""


def claim(
    session: Session,
    run: Run,
    ids: Sequence[int],
    *,
    resting: Mapping[Channel, Hold],
    worker_id: int,
) -> Claims:
    """Claim what the gate lets go of these messages; the caller commits before it sends.

    ``resting`` holds the channels that this run has found closed. Raises LeaseLost where others
    have ended the worker that asks (FACTS.md DS-10).
    """
    # First of all: from here on, and until the commit, no other worker claims.
    left = left_today(session, run)
    if not is_alive(session, worker_id):
        raise LeaseLost(worker_id)
    pauses = standing_pauses(session)
    found = _queued(session, run, ids)
    # What stands still is not even asked: it does not turn stale meanwhile.
    rows = [row for row in found if pauses.stops(row.campaign, row.channel) is None]
    _note_paused(session, run, found, pauses)
    stopped = {row.id for row in found} - {row.id for row in rows}
    done = Claims(postponed=len(stopped), pauses=pauses, stopped=[*stopped])
    done.held = _held(session, run, set(ids) - {row.id for row in found})
    if rows:
        today = see_today(session, run, resting, left=left)
        today.countries = pauses.countries
        _take_or_leave(session, run, rows, today=today, worker_id=worker_id, done=done)
    return done


def _take_or_leave(
    session: Session,
    run: Run,
    rows: Sequence[Queued],
    *,
    today: Today,
    worker_id: int,
    done: Claims,
) -> None:
    """Ask the gate about each message, and do what it says."""
    sight = see_people(session, run, rows)
    budget = budget_of(session, run)
    if budget is not None:
        today.holds[Channel.SMS] += budget.holds(run)
    reserved, without = _reserve(session, run, rows)
    if reserved:
        rows = _queued(session, run, [row.id for row in rows])
    asked = ask_all(session, run, rows, sight=sight, today=today, without=without)
    never = [(one.row, one.verdict) for one in asked if isinstance(one.verdict, Never)]
    late = [(one.row, one.verdict) for one in asked if isinstance(one.verdict, Postpone)]
    ready: list[Ready] = []
    live: LiveTemplates = {}
    for one in asked:
        if isinstance(one.verdict, Allow):
            try:
                ready.append(Ready(one, template_for(session, run, one, sight=sight, live=live)))
            except TemplateError as none_live:
                late.append((one.row, _until_tomorrow(run, one.row, str(none_live))))
    done.claimed = take(session, run, ready, sight=sight, worker_id=worker_id, budget=budget)
    if budget is not None:
        over = [one.asked.row for one in ready if one.asked.row.id in budget.over]
        late += [(row, _until_tomorrow(run, row, SPENT)) for row in over]
    segments = sum(one.segments for one in done.claimed)
    count_claims(session, run, Counter(one.channel for one in done.claimed), segments=segments)
    _postpone(session, run, late)
    skip_messages(session, run, never)
    done.postponed += len(late)
    done.skipped += len(never)


def put_off(session: Session, run: Run, message_id: int, kind: str) -> Claims:
    """Postpone a message whose claim raised an error of this kind; a stale one is skipped."""
    done, why = Claims(), f"{UNPREPARED}{kind}"
    for row in _queued(session, run, [message_id]):
        if run.now < row.drop_at:
            _postpone(session, run, [(row, _until_tomorrow(run, row, why))])
            done.postponed += 1
        else:
            skip_messages(session, run, [(row, Never(f"{STALE}: {why}"))])
            done.skipped += 1
    return done


def _until_tomorrow(run: Run, row: Queued, why: str) -> Postpone:
    # Looked at again when it turns stale at the latest, so that it is dropped in time.
    return Postpone(min(tomorrow_start(run.now, run.zone), row.drop_at), why)


def _queued(session: Session, run: Run, ids: Sequence[int]) -> Sequence[Queued]:
    rows = session.connection().execute(_QUEUED, {"ids": ids, "now": run.now})
    return [Queued._make(row) for row in rows]


_QUEUED: Final = (
    select(
        Message.id,
        Message.enrollment_id,
        Message.customer_id,
        Message.step,
        Message.is_answer,
        Message.channel,
        Message.voucher_id,
        Message.drop_at,
        Message.reason,
        Enrollment.campaign,
        Enrollment.campaign_version_id,
        Enrollment.lapsed_on,
        Enrollment.state.label("enrollment_state"),
        Enrollment.value,
        Enrollment.reason.label("enrollment_reason"),
        Enrollment.next_step,
        Enrollment.is_asleep,
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(
        among(Message.id, "ids"),
        aside(Message.state) == MessageState.QUEUED,
        aside(Message.due_at) <= bindparam("now"),
    )
    .order_by(*FIRST_COMES)
    # The enrollments too, though not their keys: whoever moves one locks it before its messages,
    # and would else wait for these while the skipped ones wait for it. What is locked is left out.
    .with_for_update(of=(Message, Enrollment), key_share=True, skip_locked=True)
)


def _held(session: Session, run: Run, ids: Collection[int]) -> Sequence[int]:
    """Give which of the messages that were not found are queued and due, and so locked."""
    if not ids:
        return ()
    return session.connection().execute(_STILL_DUE, {"ids": ids, "now": run.now}).scalars().all()


_STILL_DUE: Final = select(Message.id).where(
    among(Message.id, "ids"),
    aside(Message.state) == MessageState.QUEUED,
    aside(Message.due_at) <= bindparam("now"),
)


def _reserve(
    session: Session, run: Run, rows: Sequence[Queued]
) -> tuple[bool, dict[int, Unavailable]]:
    """Reserve the code of each answer that offers one; says whether any, and who gets none.

    A step's code was reserved when it was queued.
    """
    wanting = [row for row in rows if row.is_answer and row.voucher_id is None]
    campaigns = campaigns_of(session, run, (row.campaign_version_id for row in wanting))
    bound: list[dict[str, int]] = []
    without: dict[int, Unavailable] = {}
    for row in wanting:
        campaign = campaigns[row.campaign_version_id]
        offer = campaign.message(row.step).offer
        if offer is None:
            continue
        code = reserve(
            session,
            enrollment_id=row.enrollment_id,
            campaign=campaign,
            offer=offer,
            now=run.now,
            must_be_exported=run.must_be_exported,
            rng=run.rng,
        )
        if isinstance(code, int):
            bound.append({"b_id": row.id, "voucher_id": code})
        else:
            without[row.id] = code
    if bound:
        session.connection().execute(_BIND_VOUCHERS, bound)
    return bool(bound), without


_MESSAGES: Final = table_of(Message)
_BIND_VOUCHERS: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"))
    .values(voucher_id=bindparam("voucher_id"))
)


def _postpone(session: Session, run: Run, late: Sequence[tuple[Queued, Postpone]]) -> None:
    if not late:
        return
    session.connection().execute(
        _MOVE_ON,
        [{"b_id": row.id, "due_at": verdict.until, "reason": verdict.why} for row, verdict in late],
    )
    _tell(session, run, [(row, verdict.why) for row, verdict in late])


def _note_paused(session: Session, run: Run, rows: Sequence[Queued], pauses: Pauses) -> None:
    """Say why they wait of those that stand still; they stay due, for the moment it goes on."""
    waiting = [
        (row, f"paused: {why}")
        for row in rows
        if (why := pauses.stops(row.campaign, row.channel)) is not None
    ]
    fresh = [{"b_id": row.id, "reason": why} for row, why in waiting if row.reason != why]
    if fresh:
        session.connection().execute(_SAY_WHY, fresh)
        _tell(session, run, waiting)


def _tell(session: Session, run: Run, waiting: Sequence[tuple[Queued, str]]) -> None:
    record_decisions(
        session,
        [
            {
                "customer_id": row.customer_id,
                "campaign": row.campaign,
                "enrollment_id": row.enrollment_id,
                "what": "postponed",
                "why": f"{row.step}: {why}",
                "at": run.now,
            }
            for row, why in waiting
            # Said once for each reason, however often the gate is asked.
            if row.reason != why
        ],
    )


_SAY_WHY: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.state == MessageState.QUEUED)
    .values(reason=bindparam("reason"))
)
_MOVE_ON: Final = _SAY_WHY.values(due_at=bindparam("due_at"))
