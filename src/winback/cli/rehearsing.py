"""``winback rehearse``: the days to come, nothing written and nothing sent."""

import asyncio
import re
import sys
from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, print_table, say

if TYPE_CHECKING:
    from winback.business import Business
    from winback.rehearsal.results import Rehearsal
    from winback.rehearsal.schedule import Schedule
    from winback.rehearsal.telling import Ids

_CHUNK = 2_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rehearse)


def rehearse(
    *,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to play.")] = 7,
    at: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="Local time of the daily run.")
    ] = None,
    send_every: Annotated[
        int | None,
        typer.Option(
            min=0, max=1440, metavar="MINUTES", help="Sends between the daily runs; 0 for none."
        ),
    ] = None,
    as_json: AsJson = False,
    as_of: AsOf = None,
) -> None:
    """Play the next days of every campaign; nothing is written, nobody is reached.

    The real plan and the real gate, on a private copy: who would get what and when, on which
    channel, the cost, the codes and the calls it takes, and what caps and hours postpone. Running
    the same days does exactly that, unless people respond or buy.

    Taken as running: the day at 10:00, as by winback run; beside winback up, or with
    PREFECT_API_URL set, what prefect.yaml says.

    Example: winback rehearse --days 14 --send-every 15
    """
    from winback.clock import SystemClock
    from winback.rehearsal.telling import facts
    from winback.rehearsal.walking import rehearse as play

    with opened(as_of, writes=False) as (business, now):
        schedule = _schedule(business, at, send_every, now=now, days=days)
        done = asyncio.run(
            play(business, now=now, days=days, schedule=schedule, clock=SystemClock())
        )
        settings = business.settings
        if as_json:
            print_json(
                facts(
                    done,
                    _ids(business, done),
                    currency=settings.business.currency,
                    policies=settings.policies,
                    mode=settings.mode,
                )
            )
        else:
            _print(business, done)


def _schedule(
    business: "Business", at: str | None, send_every: int | None, *, now: datetime, days: int
) -> "Schedule":
    from dataclasses import replace
    from datetime import timedelta

    from winback.rehearsal.schedule import Schedule

    schedule = Schedule()
    is_told = at is not None and send_every is not None
    if not is_told and _is_deployed(business):
        schedule = asyncio.run(_deployed(business, now=now, days=days))
    if at is not None:
        schedule = replace(schedule, day_at=_time(at), day_by=None)
    if send_every is not None:
        every = timedelta(minutes=send_every) if send_every else None
        schedule = replace(schedule, send_every=every, sends_by=None)
    return schedule


def _is_deployed(business: "Business") -> bool:
    from winback.dashboard import noted_server

    environment = business.environment
    return environment.prefect_api_url is not None or noted_server(environment.var) is not None


async def _deployed(business: "Business", *, now: datetime, days: int) -> "Schedule":
    from winback.orchestration import scheduled_dates
    from winback.rehearsal.deployed import deployed_schedule, deployment_mistakes

    home, zone = business.environment.home, business.zone
    for mistake in deployment_mistakes(home):
        sys.stderr.write(f"{mistake}; the schedules of the shipped file are taken\n")
    return await deployed_schedule(home, now=now, days=days, zone=zone, dates=scheduled_dates)


def _time(written: str) -> time:
    # Nothing more than that: an offset or seconds would be dropped without a word.
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", written)
    if found is None:
        raise typer.BadParameter(f"{written!r} is no local time: write 10:00")
    return time(int(found[1]), int(found[2]))


def _ids(business: "Business", done: "Rehearsal") -> "Ids":
    from sqlalchemy.orm import Session

    from winback.lapse.listing import ids_of

    sent, entered = done.sendings, done.entries
    people = sorted({*(one.customer_id for one in sent), *(one.customer_id for one in entered)})
    with Session(business.engine.execution_options(winback_reads_only=True)) as session:
        found: dict[int, dict[str, list[str]]] = {}
        for start in range(0, len(people), _CHUNK):
            found |= ids_of(session, people[start : start + _CHUNK])
        return found


def _print(business: "Business", done: "Rehearsal") -> None:
    from winback.rehearsal.telling import needs, says_when, totals
    from winback.states import Channel

    settings = business.settings
    say(f"If nobody responds or buys, and winback runs so: {says_when(done.schedule)}.")
    print_table(
        f"{len(done.days)} days from {done.days[0]}",
        ("day", "enrolled", "held out", *Channel, "segments", "cost"),
        [
            (
                f"{one.day:%a} {one.day}",
                one.enrolled,
                one.held_out,
                *(one.by_channel[channel] for channel in Channel),
                one.segments,
                f"{one.cost:.2f}",
            )
            for one in totals(done)
        ],
    )
    for says in needs(
        done,
        currency=settings.business.currency,
        policies=settings.policies,
        mode=settings.mode,
    ):
        say(says)
    for one in (*done.postponed, *done.passed):
        say(f"{one.count:,} {one.what}: {one.why}")
