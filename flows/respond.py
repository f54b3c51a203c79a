"""Apply the events and purchases that still wait."""

from prefect import flow, task

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@task(name="apply waiting")
async def apply_waiting() -> Counts:
    """Apply every event and purchase that waits."""
    async with orchestration.opened_day(None) as today:
        return orchestration.told(Stage.RESPOND, await day.respond(today))


@flow(
    name="respond",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def respond(as_of: str | None = None) -> Counts:
    """Sweep what the web receiver left: stop, escalate, answer, hand over."""
    async with orchestration.opened_day(as_of) as today:
        if orchestration.is_overtaken(today, Stage.RESPOND):
            await orchestration.publish_overtaken(today, Stage.RESPOND)
            return {}
        async with orchestration.watched(today):
            counts = await apply_waiting()
        await orchestration.publish_needs(today, Stage.RESPOND, counts)
    return counts
