"""The circuit breaker of a channel, and its throttle, pure: when it opens, and for how long.

A provider that times out again and again costs a doubtful message each time, and a doubt is
never sent again (FACTS.md DS-4): after a few in a row nobody is called any more for a while.
Then one message goes first, and the others follow only when it went through.

A provider that is merely busy loses nothing: it is left alone for as long as it asks, and called
more gently afterwards (FACTS.md SG-15; TW-17, 20429).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

UNCLEAR_IN_A_ROW: Final = 5
"""Doubtful calls, one after the other, that open it."""
BUSY_IN_A_ROW: Final = 10
"""Refusals for being busy, one after the other, that open it: surely not sent, so more may be."""
PROBES: Final = 1
"""How many messages try a channel that was open."""
PAUSE: Final = timedelta(hours=1)
"""How long a channel stands still after its account or sender was refused."""

_BACK_OFF: Final = timedelta(minutes=1)
"""How long a busy provider is left alone where it does not say."""
_FIRST: Final = timedelta(minutes=1)
_GROWTH: Final = 4
_LONGEST: Final = timedelta(hours=1)


def stays_open(strikes: int) -> timedelta:
    """Give for how long nobody is called after that many openings in a row: 1, 4, 16, 60 min."""
    return _stays(strikes, _GROWTH)


def stays_busy(strikes: int, *, chance: float) -> timedelta:
    """Give the same of a busy provider: 1, 2, 4, ... 60 min, up to half as much more by chance.

    Nothing was sent and nothing is in doubt, so it is tried sooner. ``chance`` is from 0 to 1.
    """
    return _stays(strikes, 2) * (1 + chance / 2)


def back_off(asked_seconds: float | None, *, chance: float) -> timedelta:
    """Give how long what a provider was too busy for waits: as it says, not the same for all.

    FACTS.md SG-15. ``chance`` is from 0 to 1.
    """
    wait = _BACK_OFF if asked_seconds is None else timedelta(seconds=asked_seconds)
    return wait * (1 + chance / 2)


def _stays(strikes: int, growth: int) -> timedelta:
    times: int = growth ** min(max(strikes, 1) - 1, 10)
    return min(_FIRST * times, _LONGEST)


LONGEST_REST: Final = timedelta(seconds=64)
"""So long a run waits for a busy provider by itself; for longer its messages go back for later."""

_FIRST_REST: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Throttle:
    """How gently a channel is called since its provider was busy, in one run.

    Calls belong to rounds: the first busy answer to one of a round's calls ends it, and what
    comes of its others, which were on their way together, lowers nothing more.
    """

    round: int = 0
    _most: float | None = None
    """So many calls may be on their way; None where it was never busy."""
    _strikes: int = 0
    """Rests since something was last accepted."""
    _rests_until: datetime | None = None

    def share(self, share: int) -> int:
        """Give how many of a channel's calls may be on their way; it always goes on with one."""
        return share if self._most is None else min(share, int(self._most))

    def rests(self, now: datetime) -> bool:
        """Say whether nobody is called now."""
        return self._rests_until is not None and now < self._rests_until

    @property
    def rests_until(self) -> datetime | None:
        """Give when the latest rest ends, or ended."""
        return self._rests_until

    def lowers(self, of_round: int, *, flying: int) -> bool:
        """Halve the calls, once a round, at a busy answer; says whether it did.

        ``flying`` is how many were on their way, with the one that was answered.
        """
        if of_round != self.round:
            return False
        self.round += 1
        most = flying if self._most is None else min(self._most, flying)
        self._most = max(1.0, most / 2)
        return True

    def accepts(self) -> None:
        """Let one more call go for each time that all which may be on their way went through."""
        self._strikes = 0
        if self._most is not None:
            self._most += 1 / self._most

    def rest(self, now: datetime, asked: timedelta, *, chance: float) -> datetime | None:
        """Leave the provider alone, longer each time in a row; gives until when.

        None where that is too long for a run to wait, or was asked for too often. ``chance``,
        from 0 to 1, keeps workers apart that were told the same instant.
        """
        wait = max(asked, _FIRST_REST * 2 ** min(self._strikes, 10))
        if wait > LONGEST_REST:
            return None
        self._strikes += 1
        self._rests_until = now + wait * (1 + chance / 2)
        return self._rests_until

    def rest_at_least(self, until: datetime) -> datetime:
        """Lengthen a rest where another call of its round was told more; gives until when."""
        self._rests_until = max(self._rests_until or until, until)
        return self._rests_until
