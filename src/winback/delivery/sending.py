"""Send what is due: plan, claim, call, record, until nothing more is due now.

Claims are committed before their calls, results after; no transaction is open during HTTP
(FACTS.md DS-2). Claims are small, so that a crash leaves few rows in doubt.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.engine import salt_of
from winback.database.tables import Message
from winback.delivery.claiming import claim, due_messages
from winback.delivery.composing import Claimed, write
from winback.delivery.doubting import settle_doubts
from winback.delivery.gate import Hold
from winback.delivery.queueing import queue_due
from winback.delivery.recording import PAUSE, Called, back_off, record_results
from winback.delivery.run import Run
from winback.errors import TemplateError
from winback.failpoints import committing
from winback.providers.outgoing import Accepted, Busy, Refused, Result, Sender, Unclear
from winback.states import Channel, MessageState

_log = logging.getLogger(__name__)

IN_FLIGHT = 64
"""Calls at once, and claims without a result at most."""

_RECORD_AT = 64
_BUSY_IN_A_ROW = 10
"""So many refusals for being busy, one after the other, and the channel rests for this run."""


@dataclass(slots=True)
class SendCounts:
    """What one run of the send path did."""

    accepted: int = 0
    unconfirmed: int = 0
    postponed: int = 0
    skipped: int = 0
    failed: int = 0
    cases: int = 0
    """Calls and letters that became due, and wait for an associate."""


@dataclass(slots=True)
class _Flow:
    """The calls on their way, what they brought, and the channels that rest."""

    run: Run
    senders: Mapping[Channel, Sender]
    waiting: list[Claimed] = field(default_factory=list)
    """Claimed, and surely not called yet."""
    calls: dict[asyncio.Task[Called], Claimed] = field(default_factory=dict)
    ended: list[Called] = field(default_factory=list)
    resting: dict[Channel, Hold] = field(default_factory=dict)
    busy: dict[Channel, int] = field(default_factory=dict)


async def send_due(
    business: Business,
    senders: Mapping[Channel, Sender],
    *,
    now: datetime,
    rng: Random,
    in_flight: int = IN_FLIGHT,
) -> SendCounts:
    """Plan and send all that is due at ``now``; safe to repeat, and by several workers at once.

    A message whose call did not end clearly becomes ``unconfirmed`` and is not sent again.
    """
    counts = SendCounts()
    with Session(business.engine) as session, committing(session.begin(), "send.settle"):
        providers = {channel: sender.name for channel, sender in senders.items()}
        run = Run(business, now, rng, providers, salt_of(session))
        counts.unconfirmed = settle_doubts(session, run)
    queued = queue_due(run)
    counts.cases, counts.skipped, counts.postponed = (
        queued.cases,
        queued.skipped,
        queued.postponed,
    )
    seen: set[int] = set()
    # A refusal may queue the same step on its other channel: look until nothing is new.
    while fresh := [id_ for id_ in _due(run) if id_ not in seen]:
        seen.update(fresh)
        await _send_all(_Flow(run, senders), fresh, counts, in_flight=in_flight)
    return counts


def _due(run: Run) -> list[int]:
    with Session(run.reads) as session:
        return due_messages(session, run.now)


async def _send_all(flow: _Flow, ids: Sequence[int], counts: SendCounts, *, in_flight: int) -> None:
    size = max(1, in_flight // 2)
    try:
        for chunk in _chunks(ids, size):
            # Claimed is only what can be called at once: little to doubt if we die, and a no
            # that comes meanwhile is seen by the next claim.
            while len(flow.calls) > in_flight - size:
                await _collect(flow)
            with (
                Session(flow.run.business.engine) as session,
                committing(session.begin(), "send.claim"),
            ):
                claims = claim(session, flow.run, chunk, resting=flow.resting)
            counts.postponed += claims.postponed
            counts.skipped += claims.skipped
            flow.waiting.extend(claims.claimed)
            _call_waiting(flow)
            if len(flow.ended) >= _RECORD_AT:
                _record(flow, counts)
        while flow.calls:
            await _collect(flow)
    except BaseException:
        await _give_up(flow)
        _record(flow, counts)
        raise
    _record(flow, counts)


def _call_waiting(flow: _Flow) -> None:
    """Start the calls of what was claimed; of a channel found closed meanwhile none is made."""
    while flow.waiting:
        claimed = flow.waiting[0]
        if claimed.channel in flow.resting:
            flow.ended.append(Called(claimed, _rests(flow, claimed.channel)))
        else:
            flow.calls[asyncio.create_task(_call(flow, claimed))] = claimed
        flow.waiting.pop(0)


def _rests(flow: _Flow, channel: Channel) -> Busy:
    hold = flow.resting[channel]
    return Busy((hold.until - flow.run.now).total_seconds(), hold.why)


async def _collect(flow: _Flow) -> None:
    done, _ = await asyncio.wait(flow.calls, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        del flow.calls[task]
        called = task.result()
        flow.ended.append(called)
        _watch(flow, called)


def _watch(flow: _Flow, called: Called) -> None:
    """Let a channel rest when its account was refused, or when it is busy again and again."""
    channel, result = called.claimed.channel, called.result
    if isinstance(result, Refused) and result.scope == "channel":
        flow.resting[channel] = Hold(flow.run.now + PAUSE, f"{result.code} {result.reason}")
    flow.busy[channel] = flow.busy.get(channel, 0) + 1 if isinstance(result, Busy) else 0
    if isinstance(result, Busy) and flow.busy[channel] >= _BUSY_IN_A_ROW:
        flow.resting[channel] = Hold(back_off(flow.run, result), f"busy: {result.reason}")


async def _call(flow: _Flow, claimed: Claimed) -> Called:
    if claimed.channel in flow.resting:
        # Found closed by another call since this one was started: surely not sent.
        return Called(claimed, _rests(flow, claimed.channel))
    try:
        words = write(flow.run, claimed)
    except TemplateError as broken:
        return Called(claimed, Refused("template", str(broken), "message"))
    try:
        result: Result = await flow.senders[claimed.channel].send(words.outgoing)
    except Exception as broken:  # noqa: BLE001 - the edge of the send loop
        # One message must not stop the batch, and nobody knows whether this one went. What the
        # exception itself says may hold an address, so only its kind is told.
        kind = type(broken).__name__
        _log.error("message %d: the sender failed with %s", claimed.message_id, kind)
        result = Unclear(f"the sender failed with {kind}")
    return Called(claimed, result, words.segments, words.cost)


async def _give_up(flow: _Flow) -> None:
    """Stop in the middle: what was being called is in doubt, what was not goes back."""
    for task in flow.calls:
        task.cancel()
    await asyncio.gather(*flow.calls, return_exceptions=True)
    for task, claimed in flow.calls.items():
        is_known = not task.cancelled() and task.exception() is None
        flow.ended.append(task.result() if is_known else Called(claimed, Unclear("interrupted")))
    flow.ended.extend(Called(claimed, Busy(reason="interrupted")) for claimed in flow.waiting)
    flow.calls.clear()
    flow.waiting.clear()


def _record(flow: _Flow, counts: SendCounts) -> None:
    ended, flow.ended = flow.ended, []
    if not ended:
        return
    with (
        Session(flow.run.business.engine) as session,
        committing(session.begin(), "send.record"),
    ):
        record_results(session, flow.run, ended)
    for one in ended:
        match one.result:
            case Accepted():
                counts.accepted += 1
            case Unclear():
                counts.unconfirmed += 1
            case Refused(scope="channel") | Busy():
                counts.postponed += 1
            case Refused():
                counts.failed += 1


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def unresolved(session: Session) -> Sequence[int]:
    """Give the ids of all messages in doubt, oldest first: what an operator must know of."""
    return session.scalars(
        select(Message.id)
        .where(Message.state == MessageState.UNCONFIRMED)
        .order_by(Message.claimed_at, Message.id)
    ).all()
