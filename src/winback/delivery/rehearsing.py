"""The provider of a rehearsal: takes everything at once, and talks to nobody."""

from dataclasses import dataclass
from typing import Final

from winback.providers.outgoing import Accepted, Outgoing, Result
from winback.states import Channel

REHEARSAL: Final = "rehearsal"
"""The provider's name; messages that were only rehearsed carry it."""


@dataclass(frozen=True, slots=True)
class RehearsingSender:
    """Accepts every message of one channel; ``segments`` stay what we count ourselves."""

    channel: Channel

    @property
    def name(self) -> str:
        """Name the provider."""
        return REHEARSAL

    async def send(self, message: Outgoing) -> Result:
        """Accept the message, which goes nowhere."""
        return Accepted(f"{REHEARSAL}-{message.send_id}")

    async def close(self) -> None:
        """Close nothing."""
