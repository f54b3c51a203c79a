"""The stages of the day, in order, as plain async functions: what flows wrap and ``run`` calls.

Each stage records its run in ``stage_runs`` and may be run twice (DESIGN.md, section 3).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from random import Random, SystemRandom
from typing import Final

from sqlalchemy import bindparam, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from winback.business import Business
from winback.clock import Clock, Wait
from winback.database.retrying import transacted
from winback.database.tables import StageRun, table_of
from winback.delivery.admitting import mails_for_new
from winback.delivery.brakes import apply_brakes
from winback.delivery.evidence import resolve_doubts
from winback.delivery.sending import send_due
from winback.enrollment.detecting import detect as detect_lapses
from winback.enrollment.moving import close_windows
from winback.failpoints import calling, committing
from winback.outcomes.measuring import measure as measure_outcomes
from winback.providers.lookups import Lookup
from winback.providers.outgoing import Sender
from winback.providers.suppression_lists import SuppressionLists
from winback.responses.applying import respond as respond_to_events
from winback.responses.lists import take_lists
from winback.sources.config import load_sources
from winback.sources.pulling import Progress, pull_sources
from winback.states import Channel, Stage
from winback.vouchers.reserving import release_ended
from winback.watching import look_after

logger = logging.getLogger(__name__)

Counts = dict[str, int]
_HEARTBEAT_SECONDS: Final = 10
_LONGEST_ERROR: Final = 64

_RUNS: Final = table_of(StageRun)
_BEGIN_RUN: Final = insert(_RUNS).returning(_RUNS.c.id)
_END_RUN: Final = (
    update(_RUNS)
    .where(_RUNS.c.id == bindparam("run_id"))
    .values(ended_at=bindparam("ended_at"), counts=bindparam("counts"), error=bindparam("error"))
)


@dataclass(frozen=True, slots=True)
class Day:
    """One day's work: the business, the instant it begins at, and the ways out of the house.

    Decisions go by ``now()``; ``clock`` is the machine's, for what is really measured: the record
    of runs, leases, the pace of sends. ``deliver_news`` lets stand-ins report what became of
    messages; real providers report by themselves. Without ``lookups`` doubts wait for webhooks.
    Without ``lists`` nobody's own list of suppressions is taken over.
    """

    business: Business
    opened_at: datetime
    clock: Clock
    senders: Mapping[Channel, Sender] = field(default_factory=dict)
    lookups: Mapping[Channel, Lookup] = field(default_factory=dict)
    lists: SuppressionLists | None = None
    deliver_news: Callable[[], Awaitable[None]] | None = None
    rng: Random = field(default_factory=SystemRandom)
    wait: Wait = asyncio.sleep
    """How sends wait for their pace; a rehearsal moves its clock instead."""
    by: str = "direct"
    rehearses_days: int = 7
    """How many days to come the day's flow rehearses for its artifact; 0 for none."""
    goes_by: Clock | None = None
    """What a day in the present goes by; None where it stands at ``opened_at`` to its end."""

    @property
    def is_present(self) -> bool:
        """Say whether time goes by in it: each stage happens when it begins, not when the day did.

        A pull may take an hour; what is decided after it must know what it brought, and keep the
        hours of the hour in which it happens.
        """
        return self.goes_by is not None

    def now(self) -> datetime:
        """Give the instant at which what begins now happens."""
        return self.opened_at if self.goes_by is None else self.goes_by.now()


async def pull(day: Day, *, only: str | None = None, progress: Progress | None = None) -> Counts:
    """Pull every source and the providers' lists, or one named source; safe to repeat.

    Raises SourceError when a source cannot be read; what other sources gave is kept.
    """
    business, environment = day.business, day.business.environment
    with _recorded(day, Stage.PULL) as (counts, now):
        pulled = pull_sources(
            business.engine,
            load_sources(environment.home),
            only=only,
            settings=business.settings,
            secret=business.secret,
            home=environment.home,
            now=now,
            progress=progress,
        )
        counts.update(asdict(pulled))
        if only is None:
            # After the customers, so that a no on a list finds its person.
            await _take_lists(day, counts)
    return counts


async def detect(day: Day) -> Counts:
    """Enroll who has newly lapsed, in every campaign; safe to repeat."""
    business = day.business
    with _recorded(day, Stage.DETECT) as (counts, now):
        detected = detect_lapses(
            business.engine,
            business.campaigns,
            settings=business.settings,
            now=now,
            mail_room=partial(mails_for_new, business=business, now=now),
        )
        counts.update(asdict(detected))
    return counts


