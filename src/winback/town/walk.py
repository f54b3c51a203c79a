"""The walk through the days: the shop trades, winback runs, the people act."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from winback.clock import at_local, ten_in_the_morning
from winback.sandbox.stand_ins import Sandbox
from winback.town.acting import People
from winback.town.planted import Planted, planted_effect
from winback.town.shop import Shop

SEED: Final = 1997
FIRST: Final = date(1997, 7, 1)
LAST: Final = date(1998, 6, 30)
ZONE: Final = ZoneInfo("America/New_York")
_EVENING: Final = time(21)


class DemoTown:
    """The shop and its people around one home folder, from one seed."""

    def __init__(
        self, home: Path, sandbox: Sandbox, *, receiver_url: str, seed: int = SEED
    ) -> None:
        self.shop = Shop(home, seed, ZONE)
        self.people = People(sandbox, self.shop, seed=seed, receiver_url=receiver_url)

    def open(self, first: date = FIRST) -> None:
        """Write the exports with everything before the first day."""
        self.shop.open(first)

    def morning(self, day: date) -> int:
        """Append the day's purchases and returns to the exports; gives how many."""
        return self.shop.trade(day)

    async def evening(self, now: datetime) -> int:
        """Let people act on what was accepted since; gives how many messages they got."""
        return await self.people.act(now)

    def planted(self, session: Session, now: datetime) -> Planted:
        """Give the effect that was planted, over enrollments whose window has ended."""
        return planted_effect(
            session,
            real=self.shop.real,
            simulated=self.shop.simulated,
            zone=self.shop.zone,
            now=now,
        )


def days_between(first: date = FIRST, last: date = LAST) -> list[date]:
    """Give all days, both ends included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


async def walk(
    town: DemoTown,
    days: Iterable[date],
    *,
    run_day: Callable[[datetime], Awaitable[object]],
    set_clock: Callable[[datetime], None],
    settle: Callable[[datetime], Awaitable[object]] | None = None,
    walked: Callable[[date], None] = lambda _day: None,
) -> None:
    """Walk through days: purchases arrive, winback runs at 10:00, people act until 21:00.

    ``set_clock`` is told every instant before anything happens at it; ``settle`` is awaited when
    the people have acted, where the receiver only stores what they did (much faster than applying
    each event for itself, and in good time: nothing is sent before the next morning); ``walked``
    is told every day that is over. May be called again for the days that follow.
    """
    for day in days:
        morning = ten_in_the_morning(day, town.shop.zone)
        set_clock(morning)
        town.morning(day)
        await run_day(morning)
        evening = at_local(day, _EVENING, town.shop.zone)
        set_clock(evening)
        await town.evening(evening)
        if settle is not None:
            await settle(evening)
        walked(day)
