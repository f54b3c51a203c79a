"""What a provider keeps for itself about whom it writes to no more, and how it is asked for that.

Plain values, no vendor in sight. A list is only read: what we know ourselves is asked before each
call, so nothing of ours needs to be written there (FACTS.md SG-40).
"""

from dataclasses import dataclass
from typing import Final, Protocol

from winback.providers.events import RawEvent
from winback.states import Channel

PAGE: Final = 500
"""Entries of one page, the most that SendGrid gives at once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of which list: entries made from ``since`` to ``until``, after ``offset`` of them.

    ``since`` None is from the beginning. Both are whole seconds of the epoch, and belong to it.
    """

    name: str
    since: int | None
    until: int
    offset: int


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry that says something of an address; the address is not to be kept as it is."""

    address: str
    name: str
    created: int
    code: str = ""

    def record(self, address_hash: str, origin: str) -> RawEvent:
        """Give what is kept of it: the keyed hash in place of the address."""
        body = {
            "list": self.name,
            "address_hash": address_hash,
            "created": self.created,
            "code": self.code,
        }
        key = f"{origin}:{self.name}:{address_hash[:40]}:{self.created}"
        return RawEvent(key, origin, body)


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of a list; ``passed`` counts those, too, that say nothing of their address."""

    listed: tuple[Listed, ...]
    passed: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class NoPage:
    """No answer; ``is_refused`` says that this list is not for our key, else it is a bad hour."""

    why: str
    is_refused: bool = False


class SuppressionLists(Protocol):
    """Reads the lists of one provider; belongs to the loop that it was made in."""

    @property
    def name(self) -> str:
        """Name the provider."""

    @property
    def channel(self) -> Channel:
        """Name the channel that it serves."""

    @property
    def origin(self) -> str:
        """Say what its entries are kept as."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name its lists."""

    @property
    def is_ready(self) -> bool:
        """Say whether anybody is there to be asked now."""

    async def page(self, asked: Asked) -> Page | NoPage:
        """Ask for one page, once; changes nothing anywhere."""

    async def close(self) -> None:
        """Close its connections."""
