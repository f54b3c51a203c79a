"""What is handed to a provider and what comes back: plain values, no vendor in sight.

A result is a value; an exception means a bug or a bad configuration. Neither provider takes an
idempotency key (FACTS.md SG-17, TW-32), so everything between "surely not sent" and "accepted"
is ``Unclear`` and never sent again by a timer (FACTS.md DS-3, DS-4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from winback.states import Channel

Scope = Literal[
    "message",
    "channel",
    "country",
    "sender_in_country",
    "recipient_opted_out",
    "address_invalid",
]
"""Whose fault a refusal is.

``message``: this message, for good. ``channel``: the account or the sender; the message goes back
to the queue and the channel pauses. ``country``: nobody there can be reached; this message fails,
and others to that country wait. ``sender_in_country``: the sender may not write there; the message
goes back to the queue, and waits like all others to that country. ``recipient_opted_out``: the
provider holds a no of this person. ``address_invalid``: nobody can be reached there.
"""


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """One mail to one person; ``categories`` name campaign and step, never a customer."""

    send_id: str
    to_address: str
    to_name: str | None
    from_name: str
    from_address: str
    reply_to: str | None
    subject: str
    html: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """One text to one number in E.164.

    ``status_callback`` is the public URL of our status webhook; the send id is added to its query.
    ``valid_for_seconds`` is how long the provider may keep the text in its own queue, 1 to 36000
    (FACTS.md TW-3); with the default of the provider a text could leave ten hours later.
    """

    send_id: str
    to_number: str
    body: str
    messaging_service: str
    status_callback: str
    valid_for_seconds: int


Outgoing = OutgoingEmail | OutgoingText


class NotSendable(ValueError):
    """A message that must not be handed to a provider; the text names the rule, no content."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message; ``segments`` is None where it does not say (yet)."""

    provider_message_id: str
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider surely did not take the message and will not; ``scope`` says whose fault."""

    code: str
    reason: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Busy:
    """Surely not sent, for a reason that passes; ``retry_after_seconds`` is None if not said."""

    retry_after_seconds: float | None = None
    reason: str = "busy"


@dataclass(frozen=True, slots=True)
class Unclear:
    """Perhaps sent: the reply was lost, came too late, or was an error of the server."""

    reason: str


Result = Accepted | Refused | Busy | Unclear


class Sender(Protocol):
    """Sends messages of one channel; belongs to the loop that it was made in."""

    @property
    def name(self) -> str:
        """Name the provider."""

    @property
    def channel(self) -> Channel:
        """Name the channel that it serves."""

    async def send(self, message: Outgoing) -> Result:
        """Hand one message to the provider, once; never tries again by itself."""

    async def close(self) -> None:
        """Close its connections."""
