"""``winback run``, ``send`` and ``respond``: the day, and its stages alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from winback.cli.output import AsJson, AsOf, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winback.day import Day
    from winback.outcomes.figures import Need
    from winback.states import Stage


@dataclass(frozen=True, slots=True)
class _Ran:
    """What was done, by what, and what was left because it stands still."""

    done: dict[str, Any]
    by: str
    stands_still: "Sequence[Need]"


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

        ran = _in_a_day(as_of, whole, as_flow=True)
        done, by = ran.done, ran.by
        if as_json:
            print_json(
                {**done, "by": by, "stands_still": [asdict(one) for one in ran.stands_still]}
            )
            return
        for stage, counts in done.items():
            say(f"{stage:8} {_told(counts)}")
        _tell_pauses(ran)
        say("by a Prefect flow" if by == "flow" else "by this command itself, without Prefect")

    @app.command()
    def send(as_of: AsOf = None, as_json: AsJson = False) -> None:
        """Send what is due, and nothing else; a second run sends nothing twice.

        Example: winback send
        """
        from winback.states import Stage

        ran = _in_a_day(as_of, partial(_alone, stage=Stage.SEND))
        _tell(ran.done, as_json=as_json)
        if not as_json:
            _tell_pauses(ran)

    @app.command()
    def respond(as_of: AsOf = None, as_json: AsJson = False) -> None:
        """Apply the events and purchases that still wait.

        Example: winback respond
        """
        from winback.states import Stage

        _tell(_in_a_day(as_of, partial(_alone, stage=Stage.RESPOND)).done, as_json=as_json)


def _in_a_day(
    as_of: str | None,
    stage: "Callable[[Day], Awaitable[dict[str, Any]]]",
    *,
    as_flow: bool = False,
) -> _Ran:
    from winback.house import open_day, prefect_answers

    async def work() -> _Ran:
        is_flow = as_flow and await prefect_answers()
        async with open_day(as_of, by="flow" if is_flow else "direct") as day:
            if is_flow:
                from winback.orchestration import run_reactivate

                return _Ran(await run_reactivate(day), "flow", _stands_still(day))
            return _Ran(await stage(day), "direct", _stands_still(day))

    return asyncio.run(work())


def _stands_still(day: "Day") -> "Sequence[Need]":
    """Find what stands still; asked at the end, for a brake may have fallen on the way."""
    from sqlalchemy.orm import Session

    from winback.outcomes.needs import find_pauses

    with Session(day.business.engine) as session:
        return find_pauses(session, now=day.now())


def _tell_pauses(ran: _Ran) -> None:
    """Say what stands still, since when, why and how it goes on: "nothing new" is no answer."""
    for one in ran.stands_still:
        say(f"since {one.since:%Y-%m-%d %H:%M} UTC {one.says}")


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
