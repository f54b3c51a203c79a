"""Bring outcomes up to date."""

from prefect import flow, task

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@task(name="measure outcomes", retries=2, retry_delay_seconds=60)
async def measure_outcomes() -> Counts:
    """Recompute outcomes from facts; tried again after a failure."""
    async with orchestration.opened_day(None) as today:
        return orchestration.told(Stage.MEASURE, await day.measure(today))


@flow(
    name="measure",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def measure(as_of: str | None = None) -> Counts:
    """Measure what became of both arms; safe to run at any time."""
    async with orchestration.opened_day(as_of) as today:
        counts = await measure_outcomes()
        await orchestration.publish_report(today, counts)
    return counts
