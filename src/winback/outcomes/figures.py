"""The values of a report: plain, frozen, the same for JSON, terminal, page and artifacts.

Shares are between 0 and 1; amounts are in the business's currency.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from winback.outcomes.lift import Interval, SampleRatio
from winback.outcomes.verdict import Verdict
from winback.states import Arm, Channel


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """What became of the messages of one step, on one channel, in one variant."""

    step: str
    is_answer: bool
    channel: Channel
    variant: str
    queued: int
    """Waiting or on their way."""
    sent: int
    """Accepted by the provider."""
    delivered: int
    opened: int
    """By people as far as can be told; weak, since many open by machine (FACTS.md SG-19)."""
    clicked: int
    """By people, as far as can be told (FACTS.md SEC-11)."""
    replied: int
    """A written reply or a tapped reason."""
    bounced: int
    failed: int
    unconfirmed: int
    skipped: int
    canceled: int


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm, over the enrollments of one effect."""

    arm: Arm
    assigned: int
    converted: int
    rate: Interval
    revenue: float
    revenue_per_assigned: float


@dataclass(frozen=True, slots=True)
class Effect:
    """Treated against holdout, by assignment."""

    treated: ArmFigures
    holdout: ArmFigures
    difference: Interval | None
    """Share of customers; None where it cannot be known or must not be shown."""
    verdict: Verdict
    split: SampleRatio


@dataclass(frozen=True, slots=True)
class Money:
    """What the campaign earned, over the enrollments whose window has ended."""

    sentence: str
    welch: Interval | None
    """Revenue per assigned customer, treated minus holdout."""
    bootstrap: Interval | None
    winsorized: Interval | None
    winsorized_at: float
    margin: float
    message_cost: float
    voucher_cost: float
    net: Interval | None
    """Incremental revenue at the margin, less costs, over all treated (FACTS.md MEA-11)."""
    attributed: float
    """Attributed, not caused: five days after a click, or with our voucher (MEA-15)."""
    other_currency: int
    """Sales in another currency: conversions, but in no amount here (MEA-14)."""


@dataclass(frozen=True, slots=True)
class VoucherRow:
    """The codes of one offer, by state."""

    offer: str
    free: int
    reserved: int
    issued: int
    redeemed: int
    voided: int
    expired: int
    is_low: bool


@dataclass(frozen=True, slots=True)
class Week:
    """One week, beginning on a Monday: who was enrolled, and who came back."""

    begins_on: date
    treated: int
    holdout: int
    treated_converted: int
    holdout_converted: int


@dataclass(frozen=True, slots=True)
class ReturnPoint:
    """Share of each arm that had come back so many days after its enrollment."""

    days: int
    treated: float
    holdout: float


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """All that is known about one campaign."""

    campaign: str
    enrolled: int
    still_measured: int
    """Enrollments whose window is still open."""
    measure_for: str
    effect: Effect
    """Over the enrollments whose window has ended: the result."""
    so_far: Effect
    """Over everyone enrolled, purchases so far: a peek, labeled interim (MEA-6)."""
    money: Money
    funnel: tuple[FunnelRow, ...]
    reasons: dict[str, int]
    """Customers by the reasons they gave, most frequent first."""
    states: dict[str, dict[str, int]]
    """Enrollments by state, for each arm."""
    vouchers: tuple[VoucherRow, ...]
    weeks: tuple[Week, ...]
    returns: tuple[ReturnPoint, ...]
    notes: tuple[str, ...]
    """What a careful reader must know about these numbers."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person."""

    what: str
    count: int
    says: str
    since: datetime | None = None
    about: str = ""
    """Which of several, where there can be several: a channel, or a campaign's offer."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one business at one instant."""

    as_of: datetime
    on: date
    """The local date of ``as_of``."""
    business: str
    currency: str
    mode: str
    campaigns: tuple[CampaignReport, ...]
    needs_a_person: tuple[Need, ...]
    cases: dict[str, int]
    """Open cases by kind."""

    def plain(self) -> dict[str, Any]:
        """Give it as plain values, for JSON."""
        return asdict(self)
