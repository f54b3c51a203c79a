"""What a provider is asked about a message whose end is not known, and what it can answer.

Plain values, no vendor in sight. A look-up only reads; nothing that it answers ever makes a
message be sent again (FACTS.md DS-4, DS-5).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from winback.providers.allow_list import rewritten_address
from winback.providers.events import RawEvent
from winback.states import Channel, EventKind

BEFORE: Final = timedelta(minutes=15)
"""So much earlier than our claim a provider may date what it took: clocks differ."""

AFTER: Final = timedelta(minutes=15)
"""So much later: a claim is called within seconds, or given back; the rest is for the clocks.

What is known by its words alone must be of that very time: the same words may go out again the
next day (FACTS.md DS-5).
"""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another message of ours of that time that may be what is found; no reply told its id.

    Without ``markers`` nobody knows what stands in it: any text to its address may be it.
    """

    address: str
    claimed_at: datetime
    markers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sought:
    """One message that its provider is asked about.

    ``address`` is the one that was written to. A mail is known by its send id, a text by its
    ``provider_message_id`` or, while we do not know that, by any of the ``markers`` in its body;
    where these may stand in other messages, too, ``rivals`` are those.
    """

    send_id: str
    address: str
    claimed_at: datetime
    markers: tuple[str, ...] = ()
    provider_message_id: str | None = None
    rivals: tuple[Rival, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The provider has it: evidence (FACTS.md DS-5).

    ``kind`` is the last that is known of it, at ``happened_at``. ``records`` are the provider's
    own events, as its webhook would have posted them, under the same keys. ``further`` fit as
    well: they count, in this order, where we know that this one belongs to another message.
    """

    provider_message_id: str
    accepted_at: datetime
    kind: EventKind
    happened_at: datetime
    code: str = ""
    reason: str = ""
    records: tuple[RawEvent, ...] = ()
    further: tuple["Found", ...] = ()


@dataclass(frozen=True, slots=True)
class NotThere:
    """The provider's lists cover the time and do not have it; ``why`` says which list."""

    why: str


@dataclass(frozen=True, slots=True)
class CannotTell:
    """No answer; ``is_passing`` says that asking again soon may give one."""

    why: str
    is_passing: bool = False


LookedUp = Found | NotThere | CannotTell


class Lookup(Protocol):
    """Asks one provider what it knows; belongs to the loop that it was made in."""

    @property
    def name(self) -> str:
        """Name the provider."""

    @property
    def channel(self) -> Channel:
        """Name the channel that it serves."""

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Ask about one message; changes nothing anywhere."""

    async def close(self) -> None:
        """Close its connections."""


class AllowListedLookup:
    """Mode ``test``: asks for the address that the sender wrote to instead (SEC-25)."""

    def __init__(self, lookup: Lookup, allow_list: tuple[str, ...]) -> None:
        self._lookup = lookup
        self._allow_list = allow_list

    @property
    def name(self) -> str:
        """Name the provider."""
        return self._lookup.name

    @property
    def channel(self) -> Channel:
        """Name the channel that it serves."""
        return self._lookup.channel

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Ask for the rewritten address."""
        address = self._written_to(sought.address)
        if address is None:
            return CannotTell(f"mode test: allow_list names nobody for {self.channel}")
        rivals = tuple(
            replace(one, address=self._written_to(one.address) or one.address)
            for one in sought.rivals
        )
        return await self._lookup.find(replace(sought, address=address, rivals=rivals), now=now)

    def _written_to(self, address: str) -> str | None:
        return rewritten_address(address, self.channel, self._allow_list)

    async def close(self) -> None:
        """Close the connections."""
        await self._lookup.close()
