"""``winback run``, ``send`` and ``respond``: the day, and its stages alone."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from winback.cli.output import AsJson, AsOf, print_json, say

if TYPE_CHECKING:
    from winback.day import Day
    from winback.states import Stage


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""

    @app.command()
    def run(as_of: AsOf = None, as_json: AsJson = False) -> None:
        """Run the day once: pull, detect, send, respond, measure.

        Runs through Prefect when PREFECT_API_URL is set and answers, else directly, and says
        which. Safe to repeat: a second run sends nothing twice.

        Example: winback run --json
        """
        from winback.day import run as run_directly

        async def whole(day: "Day") -> dict[str, Any]:
            return {str(stage): counts for stage, counts in (await run_directly(day)).items()}

        done, by = _in_a_day(as_of, whole, as_flow=True)
        if as_json:
            print_json({**done, "by": by})
            return
        for stage, counts in done.items():
            say(f"{stage:8} {_told(counts)}")
        say("by a Prefect flow" if by == "flow" else "by this command itself, without Prefect")

    @app.command()
    def send(as_of: AsOf = None, as_json: AsJson = False) -> None:
        """Send what is due, and nothing else; a second run sends nothing twice.

        Example: winback send
        """
        from winback.states import Stage

        counts, _ = _in_a_day(as_of, partial(_alone, stage=Stage.SEND))
        _tell(counts, as_json=as_json)

    @app.command()
    def respond(as_of: AsOf = None, as_json: AsJson = False) -> None:
        """Apply the events and purchases that still wait.

        Example: winback respond
        """
        from winback.states import Stage

        counts, _ = _in_a_day(as_of, partial(_alone, stage=Stage.RESPOND))
        _tell(counts, as_json=as_json)


def _in_a_day(
    as_of: str | None,
    stage: "Callable[[Day], Awaitable[dict[str, Any]]]",
    *,
    as_flow: bool = False,
) -> tuple[dict[str, Any], str]:
    from winback.house import open_day, prefect_answers

    async def work() -> tuple[dict[str, Any], str]:
        is_flow = as_flow and await prefect_answers()
        async with open_day(as_of, by="flow" if is_flow else "direct") as day:
            if is_flow:
                from winback.orchestration import run_reactivate

                return await run_reactivate(day), "flow"
            return await stage(day), "direct"

    return asyncio.run(work())


async def _alone(day: "Day", stage: "Stage") -> dict[str, int]:
    from winback.day import alone

    return await alone(day, stage)


def _tell(counts: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json(counts)
    else:
        say(_told(counts))


def _told(counts: dict[str, int]) -> str:
    said = [f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items() if number]
    return ", ".join(said) or "nothing new"
