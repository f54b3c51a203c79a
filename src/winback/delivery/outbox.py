"""The loop of one run: claims a little, lets the desk call, and writes down what came of it.

Claims are small and results are written down soon, so that a crash leaves few rows in doubt. While
the database is away results wait in memory, and nobody new is called.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from winback.database.retrying import is_away
from winback.delivery.brakes import brake_meanwhile
from winback.delivery.breaker import PROBES
from winback.delivery.calling import Desk
from winback.delivery.claimer import Claimer
from winback.delivery.composing import Claimed
from winback.delivery.counts import SendCounts
from winback.delivery.due import Due, Stream
from winback.delivery.isolating import Isolation, working_at_rows
from winback.delivery.leases import LeaseLost
from winback.delivery.patience import AGAIN_AFTER, AT_THE_END, Patience
from winback.delivery.recording import record_results
from winback.delivery.results import Called, NotCalled
from winback.errors import tell_discreetly
from winback.failpoints import committing
from winback.providers.outgoing import Busy, Unclear

_log = logging.getLogger(__name__)

_RECORD_AT: Final = 64
"""So many results are written down together."""

_RECORD_AFTER: Final = 0.5
"""Seconds after which a result is written down, however few there are."""

_LOOKS_AFTER: Final = 5.0
"""Seconds after which the loop looks for what is newly due."""
_LOOKS_TAKE: Final = 0.05
"""No more than this share of the time goes into looking."""

_RATES_AFTER: Final = 30.0
"""Seconds after which the loop asks whether its mails bounce, or are called spam, too often."""

_GOES_ON_AFTER: Final = timedelta(seconds=5)

_HELD_FOR: Final = timedelta(seconds=1)
"""So long a run waits for the last ones that others hold: whoever moves one is through by then."""


@dataclass(slots=True)
class Outbox:
    """Claims a little, lets the desk call, and writes down what came of it."""

    desk: Desk
    counts: SendCounts
    in_flight: int
    is_present: bool
    calls: dict[asyncio.Task[Called], Claimed] = field(default_factory=dict)
    ended: list[Called] = field(default_factory=list)
    due: Due = field(default_factory=Due)
    """What is to be claimed, and what this run has seen of it."""
    claimer: Claimer = field(init=False)
    unwritten: Isolation = field(default_factory=lambda: Isolation("result"))
    gives_up: bool = False
    broken: asyncio.Task[Called] | None = None
    """A call that ended as no call should."""
    record_at: float | None = None
    """The loop's time at which the oldest result is written down at the latest."""
    back_at: datetime | None = None
    """When all that a provider was too busy for may be tried once more."""
    look_at: float = 0.0
    """The loop's time of the next look."""
    rates_at: float = field(init=False)
    """The loop's time at which rates are asked again; the stage has asked before it began."""
    away: Patience = field(default_factory=Patience)
    """For how long the database has been away."""

    def __post_init__(self) -> None:
        """Let claims be made of what is due here."""
        self.claimer = Claimer(self.desk, self.counts, self.due)
        self.rates_at = asyncio.get_running_loop().time() + _RATES_AFTER

    def look(self) -> bool:
        """Take up what is due, in the order of sending; False where nothing of it is new."""
        run = self.desk.run
        with Session(run.reads) as session:
            new = self.due.look(session, run.now)
        self.counts.postponed -= self.due.taken_back()
        self.look_at = asyncio.get_running_loop().time() + _LOOKS_AFTER
        return new > 0

    def _look_again(self) -> None:
        """Take up what became due meanwhile: an answer does not wait for the end of a long pass."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self.look_at or self._is_away():
            return
        self._go_on()
        run = self.desk.run
        try:
            with Session(run.reads) as session:
                has_more = self.due.has_more(session, run.now)
            if has_more:
                self.look()
        except DBAPIError as away:
            self._be_patient(away)
        ended = loop.time()
        self.look_at = ended + max(_LOOKS_AFTER, (ended - began) / _LOOKS_TAKE)

    def _brake(self) -> None:
        """Stop what must stop by what became of the first of a long pass (FACTS.md LAW-21)."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self.rates_at or self._is_away():
            return
        self._go_on()
        try:
            brake_meanwhile(self.desk.run)
        except DBAPIError as away:
            self._be_patient(away)
        ended = loop.time()
        self.rates_at = ended + max(_RATES_AFTER, (ended - began) / _LOOKS_TAKE)

    async def wait_for_others(self) -> None:
        """Wait until what others held, or a provider was too busy for, may be tried once more."""
        back_at, self.back_at = self.back_at, None
        if self.due.held:
            let_go_at = self.desk.clock.now() + _HELD_FOR
            back_at = max(back_at or let_go_at, let_go_at)
        if back_at is not None and self.desk.channels.is_patient and not self.desk.lease.is_lost:
            await self.desk.channels.pass_time(back_at)
            self._go_on(timedelta(0))

    async def send_all(self) -> None:
        """Send what was taken up, each channel in its own order and at its own pace."""
        try:
            while self._is_busy() or self._closes_silent():
                self.desk.wake.clear()
                if self.broken is not None:
                    self.broken.result()
                self._look_again()
                self._brake()
                for stream in self.due.streams.values():
                    self._get_in_line(stream)
                    self._claim_of(stream)
                self._write_down()
                can_claim = any(map(self._room, self.due.streams.values()))
                if self.calls or (self._is_busy() and not can_claim):
                    await self._sleep()
        except BaseException:
            await self._give_up()
            raise

    def _get_in_line(self, stream: Stream) -> None:
        """Look before a claim how far the pace is taken; where that is far, come back later."""
        channel = stream.channel
        if stream.in_line or not stream.ids or self._waits_a_moment(stream):
            return
        if self.desk.channels.rests(channel):
            self._stand(stream, self.desk.channels.wait_for_rest(channel))
            return
        if self.desk.lines.pace(channel) is None:
            return
        if self._room(stream):
            try:
                self.desk.lines.look(channel)
            except DBAPIError as away:
                self._be_patient(away)
                return
        if not self._room(stream) and not self.desk.lines.waiting[channel]:
            self._stand(stream, self.desk.lines.wait_to_claim(channel))

    def _stand(self, stream: Stream, waiting: Coroutine[Any, Any, None]) -> None:
        stream.in_line = asyncio.create_task(waiting)
        stream.in_line.add_done_callback(lambda _: stream.leave_line())

    def _closes_silent(self) -> bool:
        self.desk.channels.close_silent(self.desk.run.now)
        return bool(self.desk.channels.to_close)

    def _is_busy(self) -> bool:
        has_results = self.calls or self.ended or self.desk.channels.to_close
        return bool(has_results) or self.due.is_any_left

    async def _sleep(self) -> None:
        """Wait until there may be something to do."""
        loop = asyncio.get_running_loop()
        at = [loop.time() + _LOOKS_AFTER]
        at += [one.not_before for one in self.due.streams.values() if self._waits_a_moment(one)]
        if self.record_at is not None:
            at.append(self.record_at)
        if self.away.waits(loop.time()):
            # Nothing is written before, whatever is due.
            at = [self.away.again_at]
        timer = loop.call_at(min(at), self.desk.wake.set)
        await self.desk.wake.wait()
        timer.cancel()

    def _room(self, stream: Stream) -> int:
        """Give how many of a channel to claim now: none, or enough to be worth it.

        Channels share alike, so that a slow one neither stops the other nor is stopped by it.
        """
        if self._is_away() or self.desk.channels.rests(stream.channel):
            return 0
        if self._waits_a_moment(stream):
            return 0
        busy = sum(bool(one.ids) for one in self.due.streams.values())
        if stream.channel in self.desk.channels.to_try:
            # It was closed: one message tries it, the others follow when that went through.
            return 0 if stream.flying else min(PROBES, len(stream.ids))
        share = max(1, self.in_flight // max(1, busy))
        share = self.desk.channels.throttles[stream.channel].share(share)
        pace, size = self.desk.lines.pace(stream.channel), max(1, share // 2)
        if pace is not None:
            if self.desk.lines.waiting[stream.channel]:
                return 0
            size = self.desk.lines.fit(stream.channel, pace, most=size)
        fits = stream.flying + size <= share and len(self.calls) + size <= self.in_flight
        return min(size, len(stream.ids)) if fits else 0

    def _waits_a_moment(self, stream: Stream) -> bool:
        """Say whether what came back uncalled goes first, and not yet."""
        if not stream.ids or not stream.not_before:
            return False
        return asyncio.get_running_loop().time() < stream.not_before

    def _claim_of(self, stream: Stream) -> None:
        """Claim of a channel what can be called soon, and begin the calls.

        Little to doubt if we die, and a no that comes meanwhile is seen by the next claim.
        """
        while room := self._room(stream):
            ids = [stream.ids.popleft() for _ in range(room)]
            try:
                self._go_on()
                self.claimer.claim(ids)
                self.away.is_over()
            except LeaseLost:
                _log.warning("worker %d claims no more", self.desk.lease.worker_id)
                self.desk.lease.is_lost = True
                stream.ids.clear()
            except DBAPIError as away:
                self._unclaim(stream, ids)
                self._be_patient(away)
            while self.claimer.waiting:
                task = asyncio.create_task(self.desk.call(self.claimer.waiting[-1]))
                self.calls[task] = self.claimer.waiting.pop()
                stream.flying += 1
                task.add_done_callback(self._on_end)
            if self.desk.lines.pace(stream.channel) is not None:
                return  # The calls get in line when they begin.

    def _unclaim(self, stream: Stream, ids: Sequence[int]) -> None:
        """Put back what could not be claimed; where the commit may have counted, so is the row."""
        unsure = {one.message_id for one in self.claimer.waiting}
        stream.ids.extendleft(id_ for id_ in reversed(ids) if id_ not in unsure)
        again = NotCalled("the claim is unsure", again=True)
        self.ended += [Called(one, again) for one in self.claimer.waiting]
        self.claimer.waiting.clear()

    def _go_on(self, after: timedelta = _GOES_ON_AFTER) -> None:
        """Let a run in the present stay in it."""
        at = self.desk.clock.now()
        if self.is_present and at - self.desk.run.now > after:
            self.desk.run = replace(self.desk.run, now=at)

    def _on_end(self, task: asyncio.Task[Called]) -> None:
        if self.gives_up or task.cancelled() or task.exception() is not None:
            # Something ends us; what is still among the calls is judged then.
            self.broken = self.broken or task
            self.desk.wake.set()
            return
        del self.calls[task]
        called = task.result()
        # First of all: whatever happens next, what is known of a call is written down.
        self.ended.append(called)
        stream = self.due.streams[called.claimed.channel]
        again_at = self._watch(called, flying=stream.flying)
        stream.flying -= 1
        if again_at is not None:
            self.ended[-1] = replace(called, again_at=again_at)
        if self.record_at is None:
            loop = asyncio.get_running_loop()
            self.record_at = loop.time() + _RECORD_AFTER
            loop.call_at(self.record_at, self.desk.wake.set)
        if len(self.ended) >= _RECORD_AT or not self.calls or self._room(stream):
            self.desk.wake.set()

    def _watch(self, called: Called, *, flying: int) -> datetime | None:
        """Note what a result tells of its channel; what cannot be made of one loses no call."""
        try:
            return self.desk.watch(called, flying=flying)
        except Exception as broken:  # noqa: BLE001 - the edge of the send loop
            what = tell_discreetly(broken)
            _log.error("message %d: its answer tells nothing: %s", called.claimed.message_id, what)
            return None

    def _must_record(self) -> bool:
        if not self.calls or self.desk.channels.to_close or len(self.ended) >= _RECORD_AT:
            return True
        if self.ended and self.away.is_tried:
            return True
        if self.desk.channels.refusals.are_urgent():
            return True
        return self.record_at is not None and asyncio.get_running_loop().time() >= self.record_at

    def _write_down(self) -> None:
        """Write results down where it is time for it, and close the channels that are in trouble.

        Where the database is away they wait in memory, and calls on their way end meanwhile.
        """
        if self.away.waits(asyncio.get_running_loop().time()) or not self._must_record():
            return
        try:
            self._record()
            # After the results: an acceptance from before would open the channel again.
            self.desk.close_channels()
        except DBAPIError as away:
            self._be_patient(away)
        else:
            self.away.is_over()

    def _record(self) -> None:
        ended, self.ended, self.record_at = self.ended, [], None
        if not ended:
            return
        if any(isinstance(one.result, Busy) for one in ended):
            # What the provider asked for counts from now, not from when we last looked.
            self._go_on(timedelta(0))
        left = {one.claimed.message_id: one for one in ended}

        def at_once(ids: Sequence[int]) -> None:
            self._record_at_once([left[id_] for id_ in ids])
            for id_ in ids:
                del left[id_]

        def put_aside(id_: int, _kind: str) -> None:
            """Let the next run doubt it, as what a dead worker left: all others are known."""
            del left[id_]

        try:
            self.unwritten.work([*left], at_once, put_aside)
            self.unwritten.tell()
        except BaseException:
            self.ended[:0] = left.values()
            raise

    def _record_at_once(self, ended: Sequence[Called]) -> None:
        with (
            Session(self.desk.run.writes) as session,
            committing(session.begin(), "send.record"),
            working_at_rows(),
        ):
            record_results(session, self.desk.run, ended)
        self.counts.count(ended)
        for one in reversed(ended):
            if isinstance(one.result, NotCalled) and one.result.again:
                self._come_back(one.claimed)
            if one.again_at is not None:
                self.due.put_back(one.claimed.message_id)
                self.back_at = max(self.back_at or one.again_at, one.again_at)

    def _come_back(self, claimed: Claimed) -> None:
        """Let what nobody was called for be claimed once more, soon or a little later."""
        after = self.due.come_back(claimed.channel, claimed.message_id)
        if after is None:
            self.counts.postponed += 1
            return
        stream = self.due.streams[claimed.channel]
        stream.not_before = max(stream.not_before, asyncio.get_running_loop().time() + after)

    def _is_away(self) -> bool:
        """Say whether nothing is claimed for the database's sake: results come first."""
        if not self.away.is_tried:
            return False
        return bool(self.ended) or self.away.waits(asyncio.get_running_loop().time())

    def _be_patient(self, away: DBAPIError) -> None:
        """Try again later; raises an error that no patience helps, or has for long enough.

        What is known of calls is kept for long; to claim, the lease must hold.
        """
        if not is_away(away):
            raise away
        desk, has_failed_before = self.desk, self.away.is_tried
        is_worth_it = self.away.fails(asyncio.get_running_loop().time())
        has_results = self.calls or self.ended or desk.channels.to_close
        if not is_worth_it or not (has_results or desk.lease.holds(desk.clock.now())):
            raise away
        if has_failed_before:
            kind = type(away.orig).__name__
            _log.warning("%d results wait for the database: %s", len(self.ended), kind)

    async def _give_up(self) -> None:
        """Stop in the middle: what was being called is in doubt, what was not goes back."""
        await self._end_calls()
        self.away = Patience(longest=AT_THE_END)
        while self.ended or self.desk.channels.to_close:
            self._write_down()
            if self.away.is_tried:
                await asyncio.sleep(AGAIN_AFTER)

    async def _end_calls(self) -> None:
        self.gives_up = True
        for stream in self.due.streams.values():
            if stream.in_line is not None:
                stream.in_line.cancel()
        for task in self.calls:
            task.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        for task, claimed in self.calls.items():
            if not task.cancelled() and task.exception() is None:
                self.ended.append(task.result())
            elif claimed.message_id in self.desk.called:
                self.ended.append(Called(claimed, Unclear("interrupted")))
            else:
                self.claimer.waiting.append(claimed)
        self.ended.extend(
            Called(claimed, NotCalled("interrupted")) for claimed in self.claimer.waiting
        )
        self.calls.clear()
        self.claimer.waiting.clear()
