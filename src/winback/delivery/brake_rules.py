"""When a campaign must stop by itself, pure: too many bounces, too many complaints.

The thresholds are the mailbox providers' own (FACTS.md LAW-18, LAW-21). They are shares of large
numbers: in a day of forty mails three dead mailboxes are chance, and one angry person is no trend.
So a brake takes ten bounces or three complaints at least, and a whole of nought judges nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

BOUNCES_STOP: Final = Decimal("0.02")
"""More than this share of a day's accepted mails bounced (LAW-21)."""
COMPLAINTS_WARN: Final = Decimal("0.001")
COMPLAINTS_STOP: Final = Decimal("0.003")
"""Complaints by the mails delivered of a day, over all or at one mailbox domain (LAW-18)."""
BOUNCES_AT_LEAST: Final = 10
COMPLAINTS_AT_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class DayOfMail:
    """What became of one campaign's mails of a day, whenever it was told.

    All figures are of the mails that left on that day. ``by_domain`` is domain to figures, which
    are (delivered, complaints). Under None stand those whose address was erased, and with it the
    domain: they count in the whole.
    """

    day: date
    accepted: int
    bounced: int
    by_domain: Mapping[str | None, tuple[int, int]]
    until: date | None = None
    """The last of several days that are judged together."""

    @property
    def when(self) -> str:
        """Name the day, or the days."""
        return str(self.day) if self.until is None else f"{self.day} to {self.until}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to stop, or only to warn, and the sentence that says why."""

    stops: bool
    why: str


def judge(mail: DayOfMail) -> Verdict | None:
    """Say whether a campaign must stop, or deserves a warning; None where all is well."""
    if mail.bounced >= BOUNCES_AT_LEAST and mail.bounced > BOUNCES_STOP * mail.accepted > 0:
        return Verdict(
            stops=True,
            why=f"{mail.bounced:,} of {mail.accepted:,} mails of {mail.when} bounced; "
            "more than 2 % harms the domain's name",
        )
    delivered = sum(good for good, _ in mail.by_domain.values())
    complaints = sum(bad for _, bad in mail.by_domain.values())
    known = sorted((domain, of) for domain, of in mail.by_domain.items() if domain is not None)
    figures = [("", (delivered, complaints)), *known]
    for share, said, stops in ((COMPLAINTS_STOP, "0.3 %", True), (COMPLAINTS_WARN, "0.1 %", False)):
        for domain, (good, bad) in figures:
            if _reaches(bad, good, share):
                # A mailbox provider's domain is nobody's address; a domain of one's own may be, so
                # it is told only where it has complained often enough to be one of the large ones.
                where = f" at {domain}" if domain else ""
                why = f"{bad:,} of {good:,} mails of {mail.when} delivered{where} were called spam"
                return Verdict(stops, f"{why} ({said})")
    return None


def together(mails: Sequence[DayOfMail]) -> DayOfMail:
    """Add up the bounces of several days of one campaign; complaints are judged per day (LAW-18).

    A warm-up makes its days small itself: ten bounces are no chance because it took two days to
    send the mails.
    """
    days = [mail.day for mail in mails if mail.accepted]
    first, last = (min(days), max(days)) if days else (mails[0].day, mails[0].day)
    accepted = sum(mail.accepted for mail in mails)
    bounced = sum(mail.bounced for mail in mails)
    return DayOfMail(first, accepted, bounced, {}, None if first == last else last)


def worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """Give the first that stops, or else the first; None where nothing speaks against it."""
    found = [one for one in verdicts if one is not None]
    return min(found, key=lambda one: not one.stops, default=None)


def _reaches(part: int, whole: int, share: Decimal) -> bool:
    return whole > 0 and part >= COMPLAINTS_AT_LEAST and part >= share * whole
