"""One call: looked at once more, rendered, made and classified; and what all calls share.

Between the claim and the call little time passes, yet enough for somebody to stop everything:
so the lease, our own switch and the channel are asked again right before (FACTS.md DS-10, DS-15).
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, Final

from sqlalchemy.orm import Session

from winback.clock import Clock, Wait
from winback.database.retrying import is_away
from winback.delivery.breaker import (
    BUSY_IN_A_ROW,
    LONGEST_REST,
    UNCLEAR_IN_A_ROW,
    Throttle,
    stays_busy,
    stays_open,
)
from winback.delivery.closing import close_channel
from winback.delivery.composing import Claimed, write
from winback.delivery.gate import Hold
from winback.delivery.leases import Lease
from winback.delivery.lines import LONGEST_WAIT, Lines
from winback.delivery.paces import NoTurnSoon
from winback.delivery.recording import PAUSE, Called, NotCalled, back_off
from winback.delivery.refusing import Refusals, stop_refused
from winback.delivery.run import Run
from winback.delivery.setback import Setback
from winback.delivery.whereabouts import country_of
from winback.enrollment.pausing import Pauses, standing_pauses
from winback.errors import TemplateError
from winback.failpoints import committing
from winback.providers.outgoing import (
    Accepted,
    Busy,
    Outgoing,
    OutgoingText,
    Refused,
    Result,
    Sender,
    Unclear,
)
from winback.states import Channel

_log = logging.getLogger(__name__)

POLL: Final = timedelta(seconds=1)
"""How old what is known of our own switch may be at a call."""

_A_BIT: Final = 0.001
"""Seconds: after an instant, not right on it."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A channel that this run found in trouble, and that is to be closed for all workers."""

    why: str
    at_least: timedelta = timedelta(0)
    stays: Callable[[int], timedelta] = stays_open
    """For how long, by how many times in a row."""


