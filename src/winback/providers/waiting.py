"""How long a provider asks us to wait."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_to_wait(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Read how long a 429 asks to wait; None where no header says so (FACTS.md SG-15).

    ``X-RateLimit-Reset`` is in epoch seconds, ``Retry-After`` in seconds or an HTTP date. The
    jitter is the caller's.
    """
    if reset := headers.get("x-ratelimit-reset"):
        return _seconds(reset, since=now.timestamp())
    after = headers.get("retry-after")
    if after is None:
        return None
    if (seconds := _seconds(after, since=0)) is not None:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(after).astimezone(UTC) - now).total_seconds())
    except ValueError:
        return None


def _seconds(written: str, *, since: float) -> float | None:
    try:
        seconds = float(written) - since
    except ValueError:
        return None
    # "nan" and "inf" are floats, but no time to wait.
    return max(0.0, seconds) if seconds < float("inf") else None
