"""What providers report: verified raw, split into single records to store, and read later.

The order is fixed: ``verify`` of ``signatures.py`` on the raw body, ``split`` for storing under a
unique key, and after the commit ``read_event``, so that a mistake in reading loses nothing
(FACTS.md DS-13).
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from winback.providers import sendgrid_events, sendgrid_lists, sendgrid_replies, twilio_events
from winback.providers.events import ProviderEvent, RawEvent, message_id_prefixes

__all__ = [
    "Origin",
    "ProviderEvent",
    "RawEvent",
    "message_id_prefixes",
    "read_event",
    "split_sendgrid_events",
    "split_sendgrid_inbound",
    "split_twilio_inbound",
    "split_twilio_status",
]


class Origin(StrEnum):
    """Which webhook, or which list, a record came through."""

    SENDGRID_EVENTS = "sendgrid.events"
    SENDGRID_INBOUND = "sendgrid.inbound"
    SENDGRID_LISTS = "sendgrid.lists"
    TWILIO_STATUS = "twilio.status"
    TWILIO_INBOUND = "twilio.inbound"


_READERS: Mapping[str, Callable[[Mapping[str, Any]], ProviderEvent]] = {
    Origin.SENDGRID_EVENTS: sendgrid_events.read,
    Origin.SENDGRID_INBOUND: sendgrid_replies.read,
    Origin.SENDGRID_LISTS: sendgrid_lists.read,
    Origin.TWILIO_STATUS: twilio_events.read_status,
    Origin.TWILIO_INBOUND: twilio_events.read_inbound,
}


def split_sendgrid_events(body: bytes) -> list[RawEvent]:
    """Split a batch into its events; one bad element does not lose the others (SG-21)."""
    return sendgrid_events.split(body, origin=Origin.SENDGRID_EVENTS)


def split_sendgrid_inbound(body: bytes, *, content_type: str) -> list[RawEvent]:
    """Read one inbound mail from its multipart form, each field in its own charset (SG-31)."""
    return sendgrid_replies.split(body, content_type=content_type, origin=Origin.SENDGRID_INBOUND)


def split_twilio_status(body: bytes, *, url: str) -> list[RawEvent]:
    """Read one status callback; our send id comes from the query of ``url`` (TW-12)."""
    return twilio_events.split_status(body, url=url, origin=Origin.TWILIO_STATUS)


def split_twilio_inbound(body: bytes) -> list[RawEvent]:
    """Read one inbound text."""
    return twilio_events.split_inbound(body, origin=Origin.TWILIO_INBOUND)


def read_event(origin: str, body: Mapping[str, Any]) -> ProviderEvent:
    """Read a stored record in our words; what is not known becomes UNKNOWN.

    Raises ProviderError for a record that cannot be read at all: a dead letter, kept for replay.
    """
    return _READERS[origin](body)
