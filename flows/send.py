"""Send what is due."""

from prefect import flow, task

from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


# No retries here, ever: the outbox owns them, and what is unclear must not be sent again
# (FACTS.md DS-8).
@task(name="send batch", retries=0)
async def send_batch() -> Counts:
    """Plan, claim, send and record all that is due now."""
    async with orchestration.opened_day(None) as today:
        return orchestration.told(Stage.SEND, await day.send(today))


@flow(
    name="send",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def send(as_of: str | None = None) -> Counts:
    """Send every message that is due and allowed; a second run sends nothing twice."""
    async with orchestration.opened_day(as_of) as today:
        if orchestration.is_overtaken(today, Stage.SEND):
            await orchestration.publish_overtaken(today, Stage.SEND)
            return {}
        async with orchestration.watched(today):
            counts = await send_batch()
        await orchestration.publish_needs(today, Stage.SEND, counts)
    return counts
