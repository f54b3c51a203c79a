"""``winback demo``: a year of a real shop in the sandbox, start to finish."""

import asyncio
import gc
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from winback.cli.output import say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from winback.business import Business
    from winback.clock import SetClock
    from winback.dashboard import Dashboard
    from winback.day import Day
    from winback.listening import Sandboxed
    from winback.town.walk import DemoTown

DAYS_AS_FLOWS = 7
"""The last week runs through Prefect, so that the dashboard has something to show."""

AHEAD_DAYS = 7
"""So many days after the last one are rehearsed, nothing sent."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo() -> None:
    """Play a year of a real shop, in the sandbox, start to finish.

    2,357 real customers and their 6,919 real purchases (CDNOW, 1997 to 1998), with made-up
    addresses that reach nobody. Simulated people answer the messages; what is planted is told
    at the end, beside what winback measured without knowing it.

    Example: winback demo
    """
    from winback.dashboard import free_port, start_dashboard
    from winback.environment import read_environment
    from winback.processes import stop

    var = read_environment().var
    home = var / "demo"
    shutil.rmtree(home, ignore_errors=True)
    say("A year of a real shop: 2,357 customers, 6,919 purchases. Nobody is reached.")
    with ExitStack() as stack:
        server = start_dashboard(var / "prefect", free_port())
        stack.callback(stop, server.process)
        done = _play(home, server)
    _tell(home, done)


def _play(home: Path, server: "Dashboard") -> dict[str, Any]:
    from winback.clock import SetClock, day_start
    from winback.house import open_business
    from winback.listening import open_sandbox
    from winback.town.founding import found_home
    from winback.town.walk import FIRST, SEED, ZONE

    # A year in a minute makes millions of short-lived objects; looking for cycles less often
    # saves a twentieth of it.
    gc.set_threshold(100_000, 50, 50)
    found_home(home)
    clock = SetClock(day_start(FIRST, ZONE))
    # A bare environment: no key, no database and no server of anybody's own is touched.
    with ExitStack() as stack:
        business, _ = stack.enter_context(
            open_business(writes=True, home=home, environ={"WINBACK_SECRET": f"demo {SEED}"})
        )
        _fix_the_draw(business, SEED)
        sandboxed = stack.enter_context(
            # With a process of their own: they answer while the next mail is written.
            open_sandbox(business, clock, seed=SEED, applies_at_once=False, is_apart=True)
        )
        return asyncio.run(_walk(sandboxed, clock, server))


async def _walk(sandboxed: "Sandboxed", clock: "SetClock", server: "Dashboard") -> dict[str, Any]:
    from random import Random

    from winback.clock import SystemClock, local_date
    from winback.day import Day, respond, run
    from winback.providers.registry import open_senders
    from winback.town.walk import SEED, DemoTown, days_between, walk

    business = sandboxed.business
    town = DemoTown(
        business.environment.home, sandboxed.stand_ins, receiver_url=sandboxed.receiver_url
    )
    days = days_between()
    rng = Random(SEED)  # noqa: S311 - the demo is the same each time; its codes buy nothing
    settings, environment = business.settings, business.environment
    async with open_senders(settings, environment, clock=clock) as senders:

        def day_at(now: datetime, by: str) -> "Day":
            # The days to come are rehearsed once, on the last day: the dashboard shows the newest.
            is_last = local_date(now, business.zone) == days[-1]
            ahead = AHEAD_DAYS if is_last else 0
            return Day(business, now, SystemClock(), senders, rng=rng, by=by, rehearses_days=ahead)

        async def run_directly(now: datetime) -> None:
            await run(day_at(now, "direct"))

        async def run_as_flow(now: datetime) -> None:
            await run_reactivate(day_at(now, "flow"))

        def set_clock(now: datetime) -> None:
            clock.set_to(now)
            sandboxed.stand_ins.tell_time(now)

        async def settle(now: datetime) -> None:
            await respond(day_at(now, "direct"))

        town.open()
        with _progress(len(days)) as walked:
            on_the_way = partial(walk, town, set_clock=set_clock, settle=settle, walked=walked)
            await on_the_way(days[:-DAYS_AS_FLOWS], run_day=run_directly)
            run_reactivate = _through(server)
            await on_the_way(days[-DAYS_AS_FLOWS:], run_day=run_as_flow)
            await _flush_logs()
    return _compare(business, town, clock.now())


def _fix_the_draw(business: "Business", seed: int) -> None:
    """Draw arms the same each time: the salt is a row of the database."""
    from sqlalchemy import update
    from sqlalchemy.orm import Session

    from winback.database.tables import Installation

    with Session(business.engine) as session, session.begin():
        session.execute(update(Installation).values(salt=f"demo {seed}"))


def _through(server: "Dashboard") -> "Callable[[Day], Awaitable[object]]":
    """Import Prefect, which takes seconds, and point it at the server that was started."""
    server.wait()
    # What the runs log goes to the server, not over the progress on the terminal.
    os.environ.update(server.environment, PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="WARNING")
    from winback.orchestration import run_reactivate

    return run_reactivate


async def _flush_logs() -> None:
    from winback.orchestration import flush_logs

    await flush_logs()


def _compare(business: "Business", town: "DemoTown", now: datetime) -> dict[str, Any]:
    """Set what was planted beside what was measured, and write the report."""
    from sqlalchemy.orm import Session

    from winback.outcomes.html import render_html
    from winback.outcomes.report import build_report

    page = business.environment.home / "report.html"
    with Session(business.engine) as session:
        report = build_report(session, business, now=now)
        planted = town.planted(session, now)
        somebody = _somebody(session)
    page.write_text(render_html(report), encoding="utf-8")
    effect = report.campaigns[0].effect
    difference = effect.difference
    return {
        "planted": round(planted.share, 4),
        "difference": difference and round(difference.estimate, 4),
        "low": difference and round(difference.low, 4),
        "high": difference and round(difference.high, 4),
        "report": str(page),
        "sentence": effect.verdict.sentence,
        "customer": somebody,
        "customers": f"{effect.treated.assigned:,} treated, {effect.holdout.assigned:,} left alone",
    }


@contextmanager
def _progress(days: int) -> "Iterator[Callable[[date], None]]":
    """Show the days go by: a bar on a terminal, a line a month elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    if not sys.stderr.isatty():
        yield lambda day: say(f"  {day:%B %Y} is over") if _is_months_last(day) else None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=days)
        yield lambda day: progress.update(bar, advance=1, description=f"{day:%d %B %Y}")


