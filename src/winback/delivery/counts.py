"""What one run of the send path did, in numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from winback.delivery.results import Called, NotCalled
from winback.providers.outgoing import Accepted, Busy, Refused, Unclear


@dataclass(slots=True)
class SendCounts:
    """What one run of the send path did."""

    accepted: int = 0
    unconfirmed: int = 0
    postponed: int = 0
    skipped: int = 0
    failed: int = 0
    cases: int = 0
    """Calls and letters that became due, and wait for an associate."""

    def count(self, ended: Iterable[Called]) -> None:
        """Count how calls ended."""
        for one in ended:
            match one.result:
                case Accepted():
                    self.accepted += 1
                case Unclear():
                    self.unconfirmed += 1
                case NotCalled(again=True):
                    pass  # Counted when it is claimed the next time, or comes back no more.
                case Refused(scope="channel" | "sender_in_country") | Busy() | NotCalled():
                    self.postponed += 1
                case Refused():
                    self.failed += 1
