"""The one door to Prefect: run the day as flows, name the runs, publish artifacts.

Imported only by ``flows/`` and, lazily, by commands that were told of a Prefect server.
Parameters, run names, logs and artifacts carry stages, days, ids and counts, never a person.
"""

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prefect import Flow, get_run_logger, runtime
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.logging.handlers import APILogHandler
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from winback.clock import local_date, read_as_of, ten_in_the_morning
from winback.database.tables import StageRun
from winback.day import Counts, Day, watch
from winback.environment import find_home
from winback.house import open_day
from winback.logs import redact_logs
from winback.outcomes.account import build_account
from winback.outcomes.artifacts import artifact_pages
from winback.outcomes.report import build_report
from winback.rehearsal.deployed import deployed_schedule
from winback.rehearsal.page import KEY as REHEARSAL_KEY
from winback.rehearsal.page import rehearsal_page
from winback.rehearsal.walking import rehearse
from winback.settings import load_settings
from winback.shipped import shipped
from winback.states import Stage

logger = logging.getLogger(__name__)

# Prefect has handlers of its own; what its runs say need not stand on our terminal twice.
logging.getLogger("prefect").propagate = False
# Prefect sends what is logged to its server: the net stands there too (FACTS.md SEC-22).
redact_logs("prefect", "prefect.flow_runs", "prefect.task_runs")

_ACCOUNT_DAYS = 7
_ALERT_RESOURCE = {"prefect.resource.id": "winback.business"}
_present: ContextVar[Day | None] = ContextVar("winback_day", default=None)

SECRET_BLOCKS = {
    "SENDGRID_API_KEY": "winback-sendgrid-api-key",
    "TWILIO_ACCOUNT_SID": "winback-twilio-account-sid",
    "TWILIO_AUTH_TOKEN": "winback-twilio-auth-token",
    "SENDGRID_WEBHOOK_KEYS": "winback-sendgrid-webhook-keys",
    "SENDGRID_PARSE_KEYS": "winback-sendgrid-parse-keys",
    "WINBACK_SECRET": "winback-secret",
    "WINBACK_DATABASE_URL": "winback-database-url",
}
"""Secrets that a flow takes from Prefect Secret blocks where the environment has none."""


@contextmanager
def within(day: Day) -> Iterator[None]:
    """Let flows that are called inside use this day, instead of opening one of their own."""
    token = _present.set(day)
    try:
        yield
    finally:
        _present.reset(token)


@asynccontextmanager
async def opened_day(as_of: str | None) -> AsyncIterator[Day]:
    """Give the day that is open already, else open one for as long as the flow runs.

    The instant is asked for here, inside the run: a default argument would freeze at import.
    """
    if (day := _present.get()) is not None:
        yield day
        return
    await _fill_environment_from_blocks()
    async with open_day(as_of, by="flow") as day:
        with within(day):
            yield day


def run_name() -> str:
    """Name a run by its day and stage, e.g. ``send 2026-03-02``; never by a person."""
    flow = str(runtime.flow_run.get_flow_name())
    present = _present.get()
    if present is not None:
        return name_of_run(flow, present.now, present.business.zone)
    zone = load_settings(find_home()).business.zone
    if as_of := runtime.flow_run.get_parameters().get("as_of"):
        return name_of_run(flow, read_as_of(as_of, zone, ten_in_the_morning), zone)
    return name_of_run(flow, runtime.flow_run.get_scheduled_start_time(), zone)


def name_of_run(flow: str, instant: datetime, zone: ZoneInfo) -> str:
    """Name a run by its flow and the business's local day."""
    return f"{flow} {local_date(instant, zone)}"


def is_overtaken(day: Day, stage: Stage) -> bool:
    """Say whether a later run of the same stage already did what this late run was meant for.

    After downtime every missed run starts at once (LIBRARIES: Late runs); since what is due is
    computed from our own database, the first to run does all, and the rest have nothing to add.
    """
    scheduled: datetime | None = runtime.flow_run.get_scheduled_start_time()
    return scheduled is not None and was_done_since(day, stage, scheduled)


