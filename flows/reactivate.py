"""The whole day, in order."""

from prefect import flow, task

from flows.detect import enroll_lapsed
from flows.measure import measure_outcomes
from flows.pull import pull_sources
from flows.respond import apply_waiting
from flows.send import send_batch
from winback import day, orchestration
from winback.day import Counts
from winback.states import Stage


@task(name="rehearse the days to come")
async def rehearse_ahead() -> None:
    """Play the next days on a private copy, and leave what they would bring."""
    async with orchestration.opened_day(None) as today:
        await orchestration.publish_rehearsal(today)


@flow(
    name="reactivate",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def reactivate(as_of: str | None = None) -> dict[str, Counts]:
    """Pull, detect, send, respond, measure, and leave word of what was done."""
    async with orchestration.opened_day(as_of) as today:
        if orchestration.is_overtaken(today, *Stage):
            await orchestration.publish_overtaken(today)
            return {}
        async with orchestration.watched(today):
            done = {
                "pull": await pull_sources(),
                "detect": await enroll_lapsed(),
                "send": await send_batch(),
                "respond": await apply_waiting(),
                "measure": await measure_outcomes(),
            }
        # The day is done, whatever becomes of its pages.
        await day.beat(today)
        await orchestration.publish_day(today, done)
        # A rehearsal that fails is told by its task and fails nothing else.
        await rehearse_ahead(return_state=True)  # type: ignore[misc]  # awaitable, of an async task
    return done
