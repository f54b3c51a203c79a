"""What the town knows of its own people, by person and instant, whatever our rows say.

Each fact is noted where it happens: when a no is spoken, a purchase made, a consent taken back.
It binds winback from the moment at which that had taken it up: a row of a file when a pull had
ended, what came by a webhook when events had been applied, what was done by hand at once. What
was not taken up yet, or only in the middle of a run, is no mistake of that run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum, auto

from winback.enrollment.pausing import PauseScope
from winback.states import Channel


class Road(StrEnum):
    """How winback hears of a fact: named for the stage that takes it up, or by hand."""

    FILE = "pull"
    EVENT = "respond"
    HAND = "hand"


class What(Enum):
    """What happened to, or was said by, a person."""

    NO = auto()
    WROTE = auto()
    """A written reply that is no no: an associate answers, automation waits (P7)."""
    COMPLAINED_OF_SERVICE = auto()
    """The reason of the page that is handed over, too."""
    PARTED = auto()
    BOUGHT = auto()
    MAY_WRITE = auto()
    MAY_NOT_WRITE = auto()
    IS_ONE_WITH = auto()
    """A row by which the web shop's account is known to be the till's person."""


@dataclass(slots=True, eq=False)
class Fact:
    """One thing that happened; ``number`` says to whom."""

    what: What
    number: int
    road: Road
    at: datetime
    known_at: datetime | None = None
    """When winback had taken it up."""
    channel: Channel | None = None
    """Of a consent."""
    on: date | None = None
    """Of a purchase."""
    code: str = ""
    """The voucher that a purchase named."""
    other: int | None = None
    """The person whom somebody is one with."""


@dataclass(slots=True)
class Halt:
    """A time for which an operator stopped something; ``end`` None: it still stands."""

    scope: PauseScope
    name: str
    start: datetime
    end: datetime | None = None

    def covers(self, campaign: str, channel: Channel) -> bool:
        """Say whether it stops a campaign's messages on a channel."""
        match self.scope:
            case PauseScope.ALL:
                return True
            case PauseScope.CAMPAIGN:
                return self.name == campaign
            case PauseScope.CHANNEL:
                return self.name == channel.value
        return False


@dataclass(slots=True)
class Record:
    """All that happened so far."""

    facts: list[Fact] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)

    def tell(self, fact: Fact) -> None:
        """Note a fact; what was done by hand is known at once."""
        if fact.road is Road.HAND:
            fact.known_at = fact.at
        self.facts.append(fact)

    def take_up(self, road: str, at: datetime) -> None:
        """Note that winback took up all that it was told by a road."""
        for fact in self.facts:
            if fact.road == road and fact.known_at is None:
                fact.known_at = at

    def known(self, by: datetime) -> Iterator[Fact]:
        """Give what winback had taken up by then, in the order in which it happened."""
        return (one for one in self.facts if one.known_at is not None and one.known_at <= by)

    def group(self, number: int, by: datetime) -> frozenset[int]:
        """Give all numbers of a person, as far as they were known to be one by then."""
        found = {number}
        pairs = [(one.number, one.other) for one in self.known(by) if one.other is not None]
        for pair in pairs * 2:
            if found.intersection(pair):
                found.update(pair)
        return frozenset(found)

    def of(self, group: frozenset[int], what: What, by: datetime) -> list[Fact]:
        """Give what winback had taken up about a person by then."""
        return [one for one in self.known(by) if one.what is what and one.number in group]

    def wants(self, group: frozenset[int], channel: Channel, by: datetime) -> bool:
        """Say whether a person may be written to on a channel, by what files said of consent.

        The last word holds; where sources differ about one person, any yes of the last pull, or
        of the last word of each, is enough to be no mistake.
        """
        words = (What.MAY_WRITE, What.MAY_NOT_WRITE)
        said = [one for one in self.known(by) if one.what in words]
        said = [one for one in said if one.channel is channel and one.number in group]
        if not said:
            return False
        last_at = max(one.known_at for one in said if one.known_at is not None)
        newest = [one for one in said if one.known_at == last_at]
        last_of_each = {one.number: one for one in said}.values()
        return all(
            any(one.what is What.MAY_WRITE for one in some) for some in (newest, last_of_each)
        )

    def stood_still(self, campaign: str, channel: Channel, since: datetime) -> timedelta:
        """Give how long an operator's halts have kept a message since an instant."""
        spans = [
            (one.end, max(one.start, since))
            for one in self.halts
            if one.end is not None and one.covers(campaign, channel)
        ]
        return sum((max(end - start, timedelta(0)) for end, start in spans), timedelta(0))
