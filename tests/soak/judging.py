"""What a kill test came to: the providers' record against our rows (P1, P2)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from winback.states import MessageState

IN_THE_SEND: Final = 0.7
"""The share of kills that must fall into the send; one of seven falls anywhere."""

SOME: Final = 5
"""From so many kills on some message must have been claimed by a worker that died."""

MANY: Final = 100
"""From so many kills on a worker is stopped, too, which takes longer than a minute."""


@dataclass(slots=True)
class Told:
    """What one kill test came to."""

    database: str
    messages: int
    kills: int = 0
    in_the_send: int = 0
    """Kills after which there was still something to send."""
    stopped: int = 0
    """Workers that stood still for longer than their lease."""
    workers: int = 0
    calls: int = 0
    accepted: int = 0
    twice: int = 0
    """Customers to whom providers accepted more than one message, on whatever channel."""
    lost: int = 0
    """Customers of whose message no provider knows, and that we do not list in doubt."""
    untrue: int = 0
    """Messages that we say were accepted, and that no provider has."""
    doubted: int = 0
    """Messages that were ever listed in doubt."""
    orphans: int = 0
    """Of these, claimed by a worker that died before it could note what became of them."""
    resolved: int = 0
    """Of these, settled by evidence."""
    unknown: int = 0
    """Of these, still listed: no provider ever accepted them."""
    unresolved: int = 0
    """Accepted by a provider, and yet not settled."""
    unread: int = 0
    """Webhooks that were not applied."""
    failures: list[str] = field(default_factory=list)
    """What a worker that was not killed died of."""
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        """Say whether every promise was kept, by kills that could have broken it."""
        wrong = (self.twice, self.lost, self.untrue, self.unresolved, self.unread)
        return not any(wrong) and not self.failures and not self.hollow

    @property
    def hollow(self) -> list[str]:
        """Say what did not happen without which a kill test proves nothing."""
        missing = {
            "kills": self.kills == 0,
            "kills in the send": self.in_the_send < IN_THE_SEND * self.kills,
            "kills between claim and result": self.kills >= SOME and self.orphans == 0,
            "a worker that stood still": self.kills >= MANY and self.stopped == 0,
        }
        return [name for name, is_missing in missing.items() if is_missing]


@dataclass(frozen=True, slots=True)
class Ours:
    """What one of our rows says of a customer's message."""

    customer: int
    send_id: str | None
    state: MessageState
    reason: str


def judge(told: Told, heard: Sequence[tuple[str, int]], rows: Sequence[Ours]) -> None:
    """Hold the providers' record, (send id, customer), against our rows (P1, P2; DS-1, DS-5).

    Customers are numbered from 0. Who is owed a message is judged by the record alone, and by
    what is listed in doubt with its reason: that a row says accepted proves nothing.
    """
    got = Counter(customer for _, customer in heard)
    send_ids = {send_id for send_id, _ in heard}
    told.accepted = got.total()
    told.twice = sum(count > 1 for count in got.values())
    known = {row.send_id for row in rows if row.state in _KNOWN}
    listed = {row.customer for row in rows if row.state is MessageState.UNCONFIRMED and row.reason}
    told.unknown = len(listed)
    told.lost = len(set(range(told.messages)) - got.keys() - listed)
    told.untrue = len(known - send_ids)
    told.unresolved = len(send_ids - known)


_KNOWN: Final = (MessageState.ACCEPTED, MessageState.DELIVERED)
