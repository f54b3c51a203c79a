"""One call: looked at once more, rendered, made and classified; and what all calls share.

Between the claim and the call little time passes, yet enough for somebody to stop everything:
so the lease, our own switch and the channel are asked again right before (FACTS.md DS-10, DS-15).
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from sqlalchemy.orm import Session

from winback.clock import Clock, Wait
from winback.database.retrying import is_away
from winback.delivery.channels import Channels
from winback.delivery.composing import Claimed, write
from winback.delivery.leases import Lease
from winback.delivery.lines import LONGEST_WAIT, Lines
from winback.delivery.paces import NoTurnSoon
from winback.delivery.results import Called, NotCalled
from winback.delivery.run import Run
from winback.delivery.setback import Setback
from winback.delivery.whereabouts import country_of
from winback.enrollment.pausing import Pauses, standing_pauses
from winback.errors import TemplateError
from winback.providers.outgoing import (
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


@dataclass(slots=True)
class Desk:
    """What all calls of one run share: the ways out, the lease, the pace, and what stands still."""

    run: Run
    senders: Mapping[Channel, Sender]
    lease: Lease
    clock: Clock
    wait: InitVar[Wait] = asyncio.sleep
    """How time is let go by; a rehearsal moves its clock instead."""
    is_patient: InitVar[bool] = False
    """Whether it waits for a busy provider; where time stands still nobody waits."""
    called: dict[int, int] = field(default_factory=dict)
    """Messages on which a call was begun: only of these nobody may know what became of them.

    With the round of their channel's throttle in which they were.
    """
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something to do for who claims and records."""
    channels: Channels = field(init=False)
    """Which channels are closed or busy, by what their providers answered."""
    lines: Lines = field(init=False)
    """Who waits for a turn at a pace."""
    _pauses: Pauses = field(default_factory=Pauses)
    _polled_at: datetime | None = None
    _no_beat: Setback = field(init=False)
    """When the lease could not be renewed last."""

    def __post_init__(self, wait: Wait, is_patient: bool) -> None:
        """Begin with open channels, empty lines and no failure."""
        self.channels = Channels(self.run.rng, self.clock, wait, self.wake, is_patient)
        self.lines = Lines(self.run, self.clock, wait, self.wake)
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
            if claimed.channel not in self.channels.resting:
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
        self.called[claimed.message_id] = self.channels.throttles[claimed.channel].round
        try:
            outgoing = _shortened(words.outgoing, waited) if waited else words.outgoing
            result: Result = await self.senders[claimed.channel].send(outgoing)
        except Exception as broken:  # noqa: BLE001 - the edge of the send loop
            # One message must not stop the batch, and nobody knows whether this one went.
            result = Unclear(_told(claimed, "the sender failed", broken))
        return Called(claimed, result, words.segments, words.cost)

    def watch(self, called: Called, *, flying: int) -> datetime | None:
        """Note what a result tells of its channel; gives when the run tries the message again.

        None where it does not wait for that. ``flying`` is how many calls of the channel were on
        their way.
        """
        of_round = self.called.pop(called.claimed.message_id, None)
        return self.channels.watch(called, of_round=of_round, flying=flying, now=self.run.now)

    def close_channels(self) -> None:
        """Close for all workers what was found in trouble; raises where the database is away."""
        self.channels.close_all(self.run.writes, self.run.now)
        if self.channels.refusals.kinds:
            self.channels.stop_refused(self.run.writes, self.run.now)
            # A campaign may have been stopped, too: asked again before the next call.
            self._polled_at = None

    def _stopped(self, claimed: Claimed) -> Result | NotCalled | None:
        """Say why nobody is called for a message; None where it may go."""
        now = self.clock.now()
        if not self.holds(now):
            return NotCalled("the worker stood still too long to call")
        if self.channels.rests(claimed.channel):
            return NotCalled("its provider is busy", again=True)
        hold = self.channels.standing(self.run.now).get(claimed.channel)
        if hold is not None:
            # Found closed by another call since this one was claimed.
            return Busy((hold.until - self.run.now).total_seconds(), hold.why)
        if self._polled_at is None or not now < self._polled_at + POLL:
            with Session(self.run.reads) as session:
                self.saw(standing_pauses(session))
        why = self._paused(claimed)
        return None if why is None else NotCalled(f"paused: {why}", again=True)

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
