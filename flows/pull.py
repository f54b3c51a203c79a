"""Pull customers and purchases from every source."""

from prefect import flow, task

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@task(name="pull sources", retries=2, retry_delay_seconds=60)
async def pull_sources() -> Counts:
    """Pull every source; tried again after a failure, since every row is an upsert."""
    async with orchestration.opened_day(None) as today:
        return orchestration.told(Stage.PULL, await day.pull(today))


@flow(
    name="pull",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def pull(as_of: str | None = None) -> Counts:
    """Bring customers, consents and purchases up to date; safe to run at any time."""
    async with orchestration.opened_day(as_of) as today:
        counts = await pull_sources()
        await orchestration.publish_counts(today, Stage.PULL, counts)
    return counts
