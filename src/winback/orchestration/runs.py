"""Runs of flows: their names, whether a later one overtook them, how they end and what they say."""

import importlib
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prefect import Flow, get_run_logger, runtime
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.logging.handlers import APILogHandler
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from winback.clock import local_date, read_as_of, ten_in_the_morning
from winback.database.tables import StageRun
from winback.day import Counts, Day, watch
from winback.environment import find_home
from winback.errors import ToldDiscreetly, WinbackError
from winback.orchestration.days import present_day, within
from winback.settings import load_settings
from winback.shipped import shipped
from winback.states import Stage

logger = logging.getLogger(__name__)

_ALERT_RESOURCE = {"prefect.resource.id": "winback.business"}


def run_name() -> str:
    """Name a run by its day and stage, e.g. ``send 2026-03-02``; never by a person.

    By its stage alone where the settings cannot be read: the run itself then tells why.
    """
    flow = str(runtime.flow_run.get_flow_name())
    try:
        return _name_by_day(flow)
    except WinbackError:
        return flow


def _name_by_day(flow: str) -> str:
    present = present_day()
    if present is not None:
        return name_of_run(flow, present.opened_at, present.business.zone)
    zone = load_settings(find_home()).business.zone
    if as_of := runtime.flow_run.get_parameters().get("as_of"):
        return name_of_run(flow, read_as_of(as_of, zone, ten_in_the_morning), zone)
    return name_of_run(flow, runtime.flow_run.get_scheduled_start_time(), zone)


def name_of_run(flow: str, instant: datetime, zone: ZoneInfo) -> str:
    """Name a run by its flow and the business's local day."""
    return f"{flow} {local_date(instant, zone)}"


def is_overtaken(day: Day, *stages: Stage) -> bool:
    """Say whether later runs already did all the stages that this late run was meant for.

    After downtime every missed run starts at once (LIBRARIES: Late runs), or one after the other
    where a worker takes one at a time; since what is due is computed from our own database, the
    first to run does all, and the rest have nothing to add. A day that stands at an instant of
    its own is never overtaken: nobody else stands there.
    """
    scheduled: datetime | None = runtime.flow_run.get_scheduled_start_time()
    if scheduled is None or not day.is_present:
        return False
    return all(was_done_since(day, stage, scheduled) for stage in stages)


def was_done_since(day: Day, stage: Stage, scheduled: datetime) -> bool:
    """Say whether a run that was meant for long ago was done by a flow that began later."""
    if day.now() - scheduled < timedelta(minutes=10):
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
        try:
            done: dict[str, Counts] = await reactivate()
        except ToldDiscreetly as told:
            # The person at the terminal is shown what Prefect must not keep.
            if isinstance(told.__context__, WinbackError):
                raise told.__context__ from None
            raise
    return done


async def flush_logs() -> None:
    """Wait until the logs of runs are with the server; without it the last lines get lost."""
    await APILogHandler.aflush()
