"""How long a provider asks us to wait."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 24 * 60 * 60
"""Seconds. A provider that asks for more has written something else, milliseconds for example."""


def seconds_to_wait(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Read how long a 429 asks to wait; None where no header says so (FACTS.md SG-15).

    ``X-RateLimit-Reset`` is in epoch seconds, ``Retry-After`` in seconds or an HTTP date. What
    makes no sense counts as if it were not there, so that nothing waits for it (FACTS.md SG-14).
    The jitter is the caller's.
    """
    until_reset = _until_reset(headers.get("x-ratelimit-reset", ""), now=now)
    return _after(headers.get("retry-after", ""), now=now) if until_reset is None else until_reset


def _until_reset(reset: str, *, now: datetime) -> float | None:
    at = _number(reset)
    return None if at is None else _until(at - now.timestamp())


def _after(written: str, *, now: datetime) -> float | None:
    seconds = _number(written)
    if seconds is not None:
        return seconds if 0 <= seconds <= LONGEST else None
    try:
        at = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None
    # A date without an offset is in UTC.
    return _until((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp())


def _until(seconds: float) -> float | None:
    """Give the wait until an instant, none for one that is just over.

    Of "nan" and "inf", which are floats but no time to wait, neither is within a day.
    """
    return max(0.0, seconds) if -LONGEST <= seconds <= LONGEST else None


def _number(written: str) -> float | None:
    try:
        return float(written)
    except ValueError:
        return None
