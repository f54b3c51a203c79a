"""Enroll who has newly lapsed."""

from prefect import flow, task

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@task(name="enroll lapsed")
async def enroll_lapsed() -> Counts:
    """Decide who enters which campaign, and in which arm."""
    async with orchestration.opened_day(None) as today:
        return orchestration.told(Stage.DETECT, await day.detect(today))


@flow(
    name="detect",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def detect(as_of: str | None = None) -> Counts:
    """Enroll the newly lapsed; safe to run at any time."""
    async with orchestration.opened_day(as_of) as today:
        counts = await enroll_lapsed()
        await orchestration.publish_counts(today, Stage.DETECT, counts)
    return counts
