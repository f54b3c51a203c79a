"""The calendar rule of a lapse: dates in, dates out. Pure; the twin of ``query``.

A customer has lapsed when last purchase plus the campaign's period is on or before the as-of
date, both local dates of the business (FACTS.md DS-14: calendar months, clamped to the month's
end; inclusive).
"""

from datetime import date, timedelta

from winback.periods import Period


def lapses_on(last_purchased_on: date, after: Period) -> date:
    """Give the first local day on which a customer who bought nothing since has lapsed."""
    return after.after(last_purchased_on)


def has_lapsed(last_purchased_on: date, after: Period, today: date) -> bool:
    """Say whether the lapse has come by the end of a local day, that day included."""
    return lapses_on(last_purchased_on, after) <= today


def cutoff(after: Period, today: date) -> date:
    """Give the latest date of a last purchase that has lapsed by today; it and all before have."""
    return after.latest_start(today)


def is_too_long_ago(last_purchased_on: date, not_after: Period | None, today: date) -> bool:
    """Say whether a lapse lies beyond ``not_after``; the day it is reached still counts."""
    return not_after is not None and not_after.after(last_purchased_on) < today


def too_long_ago_cutoff(not_after: Period, today: date) -> date:
    """Give the latest date of a last purchase that is too long ago today."""
    return not_after.latest_start(today - timedelta(days=1))
