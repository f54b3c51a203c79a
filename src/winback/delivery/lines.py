"""The lines at the paces that all workers share: who is claimed, and when it is called.

A message is claimed when its turn is near, since a no that comes after the claim is heard only by
the last look (FACTS.md LAW-3).
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from winback.clock import Clock, Wait
from winback.delivery.pace import AHEAD, at_once, pace_of
from winback.delivery.paces import NoTurnSoon, free_from, take_turn
from winback.delivery.run import Run
from winback.delivery.setback import Setback
from winback.states import Channel

LONGEST_WAIT: Final = timedelta(seconds=15)
"""What was claimed longer ago is not called: a no may have come since (FACTS.md LAW-3)."""

_A_BIT: Final = 0.001
"""Seconds: after an instant, not right on it."""

_TURNS_A_SECOND: Final = 10
"""How often a worker asks for more of a pace: for each message where the pace is slower."""


@dataclass(slots=True)
class _Share:
    """What is reserved of a channel's pace and not used yet: from when, and how much."""

    starts_at: datetime
    left: int = 0


@dataclass(slots=True)
class Lines:
    """How far the pace of each channel is taken, and who of this run waits for a turn at it."""

    run: Run
    """The run as it began: its database, its chance and its paces stay the same."""
    clock: Clock
    wait: Wait
    wake: asyncio.Event
    """Set when somebody has left a line, and others may be claimed."""
    waiting: Counter[Channel] = field(default_factory=Counter)
    """How many were claimed and wait for their turn."""
    _shares: dict[Channel, _Share] = field(default_factory=dict)
    _free_from: dict[Channel, datetime] = field(default_factory=dict)
    """Not before this instant are tokens of a channel's pace free; others may have taken more."""
    _largest: Counter[Channel] = field(default_factory=Counter)
    """The most tokens that a message of a channel has needed."""
    _has_others: bool = False
    """Whether other workers share a pace with this one."""
    _no_turn: Setback = field(init=False)
    """When no turn could be asked for last."""

    def __post_init__(self) -> None:
        """Begin without a failure."""
        self._no_turn = Setback(self.clock)

    def pace(self, channel: Channel) -> float | None:
        """Give how many a second may leave by a channel; None where nothing limits it."""
        settings = self.run.business.settings
        return pace_of(settings.policies, channel, settings.mode)

    def look(self, channel: Channel) -> None:
        """Look how far a channel's pace is taken already, by all workers."""
        with Session(self.run.reads) as session:
            found = free_from(session, self._bucket(channel))
        if found is not None:
            own = self._free_from.get(channel)
            self._has_others = self._has_others or (own is not None and found > own)
            self._free_from[channel] = found

    def fit(self, channel: Channel, per_second: float, *, most: int) -> int:
        """Give how many of a channel may be claimed now, to leave within a moment."""
        each = self._largest[channel] or 1
        return at_once(per_second, most=most, each=each, ahead=self._ahead(channel))

    async def wait_to_claim(self, channel: Channel) -> None:
        """Wait until something of a channel may be claimed again."""
        seconds = (self._ahead(channel) - AHEAD).total_seconds()
        # Those who wait for the same instant would all claim then, and all but one in vain.
        apart = self.run.rng.random() if self._has_others else 0.0
        await self.wait(max(seconds, 0.0) + apart + _A_BIT)
        self.wake.set()

    async def wait_to_call(self, channel: Channel, amount: int) -> None:
        """Wait until the pace of a channel lets a message of ``amount`` tokens through.

        Raises NoTurnSoon where others have taken what comes next, and SQLAlchemyError where the
        database cannot be asked.
        """
        per_second = self.pace(channel)
        if per_second is None:
            return
        self._largest[channel] = max(self._largest[channel], amount)
        starts_at = self._turn(channel, amount, per_second)
        self.waiting[channel] += 1
        try:
            await self.wait((starts_at - self.clock.now()).total_seconds())
        finally:
            self.waiting[channel] -= 1
            self.wake.set()

    def _ahead(self, channel: Channel) -> timedelta:
        free_from = self._free_from.get(channel)
        return max(free_from - self.clock.now(), timedelta(0)) if free_from else timedelta(0)

    def _bucket(self, channel: Channel) -> str:
        return f"{self.run.providers[channel]}:{channel}"

    def _turn(self, channel: Channel, amount: int, per_second: float) -> datetime:
        """Take what a message needs out of our share, with a new one where that is used up."""
        share = self._shares.get(channel)
        if share is None or share.left < amount:
            wanted = max(amount, int(per_second / _TURNS_A_SECOND))
            starts_at = self._reserve(channel, wanted, per_second)
            share = self._shares[channel] = _Share(starts_at, wanted)
            self._free_from[channel] = starts_at + timedelta(seconds=wanted / per_second)
        starts_at = share.starts_at
        share.left -= amount
        share.starts_at += timedelta(seconds=amount / per_second)
        return starts_at

    def _reserve(self, channel: Channel, wanted: int, per_second: float) -> datetime:
        try:
            with self._no_turn.trying():
                return take_turn(
                    self.run.writes,
                    self._bucket(channel),
                    wanted,
                    per_second=per_second,
                    now=self.clock.now(),
                    within=LONGEST_WAIT,
                )
        except NoTurnSoon as later:
            self._free_from[channel] = later.starts_at
            raise
