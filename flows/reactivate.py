"""The whole day, in order."""

from prefect import flow

from flows.detect import detect
from flows.measure import measure
from flows.pull import pull
from flows.respond import respond
from flows.send import send
from winback import orchestration
from winback.day import Counts


@flow(
    name="reactivate",
    flow_run_name=orchestration.run_name,
    on_failure=[orchestration.note_failure],
    on_crashed=[orchestration.note_failure],
)
async def reactivate(as_of: str | None = None) -> dict[str, Counts]:
    """Pull, detect, send, respond, measure, and leave word of what was done."""
    async with orchestration.opened_day(as_of) as today:
        done = {
            "pull": await pull(as_of),
            "detect": await detect(as_of),
            "send": await send(as_of),
            "respond": await respond(as_of),
            "measure": await measure(as_of),
        }
        await orchestration.publish_day(today, done)
    return done
