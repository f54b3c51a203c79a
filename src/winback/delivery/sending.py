"""Send what is due: plan, claim, call, record, until nothing more is due now.

Claims are committed before their calls, results after; no transaction is open during HTTP
(FACTS.md DS-2). A worker whose lease others have ended claims nothing and calls nobody any more.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from random import Random

from sqlalchemy.orm import Session

from winback.business import Business
from winback.clock import Clock, Wait
from winback.database.engine import salt_of
from winback.delivery.calling import Desk
from winback.delivery.closing import channels_to_try
from winback.delivery.counts import SendCounts
from winback.delivery.doubting import settle_doubts
from winback.delivery.isolating import Isolation
from winback.delivery.leases import leased
from winback.delivery.outbox import Outbox
from winback.delivery.queueing import queue_due
from winback.delivery.run import Run
from winback.providers.outgoing import Sender
from winback.states import Channel


async def send_due(
    business: Business,
    senders: Mapping[Channel, Sender],
    *,
    now: datetime,
    is_present: bool,
    clock: Clock,
    rng: Random,
    wait: Wait = asyncio.sleep,
) -> SendCounts:
    """Plan and send all that is due at ``now``; safe to repeat, and by several workers at once.

    ``clock`` is the machine's: leases, pace and polls go by it. A run that ``is_present`` goes
    with it, so that hours and caps hold however long it takes; any other stays at ``now``.
    ``wait`` lets the time of a pace go by. A message whose call did not end clearly becomes
    ``unconfirmed`` and is not sent again.
    """
    counts = SendCounts()
    with leased(business.engine, clock) as lease:
        providers = {channel: sender.name for channel, sender in senders.items()}
        with Session(business.engine.execution_options(winback_reads_only=True)) as session:
            run = Run(business, now, rng, providers, salt_of(session))
        doubts, enrollments = Isolation("message"), Isolation("enrollment")
        counts.unconfirmed = settle_doubts(run, doubts, at=clock.now())
        queued = queue_due(run, enrollments)
        counts.cases, counts.skipped = queued.cases, queued.skipped
        counts.postponed = queued.postponed
        desk = Desk(run, senders, lease, clock, wait, is_patient=is_present)
        with Session(run.reads) as session:
            desk.channels.to_try = channels_to_try(session, run.now)
        in_flight = business.settings.policies.in_flight
        outbox = Outbox(desk, counts, in_flight=in_flight, is_present=is_present)
        await _send_queued(outbox)
    # Last of all: whoever can be written to is, and yet the run failed.
    for isolation in (doubts, enrollments, outbox.claimer.unprepared):
        isolation.tell()
    return counts


async def _send_queued(outbox: Outbox) -> None:
    """Send until nothing is due that was not looked at: a refusal may queue the other channel."""
    while not outbox.desk.lease.is_lost and outbox.look():
        # Each pass asks anew who is busy; a channel that was closed is noted in the database.
        outbox.desk.channels.resting.clear()
        await outbox.send_all()
        await outbox.wait_for_others()
