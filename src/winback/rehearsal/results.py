"""What a rehearsal found: who would enter, who would get what and when, and what would wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from winback.rehearsal.schedule import Schedule
from winback.states import Arm, Channel


@dataclass(frozen=True, slots=True)
class Sending:
    """One message that would leave, or one call or letter that would come due."""

    at: datetime
    day: date
    """The business's local date."""
    customer_id: int
    campaign: str
    arm: Arm
    step: str
    channel: Channel
    variant: str = ""
    """Of the template; empty for a call or a letter."""
    is_answer: bool = False
    segments: int | None = None
    cost: Decimal = Decimal(0)
    """In the business's currency."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One customer who would be enrolled, in either arm."""

    day: date
    customer_id: int
    campaign: str
    arm: Arm


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that would happen to a number of messages or steps, and why."""

    what: str
    """``postponed``, or how a step is got past: passed, skipped, stale, failed, unconfirmed."""
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The days to come, as they would go if nobody responds or buys."""

    begins_at: datetime
    days: tuple[date, ...]
    schedule: Schedule
    sendings: tuple[Sending, ...]
    entries: tuple[Entry, ...]
    codes: Mapping[tuple[str, str], int]
    """Codes that would be given to somebody, by campaign and offer."""
    postponed: tuple[Reason, ...]
    passed: tuple[Reason, ...]
    queued: Mapping[Channel, int]
    """Messages that would still wait at the end, by channel."""
    put_off: Mapping[Channel, int] = field(default_factory=dict)
    """Messages that did not fit into their hours at the pace and leave later, by channel."""

    @property
    def cost(self) -> Decimal:
        """What all messages would cost, in the business's currency."""
        return sum((one.cost for one in self.sendings), Decimal(0))

    def count(self, channel: Channel) -> int:
        """Count what would leave on a channel over all days."""
        return sum(one.channel is channel for one in self.sendings)
