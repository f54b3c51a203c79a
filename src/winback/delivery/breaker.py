"""The circuit breaker of a channel, pure: when it opens, and for how long.

A provider that times out again and again costs a doubtful message each time, and a doubt is
never sent again (FACTS.md DS-4): after a few in a row nobody is called any more for a while.
Then one message goes first, and the others follow only when it went through.
"""

from datetime import timedelta
from typing import Final

UNCLEAR_IN_A_ROW: Final = 5
"""Doubtful calls, one after the other, that open it."""
BUSY_IN_A_ROW: Final = 10
"""Refusals for being busy, one after the other, that open it: surely not sent, so more may be."""
PROBES: Final = 1
"""How many messages try a channel that was open."""

_FIRST: Final = timedelta(minutes=1)
_GROWTH: Final = 4
_LONGEST: Final = timedelta(hours=1)


def stays_open(strikes: int) -> timedelta:
    """Give for how long nobody is called after that many openings in a row: 1, 4, 16, 60 min."""
    times: int = _GROWTH ** min(max(strikes, 1) - 1, 10)
    return min(_FIRST * times, _LONGEST)
