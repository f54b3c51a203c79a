"""How fast messages may leave, pure: a token bucket told by one instant.

``free_at`` is when the next token is free. Earlier than now, tokens have gathered, at most as
many as ``burst`` seconds bring; later than now, they are taken already and whoever comes must
wait. One instant is all that several workers need to share. What is counted are segments of
texts (FACTS.md TW-19) and whole mails.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from winback.policies import SMS_PACES, Policies
from winback.states import Channel, Mode

BURST: Final = timedelta(seconds=1)
"""How much of an idle time may be made up for at once."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one reservation gives: the bucket afterwards, and when the first token is ours."""

    free_at: datetime
    starts_at: datetime


def reserve(free_at: datetime | None, amount: int, *, per_second: float, now: datetime) -> Turn:
    """Take ``amount`` tokens; they are ours one after the other from ``starts_at`` on.

    ``free_at`` None is a bucket never used: it is full.
    """
    first = max(free_at or now - BURST, now - BURST)
    return Turn(first + timedelta(seconds=amount / per_second), max(first, now))


AHEAD: Final = timedelta(seconds=2)
"""So far ahead of its turn a message is claimed."""


def at_once(per_second: float, *, most: int, each: int = 1, ahead: timedelta = timedelta(0)) -> int:
    """Give how many to claim at a time, so that the last of them leaves within two seconds.

    What is claimed waits for its turn; a no, a purchase or a pause that comes later than the
    claim is seen by the next one only. ``each`` is how many tokens a message needs, ``ahead``
    for how long those are taken that come next.
    """
    left = (AHEAD - ahead).total_seconds()
    return max(1, min(most, int(per_second * left / each))) if left > 0 else 0


def drain_time(amount: int, per_second: float | None) -> timedelta:
    """Give how long ``amount`` takes to leave (FACTS.md TW-19c); no time where nothing limits."""
    return timedelta(seconds=ceil(amount / per_second)) if per_second else timedelta(0)


def pace_of(policies: Policies, channel: Channel, mode: Mode) -> float | None:
    """Give the tokens a second of a channel; None where nothing limits it.

    ``auto`` limits nothing in the sandbox, whose stand-ins have no queue. Elsewhere texts leave
    as from a long code, one segment a second, until the owner writes what the number can do;
    mails leave as fast as the provider takes them.
    """
    written = policies.pace.sms if channel is Channel.SMS else policies.pace.email
    if written == "off":
        return None
    if written == "auto":
        is_text = channel is Channel.SMS
        return SMS_PACES["long code"] if is_text and mode is not Mode.SANDBOX else None
    return written
