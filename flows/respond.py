"""Apply the events and purchases that still wait."""

from prefect import flow

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@flow(
    name="respond",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def respond(as_of: str | None = None) -> Counts:
    """Sweep what the web receiver left: stop, escalate, answer, hand over; safe to run twice."""
    async with orchestration.opened_day(as_of) as today:
        counts = await day.respond(today)
        await orchestration.publish_counts(Stage.RESPOND, counts)
    return counts
