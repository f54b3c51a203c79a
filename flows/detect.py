"""Enroll who has newly lapsed."""

from prefect import flow

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@flow(
    name="detect",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def detect(as_of: str | None = None) -> Counts:
    """Decide who enters which campaign, and in which arm; safe to run at any time."""
    async with orchestration.opened_day(as_of) as today:
        counts = await day.detect(today)
        await orchestration.publish_counts(Stage.DETECT, counts)
    return counts