@dataclass(slots=True)
class Desk:
    """What all calls of one run share: the ways out, the lease, the pace, and what stands still."""

    run: Run
    senders: Mapping[Channel, Sender]
    lease: Lease
    clock: Clock
    wait: Wait = asyncio.sleep
    """How time is let go by; a rehearsal moves its clock instead."""
    resting: dict[Channel, Hold] = field(default_factory=dict)
    """Channels that this run has found closed."""
    to_close: dict[Channel, Closing] = field(default_factory=dict)
    """Of these, those that the other workers do not know of yet."""
    is_patient: bool = False
    """Whether it waits for a busy provider; where time stands still nobody waits."""
    called: dict[int, int] = field(default_factory=dict)
    """Messages on which a call was begun: only of these nobody may know what became of them.

    With the round of their channel's throttle in which they were.
    """
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something to do for who claims and records."""
    lines: Lines = field(init=False)
    """Who waits for a turn at a pace."""
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
    _unclear: Counter[Channel] = field(default_factory=Counter)
    _pauses: Pauses = field(default_factory=Pauses)
    _polled_at: datetime | None = None
    _no_beat: Setback = field(init=False)
    """When the lease could not be renewed last."""

    def __post_init__(self) -> None:
        """Begin with empty lines, and without a failure."""
        self.lines = Lines(self.run, self.clock, self.wait, self.wake)
        self._no_beat = Setback(self.clock)

    def saw(self, pauses: Pauses) -> None:
        """Take note of what stood still just now."""
        self._pauses, self._polled_at = pauses, self.clock.now()

    def holds(self, now: datetime) -> bool:
        """Say whether this worker may claim and call; where it stood still, one beat tells.

        Raises SQLAlchemyError where the database cannot be asked.
        """
        if self.lease.holds(now) or self.lease.is_lost:
            return self.lease.holds(now)
        with self._no_beat.trying():
            self.lease.renew(self.run.writes, self.clock)
        return self.lease.holds(now)

    def call(self, claimed: Claimed) -> Coroutine[Any, Any, Called]:
        """Make the call of a message that was claimed just now, unless something stops it."""
        return self._call(claimed, self.clock.now())

    async def _call(self, claimed: Claimed, claimed_at: datetime) -> Called:
        try:
            words = write(self.run, claimed)
            if claimed.channel not in self.resting:
                await self.lines.wait_to_call(claimed.channel, words.segments or 1)
            waited = self.clock.now() - claimed_at
            stopped = _overdue(words.outgoing, waited) or self._stopped(claimed)
        except NoTurnSoon:
            return Called(claimed, NotCalled("others go first at its pace", again=True))
        except TemplateError as broken:
            return Called(claimed, Refused("template", str(broken), "message"))
        except Exception as broken:  # noqa: BLE001 - the edge of the send loop
            # A database that is away comes back, and no claim goes through before.
            again = is_away(broken)
            return Called(claimed, NotCalled(_told(claimed, "not called", broken), again=again))
        if stopped is not None:
            return Called(claimed, stopped)
        self.called[claimed.message_id] = self.throttles[claimed.channel].round
        try:
            outgoing = _shortened(words.outgoing, waited) if waited else words.outgoing
            result: Result = await self.senders[claimed.channel].send(outgoing)
        except Exception as broken:  # noqa: BLE001 - the edge of the send loop
            # One message must not stop the batch, and nobody knows whether this one went.
            result = Unclear(_told(claimed, "the sender failed", broken))
        return Called(claimed, result, words.segments, words.cost)

    def watch(self, called: Called, *, flying: int) -> datetime | None:
        """Let a channel rest when its account is refused, or it is busy or silent in a row.

        Gives when the run tries again what its provider was too busy for, if it waits for that.
        ``flying`` is how many calls of the channel were on their way.
        """
        channel, result = called.claimed.channel, called.result
        of_round = self.called.pop(called.claimed.message_id, None)
        if isinstance(result, Busy):
            # What only met a closed channel tells nothing new.
            return None if of_round is None else self._meet_busy(channel, result, of_round, flying)
        if isinstance(result, NotCalled):
            return None
        self._busy[channel] = 0
        if isinstance(result, Refused) and result.scope == "channel":
            self.resting[channel] = Hold(self.run.now + PAUSE, f"{result.code} {result.reason}")
        if isinstance(result, Accepted):
            self.to_try.discard(channel)
            self.refusals.count[channel] = 0
            self._proven.add(channel)
            self.throttles[channel].accepts()
        if isinstance(result, Refused) and result.scope == "message":
            self.refusals.note(channel, result)
        self._unclear[channel] = self._unclear[channel] + 1 if isinstance(result, Unclear) else 0
        if isinstance(result, Unclear):
            self._doubt(channel, result)
        return None

    def _meet_busy(
        self, channel: Channel, busy: Busy, of_round: int, flying: int
    ) -> datetime | None:
        """Call a busy provider more gently, and leave it alone for as long as it asks."""
        self._unclear[channel] = 0
        self._busy[channel] += 1
        throttle, asked = self.throttles[channel], busy.retry_after_seconds
        if asked is None:
            throttle.lowers(of_round, flying=flying)
            self._silent[channel] = busy
        elif timedelta(seconds=asked) <= LONGEST_REST and self.is_patient:
            return self._wait_for_busy(channel, busy, of_round, flying)
        enough = 1 if channel in self.to_try else BUSY_IN_A_ROW
        if self._busy[channel] >= enough and channel not in self.resting:
            self._rest_busy(channel, busy)
        return None

    def _wait_for_busy(
        self, channel: Channel, busy: Busy, of_round: int, flying: int
    ) -> datetime | None:
        throttle, now = self.throttles[channel], self.clock.now()
        asked = timedelta(seconds=busy.retry_after_seconds or 0)
        if not throttle.lowers(of_round, flying=flying):
            return None if channel in self.resting else throttle.rest_at_least(now + asked)
        until = throttle.rest(now, asked, chance=self.run.rng.random())
        if until is None and channel not in self.resting:
            self._rest_busy(channel, busy)
        return until

    def _rest_busy(self, channel: Channel, busy: Busy) -> None:
        """Close a channel whose provider is busy for longer than a run waits."""
        stays = partial(stays_busy, chance=self.run.rng.random())
        asked = busy.retry_after_seconds
        at_least = timedelta(0) if asked is None else back_off(self.run, busy) - self.run.now
        self._rest(channel, Closing(f"busy: {busy.reason}", at_least, stays))

    def close_silent(self) -> None:
        """Close, at the end of a pass, what was busy without a word and took nothing at all.

        A few messages make no ten in a row, and would else ask each minute (FACTS.md SG-15).
        """
        for channel, busy in self._silent.items():
            if channel not in self._proven and channel not in self.resting:
                self._rest_busy(channel, busy)
        self._silent.clear()

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

    def standing(self) -> dict[Channel, Hold]:
        """Give what holds channels now; one whose hold is over is tried by one message first."""
        over = [channel for channel, hold in self.resting.items() if hold.until <= self.run.now]
        for channel in over:
            if channel not in self.to_close:
                del self.resting[channel]
                self.to_try.add(channel)
        return self.resting

    def _doubt(self, channel: Channel, unclear: Unclear) -> None:
        """Let a channel rest when its provider is silent again and again.

        No database is asked here: where both are away, the calls must still end.
        """
        enough = 1 if channel in self.to_try else UNCLEAR_IN_A_ROW
        if self._unclear[channel] < enough or channel in self.resting:
            return
        why = f"{self._unclear[channel]} calls in a row without an answer: {unclear.reason}"
        self._rest(channel, Closing(why))

    def _rest(self, channel: Channel, closing: Closing) -> None:
        until = self.run.now + max(closing.stays(1), closing.at_least)
        self.resting[channel] = Hold(until, closing.why)
        self.to_close[channel] = closing

    def close_channels(self) -> None:
        """Close for all workers what was found in trouble; raises where the database is away."""
        for channel, closing in list(self.to_close.items()):
            with Session(self.run.writes) as session, committing(session.begin(), "send.close"):
                until = close_channel(
                    session,
                    channel,
                    why=closing.why,
                    now=self.run.now,
                    at_least=closing.at_least,
                    stays=closing.stays,
                )
            self.resting[channel] = Hold(until, closing.why)
            del self.to_close[channel]
        if self.refusals.kinds:
            self._stop_refused()

    def _stop_refused(self) -> None:
        with Session(self.run.writes) as session, committing(session.begin(), "send.close"):
            self.resting |= stop_refused(session, self.refusals, now=self.run.now)
        self.refusals.looked()
        # A campaign may have been stopped, too: asked again before the next call.
        self._polled_at = None

    def _stopped(self, claimed: Claimed) -> Result | NotCalled | None:
        """Say why nobody is called for a message; None where it may go."""
        now = self.clock.now()
        if not self.holds(now):
            return NotCalled("the worker stood still too long to call")
        if self.rests(claimed.channel):
            return NotCalled("its provider is busy", again=True)
        hold = self.standing().get(claimed.channel)
        if hold is not None:
            # Found closed by another call since this one was claimed.
            return Busy((hold.until - self.run.now).total_seconds(), hold.why)
        if self._polled_at is None or not now < self._polled_at + POLL:
            with Session(self.run.reads) as session:
                self.saw(standing_pauses(session))
        why = self._paused(claimed)
        return None if why is None else NotCalled(f"paused: {why}")

    def _paused(self, claimed: Claimed) -> str | None:
        """Say what of our own switch stops a message; None where nothing does."""
        pauses = self._pauses
        why = pauses.stops(claimed.campaign, claimed.channel)
        if why is None and pauses.countries and claimed.channel is Channel.SMS:
            return pauses.countries.get(country_of(claimed.point.address) or "")
        return why


def _overdue(outgoing: Outgoing, waited: timedelta) -> NotCalled | None:
    """Say that a message must be looked at anew: its claim is too old, or its validity over."""
    left = _left(outgoing, waited) if isinstance(outgoing, OutgoingText) else 1
    if left < 1 or waited > LONGEST_WAIT:
        return NotCalled("it waited too long for its turn", again=True)
    return None


def _left(text: OutgoingText, waited: timedelta) -> int:
    return text.valid_for_seconds - ceil(waited.total_seconds())


def _shortened(outgoing: Outgoing, waited: timedelta) -> Outgoing:
    """Take the wait off a text's validity: it ends with the hours, not so long after the call.

    FACTS.md TW-4.
    """
    if not isinstance(outgoing, OutgoingText):
        return outgoing
    return replace(outgoing, valid_for_seconds=_left(outgoing, waited))


def _told(claimed: Claimed, what: str, broken: Exception) -> str:
    """Tell of an exception by its kind; what it says itself may hold an address."""
    kind = type(broken).__name__
    _log.error("message %d: %s with %s", claimed.message_id, what, kind)
    return f"{what} with {kind}"