def _command(base: Path) -> str:
    """Give what to type for winback: the bare name only where the shell finds this one."""
    here = Path(sys.executable).with_name("winback")
    if shutil.which("winback") == str(here):
        return "winback"
    return str(here.relative_to(base) if here.is_relative_to(base) else here)


def _somebody(session: "Session") -> str:
    """Name a customer whose story is worth reading: one that came back and said why before."""
    from sqlalchemy import func, select

    from winback.database.tables import Enrollment, Message, SourceCustomer
    from winback.states import EnrollmentState

    stories = (
        select(SourceCustomer.external_id)
        .join(Enrollment, Enrollment.customer_id == SourceCustomer.customer_id)
        .join(Message, Message.enrollment_id == Enrollment.id)
        .where(Enrollment.state == EnrollmentState.CONVERTED)
        .group_by(SourceCustomer.external_id, Enrollment.reason)
        .order_by(Enrollment.reason.is_(None), func.count().desc(), SourceCustomer.external_id)
    )
    return session.scalars(stories.limit(1)).one()


def _is_months_last(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def _tell(home: Path, done: dict[str, Any]) -> None:
    """End with what was planted, what was found, and what to look at next."""
    base = Path.cwd()
    shown = home.relative_to(base) if home.is_relative_to(base) else home
    say("")
    say(f"Measured: {done.pop('sentence')}")
    say(f"          ({done.pop('customers')}; their windows are over)")
    if done["difference"] is not None:
        say(
            f"Planted:  {done['planted']:.1%} of the treated came back because of a message alone; "
            f"measured {done['difference']:.1%}, between {done['low']:.1%} and {done['high']:.1%}."
        )
    say("")
    command = f"WINBACK_HOME={shown} {_command(base)}"
    person = done.pop("customer")
    say(f"Open      {shown / 'report.html'}")
    say(f"          {_command(base)} up   and its dashboard: the last week as flow runs")
    say(f"Try next  {command} customer {person} --as-of 1998-06-30")
    say(f"          {command} desk --as-of 1998-06-30")
    say(f"          {command} lapsed --as-of 1998-06-30 --eligible")
    say(f"          {command} preview voucher --customer {person} --as-of 1998-06-30")
    say("")
    say(json.dumps(done))
