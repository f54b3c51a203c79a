"""The one door to Prefect: run the day as flows, name the runs, publish artifacts.

Imported only by ``flows/`` and, lazily, by commands that were told of a Prefect server.
Parameters, run names, logs and artifacts carry stages, days, ids and counts, never a person.
"""

import asyncio
import gc
import importlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
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
from winback.errors import ToldDiscreetly, WinbackError, tell_discreetly
from winback.house import open_day
from winback.logs import redact_logs
from winback.outcomes.account import build_account
from winback.outcomes.artifacts import (
    REHEARSAL,
    ArtifactPage,
    artifact_pages,
    needs_page,
    report_pages,
    see_also,
)
from winback.outcomes.report import build_needs, build_report
from winback.rehearsal.deployed import deployed_schedule
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

# As the command line does for itself: a day makes many short-lived objects and few cycles.
gc.set_threshold(50_000, 10, 10)

_ACCOUNT_DAYS = 7
_DATES_AT_ONCE = 500
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
    "WINBACK_ALERT_URLS": "winback-alert-urls",
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
    Raises ToldDiscreetly for any error: Prefect keeps its text and traceback (FACTS.md SEC-22).
    """
    try:
        if (day := _present.get()) is not None:
            yield day
            return
        await _fill_environment_from_blocks()
        async with open_day(as_of, by="flow") as day:
            with within(day):
                yield day
    except Exception as error:  # noqa: BLE001 - whatever it is, its text must not leave
        raise tell_discreetly(error) from None


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
    present = _present.get()
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


async def publish_counts(day: Day, stage: Stage, counts: Counts) -> None:
    """Leave what a stage did as an artifact whose key is the same every day."""
    rows = [
        {"counted": name.replace("_", " "), "number": number} for name, number in counts.items()
    ]
    await _publish_table(day, f"winback-{stage}", rows, says=f"What the last {stage} run did.")


async def publish_overtaken(day: Day, stage: Stage | None = None) -> None:
    """Leave word that a late run, of a stage or of the whole day, did nothing.

    A later one had done its work.
    """
    key, what = ("winback-run", "day's") if stage is None else (f"winback-{stage}", stage)
    says = f"The last {what} run came late: a later one had done its work, so it did nothing."
    await _publish_table(day, key, [{"counted": "runs overtaken", "number": 1}], says=says)


async def publish_needs(day: Day, stage: Stage, counts: Counts) -> None:
    """Leave what a stage did, and what needs a person now."""
    with _reading(day) as session:
        needs = build_needs(session, day.business, now=day.now())
    today = local_date(day.now(), day.business.zone)
    page = needs_page(needs, on=today, web_url=day.business.settings.base_url)
    await asyncio.gather(publish_counts(day, stage, counts), _publish([page]))


async def publish_report(day: Day, counts: Counts) -> None:
    """Leave what was measured, the funnel, the lift, and what needs a person."""
    with _reading(day) as session:
        report = build_report(session, day.business, now=day.now())
    pages = report_pages(report, web_url=day.business.settings.base_url)
    await asyncio.gather(publish_counts(day, Stage.MEASURE, counts), _publish(pages))


async def publish_day(day: Day, done: dict[str, Counts]) -> None:
    """Leave the day's artifacts: run, funnel, lift, account, and what needs a person."""
    with _reading(day) as session:
        report = build_report(session, day.business, now=day.now())
        account = build_account(session, day.business, now=day.now(), days=_ACCOUNT_DAYS)
    await _publish(artifact_pages(report, done, account, web_url=day.business.settings.base_url))


def _reading(day: Day) -> Session:
    """Give a session that only reads, so that nobody who writes waits for it."""
    return Session(day.business.engine.execution_options(winback_reads_only=True))


async def _publish(pages: Iterable[ArtifactPage]) -> None:
    await asyncio.gather(
        *(
            acreate_markdown_artifact(key=page.key, markdown=page.text, description=page.title)
            for page in pages
        )
    )


async def _publish_table(day: Day, key: str, rows: list[dict[str, Any]], *, says: str) -> None:
    links = see_also(key, web_url=day.business.settings.base_url)
    await acreate_table_artifact(key=key, table=rows, description=f"{says} {links}")


async def publish_rehearsal(day: Day) -> None:
    """Leave what the days to come would bring, by the schedule of the home's ``prefect.yaml``."""
    if not day.rehearses_days:
        return
    business, settings = day.business, day.business.settings
    # The day itself is over; what is left of it are its sends.
    now = day.now() + timedelta(seconds=1)
    schedule = await deployed_schedule(
        business.environment.home,
        now=now,
        days=day.rehearses_days,
        zone=business.zone,
        dates=scheduled_dates,
    )
    done = await rehearse(
        business,
        now=now,
        days=day.rehearses_days,
        schedule=schedule,
        clock=day.clock,
    )
    page = rehearsal_page(
        done,
        currency=settings.business.currency,
        policies=settings.policies,
        mode=settings.mode,
    )
    links = see_also(REHEARSAL, web_url=settings.base_url)
    says = f"What the days from {done.days[0]} bring"
    await _publish([ArtifactPage(REHEARSAL, says, f"{page}\n{links}")])


async def scheduled_dates(
    written: Mapping[str, Any], start: datetime, end: datetime
) -> Sequence[datetime]:
    """Give when a schedule, as ``prefect.yaml`` has it, runs: start inclusive, end exclusive.

    Prefect itself reckons, so that zones and changes of the clocks are those of the runs to come.
    An interval without an anchor counts from ``start``. Raises ValueError for what Prefect would
    not deploy.
    """
    # The server's part of Prefect; no flow needs it.
    from prefect.server.schemas import schedules  # noqa: PLC0415

    kinds: dict[str, type[schedules.SCHEDULE_TYPES]] = {
        "cron": schedules.CronSchedule,
        "interval": schedules.IntervalSchedule,
        "rrule": schedules.RRuleSchedule,
    }
    kind = next((kind for kind in kinds if written.get(kind)), None)
    if kind is None:
        raise ValueError("a schedule has a cron, an interval or an rrule")
    model, known = kinds[kind], {"anchor_date": start, **written}
    keys = [key for key in model.model_fields if known.get(key) is not None]
    schedule = model.model_validate({key: known[key] for key in keys})
    found: list[datetime] = []
    while some := await schedule.get_dates(_DATES_AT_ONCE, start, end):
        found += [datetime.fromtimestamp(one.timestamp(), UTC) for one in some]
        start = found[-1] + timedelta(seconds=1)
    return [at for at in found if at < end]


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