def was_done_since(day: Day, stage: Stage, scheduled: datetime) -> bool:
    """Say whether a run that was meant for long ago was done by a flow that began later."""
    if day.now - scheduled < timedelta(minutes=10):
        return False
    with Session(day.business.engine) as session:
        latest = session.scalar(
            select(func.max(StageRun.started_at)).where(
                StageRun.stage == stage,
                StageRun.ended_at.is_not(None),
                StageRun.error == "",
                StageRun.by == "flow",
            )
        )
    return latest is not None and latest > scheduled


def told(stage: Stage, counts: Counts) -> Counts:
    """Say in the run's log what a stage counted, and give it on."""
    said = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
    get_run_logger().info("%s: %s", stage, said)
    return counts


async def publish_counts(stage: Stage, counts: Counts) -> None:
    """Leave what a stage did as an artifact whose key is the same every day."""
    rows = [
        {"counted": name.replace("_", " "), "number": number} for name, number in counts.items()
    ]
    await acreate_table_artifact(
        key=f"winback-{stage}", table=rows, description=f"What the last {stage} run did"
    )


async def publish_day(day: Day, done: dict[str, Counts]) -> None:
    """Leave the day's artifacts: run, funnel, lift, account, and what needs a person."""
    # Read only, so that nobody who writes waits for it.
    engine = day.business.engine.execution_options(winback_reads_only=True)
    with Session(engine) as session:
        report = build_report(session, day.business, now=day.now)
        account = build_account(session, day.business, now=day.now, days=_ACCOUNT_DAYS)
    pages = artifact_pages(report, done, account, web_url=day.business.settings.base_url)
    await asyncio.gather(
        *(
            acreate_markdown_artifact(key=page.key, markdown=page.text, description=page.title)
            for page in pages
        )
    )


async def publish_rehearsal(day: Day) -> None:
    """Leave what the days to come would bring, by the schedule of the home's ``prefect.yaml``."""
    if not day.rehearses_days:
        return
    business, settings = day.business, day.business.settings
    done = await rehearse(
        business,
        # The day itself is over; what is left of it are its sends.
        now=day.now + timedelta(seconds=1),
        days=day.rehearses_days,
        schedule=deployed_schedule(business.environment.home),
        clock=day.clock,
    )
    page = rehearsal_page(
        done,
        currency=settings.business.currency,
        policies=settings.policies,
        mode=settings.mode,
    )
    await acreate_markdown_artifact(
        key=REHEARSAL_KEY, markdown=page, description=f"What the days from {done.days[0]} bring"
    )


@asynccontextmanager
async def watched(day: Day) -> AsyncIterator[None]:
    """Tell the operator afterwards what must not wait, however the stages inside ended.

    What is new goes to the alert targets, to the run's log, and as an event ``winback.alert``
    to Prefect, on which its automations can act.
    """
    try:
        yield
    finally:
        for said in await watch(day):
            get_run_logger().warning("%s", said)
            emit_event("winback.alert", _ALERT_RESOURCE, payload={"says": said})


async def note_failure(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Leave word of a failed run where people look for what needs them."""
    logger.error("flow %s run %s ended %s", flow.name, flow_run.id, state.name)
    await acreate_markdown_artifact(
        key="winback-failure",
        markdown=(
            f"## {flow.name} ended {state.name}\n\n"
            f"Run `{flow_run.name}`. What it had committed stands, and the next run goes on from "
            "there; nothing is sent twice. See the run's log for the cause.\n"
        ),
        description=f"The last failed run: {flow_run.name}",
    )


async def run_reactivate(day: Day) -> dict[str, Counts]:
    """Run the day through Prefect: the flow ``reactivate`` of the home folder, else the shipped."""
    home = day.business.environment.home
    holder = home if (home / "flows" / "reactivate.py").exists() else shipped("flows")
    if str(holder) not in sys.path:
        sys.path.insert(0, str(holder))
    reactivate = importlib.import_module("flows.reactivate").reactivate
    with within(day):
        done: dict[str, Counts] = await reactivate()
    return done


async def flush_logs() -> None:
    """Wait until the logs of runs are with the server; without it the last lines get lost."""
    await APILogHandler.aflush()


async def _fill_environment_from_blocks() -> None:
    for name, block in SECRET_BLOCKS.items():
        if os.environ.get(name):
            continue
        try:
            secret: Any = await Secret.aload(block)
        except ValueError:
            # There is no such block: the setting stays as the environment has it.
            continue
        os.environ[name] = str(secret.get())
