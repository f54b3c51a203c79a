"""What stays unknown: messages in doubt, each with what was looked for so far."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.database.tables import Message
from winback.states import Channel, MessageState


@dataclass(frozen=True, slots=True)
class Unknown:
    """One message in doubt: perhaps sent, never sent again."""

    id: int
    channel: Channel
    step: str
    since: datetime | None
    """When it was claimed; the call was made then, if at all."""
    looks: int
    """How often its provider was asked about it (FACTS.md DS-6)."""
    looks_again_at: datetime | None
    """None: only a late event or an operator can settle it."""
    why: str
    """How the doubt came, and what the latest look gave; nobody's name or address."""

    def plain(self) -> dict[str, Any]:
        """Give it as facts for JSON."""
        return asdict(self)


def by_day(unknown: Iterable[Unknown], zone: ZoneInfo) -> dict[str, list[Unknown]]:
    """Sort doubts by the local day on which they came, as YYYY-MM-DD; empty where none is known."""
    days: defaultdict[str, list[Unknown]] = defaultdict(list)
    for one in unknown:
        days["" if one.since is None else local_date(one.since, zone).isoformat()].append(one)
    return days


def read_unknown(session: Session) -> tuple[Unknown, ...]:
    """Give every message in doubt, the oldest first."""
    return tuple(Unknown(*row) for row in session.execute(_IN_DOUBT))


_IN_DOUBT: Final = (
    select(
        Message.id,
        Message.channel,
        Message.step,
        Message.claimed_at,
        Message.looks,
        Message.look_at,
        Message.reason,
    )
    .where(Message.state == MessageState.UNCONFIRMED)
    .order_by(Message.claimed_at, Message.id)
)