async def send(day: Day) -> Counts:
    """Send what is due, let the providers' news come in, and ask them about doubts.

    Safe to repeat: a claim is a guarded update, and what is unclear is never sent again.
    """
    with _recorded(day, Stage.SEND) as (counts, now):
        with Session(day.business.engine) as session, committing(session.begin(), "send.brake"):
            apply_brakes(session, now=now, settings=day.business.settings)
        counts.update(
            asdict(
                await send_due(
                    day.business,
                    day.senders,
                    now=now,
                    is_present=day.is_present,
                    clock=day.clock,
                    rng=day.rng,
                    wait=day.wait,
                )
            )
        )
        if day.deliver_news is not None:
            await day.deliver_news()
        # A pace may have taken hours.
        counts.update(asdict(await resolve_doubts(day.business, day.lookups, now=day.now())))
    return counts


async def respond(day: Day) -> Counts:
    """Ask the providers about doubts, then apply events and purchases; safe to repeat.

    Lists that the day's pull could not read, as when a source failed, are read here.
    """
    with _recorded(day, Stage.RESPOND) as (counts, now):
        counts.update(asdict(await resolve_doubts(day.business, day.lookups, now=now)))
        await _take_lists(day, counts)
        # The providers may have been slow to answer, and events came in meanwhile.
        counts.update(asdict(respond_to_events(day.business, day.now())))
    return counts


async def _take_lists(day: Day, counts: Counts) -> None:
    """Take over the providers' suppression lists where it is time for it (FACTS.md SG-40)."""
    if day.lists is not None:
        listed = await take_lists(day.business, day.lists, now=day.now())
        if listed is not None:
            counts["listed"] = listed


async def measure(day: Day) -> Counts:
    """Close windows that are over and bring outcomes up to date; safe to repeat."""
    business = day.business
    with _recorded(day, Stage.MEASURE) as (counts, now):
        end_windows(day)
        measured = measure_outcomes(business.engine, settings=business.settings, now=now)
        counts.update(asdict(measured))
    return counts


def end_windows(day: Day) -> int:
    """Close windows that are over, and free codes that nobody will get; safe to repeat.

    Gives how many codes are free again, for whom an offer had none left.
    """
    now = day.now()

    def close(session: Session) -> int:
        close_windows(session, now=now)
        return release_ended(session, now)

    return transacted(day.business.engine, "measure.close", close)


STAGES: dict[Stage, Callable[[Day], Awaitable[Counts]]] = {
    Stage.PULL: pull,
    Stage.DETECT: detect,
    Stage.SEND: send,
    Stage.RESPOND: respond,
    Stage.MEASURE: measure,
}


async def run(day: Day) -> dict[str, Counts]:
    """Run the day once, all stages in order; gives what each counted."""
    try:
        done = {str(stage): await stage_of(day) for stage, stage_of in STAGES.items()}
    finally:
        await watch(day)
    await beat(day)
    return done


async def alone(day: Day, stage: Stage) -> Counts:
    """Run one stage by itself, as a schedule or a person does."""
    try:
        return await STAGES[stage](day)
    finally:
        await watch(day)


async def watch(day: Day) -> list[str]:
    """Tell the operator what is new and must not wait; gives the sentences."""
    return await asyncio.to_thread(look_after, day.business, now=day.now(), at=day.clock.now())


async def beat(day: Day) -> bool:
    """Ping ``heartbeat_url`` after a day that went to its end; silence elsewhere is the alarm.

    Carries nothing but the request itself. Gives whether it was heard; a watcher that is away
    never fails the day.
    """
    url = day.business.settings.heartbeat_url
    if url is None:
        return False
    import aiohttp  # noqa: PLC0415 - a quarter of a second to load, and few have a heartbeat

    try:
        with calling("heartbeat"):
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=_HEARTBEAT_SECONDS)
                ) as client,
                client.get(url) as answer,
            ):
                return answer.ok
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        logger.warning("the heartbeat was not heard: %s", type(error).__name__)
        return False


@contextmanager
def _recorded(day: Day, stage: Stage) -> Iterator[tuple[Counts, datetime]]:
    """Write down that a stage began, and what it counted or by what it failed when it ended.

    Gives what to count in, and the instant of the stage.
    """
    counts: Counts = {}
    now = day.now()
    begun = {
        "stage": stage,
        "as_of": now,
        "started_at": day.clock.now(),
        "by": day.by,
        "counts": {},
    }
    with committing(day.business.engine.begin(), "run.begin") as connection:
        run_id = connection.execute(_BEGIN_RUN, begun).scalar_one()
    try:
        yield counts, now
    except BaseException as broken:
        try:
            _end(day, run_id, counts, error=type(broken).__name__)
        except SQLAlchemyError as also:
            # The database may be what broke the stage; the first cause is the one to be told.
            logger.warning("the failure of %s is not noted: %s", stage, type(also).__name__)
        raise
    _end(day, run_id, counts)


def _end(day: Day, run_id: int, counts: Counts, *, error: str = "") -> None:
    """Note the end of a run; of an error only its kind, since what it says may name a person."""
    ended = {
        "run_id": run_id,
        "ended_at": day.clock.now(),
        "counts": dict(counts),
        "error": error[:_LONGEST_ERROR],
    }
    with committing(day.business.engine.begin(), "run.end") as connection:
        connection.execute(_END_RUN, ended)
