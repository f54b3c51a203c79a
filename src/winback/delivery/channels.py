"""What one run knows of its channels: which are closed, busy or silent, and which to try.

Each result tells something of the channel that it came by (``breaker.py`` says when it is enough).
What is found here holds this run at once, and all other workers as soon as it is written down.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from winback.clock import Clock, Wait
from winback.delivery.breaker import (
    BUSY_IN_A_ROW,
    LONGEST_REST,
    PAUSE,
    UNCLEAR_IN_A_ROW,
    Throttle,
    back_off,
    stays_busy,
    stays_open,
)
from winback.delivery.closing import close_channel
from winback.delivery.gate import Hold
from winback.delivery.refusing import Refusals, stop_refused
from winback.delivery.results import Called, NotCalled
from winback.failpoints import committing
from winback.providers.outgoing import Accepted, Busy, Refused, Unclear
from winback.states import Channel

_A_BIT: Final = 0.001
"""Seconds: enough to see whether a clock goes on."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A channel that this run found in trouble, and that is to be closed for all workers."""

    why: str
    at_least: timedelta = timedelta(0)
    stays: Callable[[int], timedelta] = stays_open
    """For how long, by how many times in a row."""


@dataclass(slots=True)
class Channels:
    """The channels of one run, by what their providers answered to it.

    ``now`` is the run's instant; rests of a busy provider go by the clock.
    """

    rng: Random
    clock: Clock
    wait: Wait
    wake: asyncio.Event
    """Set when a rest is over."""
    is_patient: bool
    """Whether it waits for a busy provider; where time stands still nobody waits."""
    resting: dict[Channel, Hold] = field(default_factory=dict)
    """Channels that this run has found closed."""
    to_close: dict[Channel, Closing] = field(default_factory=dict)
    """Of these, those that the other workers do not know of yet."""
    to_try: set[Channel] = field(default_factory=set)
    """Channels that were closed: one message goes first."""
    refusals: Refusals = field(default_factory=Refusals)
    """Refusals of single messages, which may be in a row."""
    throttles: dict[Channel, Throttle] = field(default_factory=lambda: defaultdict(Throttle))
    """How gently each channel is called."""
    _proven: set[Channel] = field(default_factory=set)
    """Channels through which something went in this run."""
    _silent: dict[Channel, Busy] = field(default_factory=dict)
    """Channels that were busy and did not say for how long."""
    _busy: Counter[Channel] = field(default_factory=Counter)
    """Busy answers in a row."""
    _unclear: Counter[Channel] = field(default_factory=Counter)
    """Doubtful calls in a row."""

    def watch(
        self, called: Called, *, of_round: int | None, flying: int, now: datetime
    ) -> datetime | None:
        """Let a channel rest when its account is refused, or it is busy or silent in a row.

        Gives when the run tries again what its provider was too busy for, if it waits for that.
        ``of_round`` is the round of the throttle in which the call was begun, None where nobody
        was called; ``flying`` is how many calls of the channel were on their way.
        """
        channel, result = called.claimed.channel, called.result
        if isinstance(result, NotCalled):
            return None
        if isinstance(result, Busy):
            if of_round is None:
                return None  # What only met a closed channel tells nothing new.
            return self._meet_busy(channel, result, of_round=of_round, flying=flying, now=now)
        self._busy[channel] = 0
        self._unclear[channel] = self._unclear[channel] + 1 if isinstance(result, Unclear) else 0
        match result:
            case Accepted():
                self.to_try.discard(channel)
                self.refusals.count[channel] = 0
                self._proven.add(channel)
                self.throttles[channel].accepts()
            case Refused(scope="channel"):
                self.resting[channel] = Hold(now + PAUSE, f"{result.code} {result.reason}")
            case Refused(scope="message"):
                self.refusals.note(channel, result)
            case Refused():
                pass  # Of one person or one country, and no fault of the channel.
            case Unclear():
                self._doubt(channel, result, now=now)
        return None

    def _meet_busy(
        self, channel: Channel, busy: Busy, *, of_round: int, flying: int, now: datetime
    ) -> datetime | None:
        """Call a busy provider more gently, and leave it alone for as long as it asks."""
        self._unclear[channel] = 0
        self._busy[channel] += 1
        asked = busy.retry_after_seconds
        if asked is None:
            self.throttles[channel].lowers(of_round, flying=flying)
            self._silent[channel] = busy
        elif timedelta(seconds=asked) <= LONGEST_REST and self.is_patient:
            return self._wait_for_busy(channel, busy, of_round=of_round, flying=flying, now=now)
        enough = 1 if channel in self.to_try else BUSY_IN_A_ROW
        if self._busy[channel] >= enough and channel not in self.resting:
            self._rest_busy(channel, busy, now=now)
        return None

    def _wait_for_busy(
        self, channel: Channel, busy: Busy, *, of_round: int, flying: int, now: datetime
    ) -> datetime | None:
        throttle, at = self.throttles[channel], self.clock.now()
        asked = timedelta(seconds=busy.retry_after_seconds or 0)
        if not throttle.lowers(of_round, flying=flying):
            return None if channel in self.resting else throttle.rest_at_least(at + asked)
        until = throttle.rest(at, asked, chance=self.rng.random())
        if until is None and channel not in self.resting:
            self._rest_busy(channel, busy, now=now)
        return until

    def _rest_busy(self, channel: Channel, busy: Busy, *, now: datetime) -> None:
        """Close a channel whose provider is busy for longer than a run waits."""
        stays = partial(stays_busy, chance=self.rng.random())
        asked = busy.retry_after_seconds
        at_least = timedelta(0) if asked is None else back_off(asked, chance=self.rng.random())
        self._rest(channel, Closing(f"busy: {busy.reason}", at_least, stays), now=now)

    def _doubt(self, channel: Channel, unclear: Unclear, *, now: datetime) -> None:
        """Let a channel rest when its provider is silent again and again.

        No database is asked here: where both are away, the calls must still end.
        """
        enough = 1 if channel in self.to_try else UNCLEAR_IN_A_ROW
        if self._unclear[channel] < enough or channel in self.resting:
            return
        why = f"{self._unclear[channel]} calls in a row without an answer: {unclear.reason}"
        self._rest(channel, Closing(why), now=now)

    def _rest(self, channel: Channel, closing: Closing, *, now: datetime) -> None:
        until = now + max(closing.stays(1), closing.at_least)
        self.resting[channel] = Hold(until, closing.why)
        self.to_close[channel] = closing

    def close_silent(self, now: datetime) -> None:
        """Close, at the end of a pass, what was busy without a word and took nothing at all.

        A few messages make no ten in a row, and would else ask each minute (FACTS.md SG-15).
        """
        for channel, busy in self._silent.items():
            if channel not in self._proven and channel not in self.resting:
                self._rest_busy(channel, busy, now=now)
        self._silent.clear()

    def standing(self, now: datetime) -> dict[Channel, Hold]:
        """Give what holds channels now; one whose hold is over is tried by one message first."""
        over = [channel for channel, hold in self.resting.items() if hold.until <= now]
        for channel in over:
            if channel not in self.to_close:
                del self.resting[channel]
                self.to_try.add(channel)
        return self.resting

    def rests(self, channel: Channel) -> bool:
        """Say whether nobody is called by a channel now, since its provider is busy."""
        return channel in self.throttles and self.throttles[channel].rests(self.clock.now())

    async def wait_for_rest(self, channel: Channel) -> None:
        """Wait until a busy provider may be called again; where time stands still, never."""
        until = self.throttles[channel].rests_until
        if until is not None and not await self.pass_time(until):
            self.throttles[channel] = Throttle(round=self.throttles[channel].round)
            self.resting.setdefault(channel, Hold(until, "busy"))
        self.wake.set()

    async def pass_time(self, until: datetime) -> bool:
        """Wait until an instant; False where the clock stands still, and never comes to it."""
        while (left := (until - self.clock.now()).total_seconds()) > 0:
            before = self.clock.now()
            await self.wait(_A_BIT)
            if self.clock.now() <= before:
                self.is_patient = False
                return False
            await self.wait(left)
        return True

    def close_all(self, engine: Engine, now: datetime) -> None:
        """Close for all workers what was found in trouble; raises where the database is away."""
        for channel, closing in list(self.to_close.items()):
            with Session(engine) as session, committing(session.begin(), "send.close"):
                until = close_channel(
                    session,
                    channel,
                    why=closing.why,
                    now=now,
                    at_least=closing.at_least,
                    stays=closing.stays,
                )
            self.resting[channel] = Hold(until, closing.why)
            del self.to_close[channel]

    def stop_refused(self, engine: Engine, now: datetime) -> None:
        """Close or stop, for all workers, what was refused too often in a row."""
        with Session(engine) as session, committing(session.begin(), "send.close"):
            self.resting |= stop_refused(session, self.refusals, now=now)
        self.refusals.looked()
