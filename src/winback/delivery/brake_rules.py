"""When a campaign must stop by itself, pure: too many bounces, too many complaints.

The thresholds are the mailbox providers' own (FACTS.md LAW-18, LAW-21). They are shares of large
numbers: in a day of forty mails three dead mailboxes are chance, and one angry person is no trend.
So a brake takes ten bounces or three complaints at least.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

BOUNCES_STOP: Final = Decimal("0.02")
"""More than this share of a day's accepted mails bounced (LAW-21)."""
COMPLAINTS_WARN: Final = Decimal("0.001")
COMPLAINTS_STOP: Final = Decimal("0.003")
"""Complaints by the mails delivered in a day, over all or at one mailbox domain (LAW-18)."""
BOUNCES_AT_LEAST: Final = 10
COMPLAINTS_AT_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class DayOfMail:
    """What became of one campaign's mails within a day; ``by_domain`` is domain to figures.

    Figures are (delivered, complaints).
    """

    accepted: int
    bounced: int
    by_domain: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to stop, or only to warn, and the sentence that says why."""

    stops: bool
    why: str


def judge(day: DayOfMail) -> Verdict | None:
    """Say whether a campaign must stop, or deserves a warning; None where all is well."""
    if day.bounced >= BOUNCES_AT_LEAST and day.bounced > BOUNCES_STOP * day.accepted:
        return Verdict(
            stops=True,
            why=f"{day.bounced:,} of {day.accepted:,} mails bounced within a day; "
            "more than 2 % harms the domain's name",
        )
    delivered = sum(good for good, _ in day.by_domain.values())
    complaints = sum(bad for _, bad in day.by_domain.values())
    everywhere: Iterable[tuple[str, tuple[int, int]]] = [("", (delivered, complaints))]
    for domain, (good, bad) in [*everywhere, *sorted(day.by_domain.items())]:
        if _reaches(bad, good, COMPLAINTS_STOP):
            return Verdict(stops=True, why=_complaints(bad, good, domain, "0.3 %"))
    for domain, (good, bad) in everywhere:
        if _reaches(bad, good, COMPLAINTS_WARN):
            return Verdict(stops=False, why=_complaints(bad, good, domain, "0.1 %"))
    return None


def _complaints(bad: int, good: int, domain: str, share: str) -> str:
    # A mailbox provider's domain is nobody's address; a domain of one's own may be, so it is told
    # only where it has complained often enough to be one of the large ones.
    where = f" at {domain}" if domain else ""
    return f"{bad:,} of {good:,} mails delivered{where} within a day were called spam ({share})"


def _reaches(part: int, whole: int, share: Decimal) -> bool:
    return part >= COMPLAINTS_AT_LEAST and part >= share * whole
