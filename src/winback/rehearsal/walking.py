"""Play the days to come: the very stages of the day, on a copy, with a provider that is nobody.

Nothing here knows a rule of planning: detect, send, respond and the ending of windows are those
of ``day``, so what is rehearsed is what happens (DESIGN.md, promise P9). The copy is a SQLite file
of its own whatever the business's database is: that one is only read, in one transaction that
locks no row, so neither the outbox nor anybody who works with it waits. The pace of a channel is
played too, in a time that goes by at once, so a batch is cut off where its hours end.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.orm import Session

from winback import day as stages
from winback.business import Business
from winback.clock import Clock, SetClock, day_start, local_date
from winback.database.copying import make_scratch, reading
from winback.database.tables import Installation, Message, table_of
from winback.day import Day
from winback.delivery.rehearsing import RehearsingSender
from winback.enrollment.value import compute_threshold, is_to_be_set
from winback.errors import ConfigError
from winback.rehearsal import reading as found
from winback.rehearsal.copying import Copied, copy_business
from winback.rehearsal.late import Late, put_off
from winback.rehearsal.results import Rehearsal
from winback.rehearsal.schedule import Moment, Schedule, dates_played, moments
from winback.states import Channel, MessageState

_WRITTEN: Final = (Channel.EMAIL, Channel.SMS)
_FOLDER: Final = "rehearsal-"
_LEFT_BEHIND: Final = timedelta(days=1)
"""A copy of this age was left by a process that was killed."""

_DEEDS: Final = ("accepted", "unconfirmed", "skipped", "failed", "cases")
"""What a send counts when it has done something; what is postponed waits for its own time."""

_DOUBT_ENDS: Final = timedelta(days=2)
_STATE: Final = Message.state
_COMES_DUE: Final = select(func.min(Message.due_at)).where(_STATE == MessageState.QUEUED)
_IS_SENDING: Final = select(Message.id).where(_STATE == MessageState.SENDING).limit(1)
_DOUBTED: Final = select(func.max(Message.claimed_at)).where(_STATE == MessageState.UNCONFIRMED)

Thresholds = Mapping[date, Decimal | None]


async def rehearse(
    business: Business, *, now: datetime, days: int, schedule: Schedule, clock: Clock
) -> Rehearsal:
    """Play so many local days from ``now`` on; writes nothing to the business's database.

    ``clock`` is the machine's: it tells which workers are alive. What they are sending at this
    moment counts as accepted. Raises ConfigError for an instant that the database has passed.
    """
    _never_backwards(business, now)
    played = tuple(moments(schedule, now=now, days=days, zone=business.zone))
    dates = tuple(dates_played(schedule, now=now, days=days, zone=business.zone))
    with _scratch(business, clock) as scratch:
        with reading(business.engine) as source:
            copied = copy_business(
                source, scratch, business, now=now, until=dates[-1], alive_at=clock.now()
            )
            thresholds = _thresholds(source, business, played, now=now)
        late = await _walk(_on_copy(business, scratch), played, thresholds)
        begins_at = played[0].at if played else now
        done = _told(scratch, copied, business, begins_at, dates=dates, schedule=schedule)
        return replace(done, put_off={channel: len(ids) for channel, ids in sorted(late.items())})


def _never_backwards(business: Business, now: datetime) -> None:
    with Session(business.engine.execution_options(winback_reads_only=True)) as session:
        latest = session.scalars(select(Installation.latest_as_of)).one()
    if latest is not None and now < latest:
        raise ConfigError(
            f"this database already stands at {latest:%Y-%m-%dT%H:%MZ}; rehearse from then on, "
            f"with --as-of {local_date(latest, business.zone)}"
        )


async def _walk(business: Business, played: Sequence[Moment], thresholds: Thresholds) -> Late:
    """Play the moments; gives what a pace kept past its hours."""
    idle_until: datetime | None = None
    late: Late = {}
    for number, moment in enumerate(played):
        if idle_until is not None and not moment.is_day and moment.at < idle_until:
            continue
        responds = moment.is_day or number == 0
        clock = SetClock(moment.at)
        stirs = await _play(business, moment, clock, thresholds=thresholds, responds=responds)
        idle_until = None if stirs else _idle_until(business, moment.at)
        if clock.now() > moment.at:
            kept = put_off(business, begun=moment.at, ended=clock.now())
            for channel, ids in kept.items():
                late.setdefault(channel, set()).update(ids)
    return late


def _idle_until(business: Business, at: datetime) -> datetime:
    """Say until when sends find nothing to do, after a moment in which nothing happened.

    That is so on the same day as long as no queued message comes due and none is in doubt: a
    quarter-hourly send is mostly idle, and skipping what is idle changes nothing.
    """
    day_ends = day_start(local_date(at, business.zone) + timedelta(days=1), business.zone)
    with Session(business.engine.execution_options(winback_reads_only=True)) as session:
        doubted_at = session.scalars(_DOUBTED).one()
        is_in_doubt = doubted_at is not None and doubted_at > at - _DOUBT_ENDS
        if is_in_doubt or session.scalars(_IS_SENDING).first() is not None:
            return at
        comes_due = session.scalars(_COMES_DUE).one()
    return min(day_ends, comes_due) if comes_due else day_ends


async def _play(
    business: Business,
    moment: Moment,
    clock: SetClock,
    *,
    thresholds: Thresholds,
    responds: bool,
) -> bool:
    """Play one moment; says whether anything happened that the next send could act on.

    ``clock`` begins at the moment and goes on where a pace takes time.
    """
    day = Day(
        business,
        moment.at,
        clock,
        {channel: RehearsingSender(channel) for channel in _WRITTEN},
        # Only codes and send ids are drawn from it, and nobody gets these.
        rng=Random(str(moment.at)),  # noqa: S311 - see above
        wait=partial(_pass_time, clock),
        goes_by=clock,
    )
    if moment.is_day:
        _set_threshold(business.engine, thresholds, local_date(moment.at, business.zone))
        await stages.detect(day)
    sent = await stages.send(day)
    stirs = any(sent[name] for name in _DEEDS)
    if responds:
        # With each day; and what the receiver stored before, after the first send.
        heard = await stages.respond(day)
        stirs = stirs or any(heard.values())
    if moment.is_day:
        freed = stages.end_windows(day)
        stirs = stirs or freed > 0
    return stirs


async def _pass_time(clock: SetClock, seconds: float) -> None:
    """Let the time of a pace go by at once; who waits beside goes on, too."""
    until = clock.now() + timedelta(seconds=max(0.0, seconds))
    await asyncio.sleep(0)
    clock.set_to(max(clock.now(), until))


@contextmanager
def _scratch(business: Business, clock: Clock) -> Iterator[Engine]:
    """Give an empty database in a folder of its own under ``var/``, deleted afterwards."""
    var = business.environment.var
    var.mkdir(parents=True, exist_ok=True)
    _sweep(var, clock)
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=var) as folder:
        engine = make_scratch(Path(folder) / "copy.db")
        try:
            yield engine
        finally:
            engine.dispose()


def _sweep(var: Path, clock: Clock) -> None:
    for left in var.glob(f"{_FOLDER}*"):
        made_at = datetime.fromtimestamp(left.stat().st_mtime, UTC)
        if made_at < clock.now() - _LEFT_BEHIND:
            shutil.rmtree(left, ignore_errors=True)


def _on_copy(business: Business, scratch: Engine) -> Business:
    """Give the business on the copy, with every road out of the house closed.

    What the shelf has published belongs to one database.
    """
    return replace(
        business,
        settings=business.settings.model_copy(update={"heartbeat_url": None}),
        environment=replace(
            business.environment,
            sendgrid_api_key=None,
            twilio_account_sid=None,
            twilio_auth_tokens=(),
            sendgrid_url=None,
            twilio_url=None,
            alert_urls=(),
        ),
        engine=scratch,
        shelf=replace(business.shelf, kept={}),
    )


def _thresholds(
    source: Connection, business: Business, played: Sequence[Moment], *, now: datetime
) -> Thresholds:
    """Compute the values that each week's detect would set, over everyone's purchases.

    The copy has only the purchases of some, so it is told. Nobody buys in a rehearsal: what comes
    after ``now``, where that lies in the past, does not count.
    """
    settings = business.settings
    found_so_far: dict[date, Decimal | None] = {}
    with Session(source) as session:
        set_on = session.scalars(select(Installation.value_set_on)).one()
        for moment in played:
            today = local_date(moment.at, business.zone)
            if not moment.is_day or not is_to_be_set(set_on, today):
                continue
            found_so_far[today] = compute_threshold(
                session,
                share=settings.value.high,
                now=moment.at,
                zone=business.zone,
                currency=settings.business.currency,
                known_until=now,
            )
            set_on = today
    return found_so_far


def _set_threshold(scratch: Engine, thresholds: Thresholds, today: date) -> None:
    if today in thresholds:
        values = {"value_threshold": thresholds[today], "value_set_on": today}
        with scratch.begin() as connection:
            connection.execute(update(table_of(Installation)).values(values))


def _told(
    scratch: Engine,
    copied: Copied,
    business: Business,
    begins_at: datetime,
    *,
    dates: tuple[date, ...],
    schedule: Schedule,
) -> Rehearsal:
    with Session(scratch.execution_options(winback_reads_only=True)) as session:
        return Rehearsal(
            begins_at=begins_at,
            days=dates,
            schedule=schedule,
            sendings=found.sendings(session, business.zone),
            entries=found.entries(session, copied),
            codes=found.codes(session),
            postponed=found.postponed(session),
            passed=found.passed(session, copied),
            queued=found.queued(session),
        )
