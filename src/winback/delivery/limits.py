"""Caps per person and per address, daily limits and the warm-up, pure.

Caps count what is sent, on its way or in doubt, over all campaigns, answers included (FACTS.md
DS-16, LAW-23c); else a crash would let a cap be beaten.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from winback.policies import Cap

_WARM_UP_START: Final = 50
_WARM_UP_GROWTH: Final = Decimal("1.5")
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


def cap_opens_at(sent_at: Collection[datetime], cap: Cap, now: datetime) -> datetime | None:
    """Give the instant at which a rolling cap lets the next message through; None: at once.

    ``sent_at`` are the claims of the last seven days, in any order. A cap of zero never opens;
    it then asks to look again in a week.
    """
    reached = [
        (most, span)
        for most, span in ((cap.per_day, _DAY), (cap.per_week, _WEEK))
        if most is not None and most <= len(sent_at)
    ]
    if not reached:
        return None
    newest_first = sorted(sent_at, reverse=True)
    opens = [_opens(newest_first, most, span, now) for most, span in reached]
    return max((at for at in opens if at is not None), default=None)


def _opens(
    newest_first: list[datetime], most: int, span: timedelta, now: datetime
) -> datetime | None:
    if most == 0:
        return now + _WEEK
    inside = [at for at in newest_first if at > now - span]
    return inside[most - 1] + span if len(inside) >= most else None


def warm_up_limit(days_sent: int, daily_limit: int) -> int:
    """Give how many mails may leave on a day that follows ``days_sent`` days with mails.

    50 on the first, half as many again on each that follows, up to the daily limit (FACTS.md
    LAW-21).
    """
    limit = Decimal(_WARM_UP_START)
    for _ in range(days_sent):
        if limit >= daily_limit:
            break
        limit *= _WARM_UP_GROWTH
    return min(int(limit), daily_limit)


def days_to_full(daily_limit: int) -> int:
    """Give after how many days with mails the warm-up has reached the daily limit."""
    days = 0
    while warm_up_limit(days, daily_limit) < daily_limit:
        days += 1
    return days
