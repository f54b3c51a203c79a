"""Read a stored event: what was reported, in our words, whoever reported it. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row

from winback.providers.incoming import read_event
from winback.states import EventKind, SuppressionReason

OURS: Final = ("page", "click", "desk")
"""Origins that we wrote ourselves: their kind and message stand on the row."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One event, read."""

    event_id: int
    key: str
    origin: str
    kind: EventKind
    at: datetime
    """When it happened, never later than it was received."""
    message_id: int | None = None
    send_id: str | None = None
    provider_message_id: str | None = None
    address: str | None = None
    address_hash: str | None = None
    """Of an entry of a list, which is about an address and about no message."""
    code: str = ""
    reason: str = ""
    is_machine: bool = False
    url: str | None = None
    text: str | None = None
    suppression: SuppressionReason | None = None
    """What the fact itself says about writing to that address again."""
    may_be_a_no: bool = False
    """Whether the fact may be a no, which a person must judge."""
    stops_country: bool = False
    """Whether no text will reach anybody in the country of that address."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_text_message(self) -> bool:
        """Say whether it came over the phone."""
        return self.origin.startswith("twilio")


def hear(row: Row[Any]) -> Heard:
    """Read one row of ``events``; raises whatever a broken body makes it raise."""
    if row.origin in OURS:
        if row.kind is None:
            raise ValueError("an event of our own without a kind")
        return Heard(
            event_id=row.id,
            key=row.key,
            origin=row.origin,
            kind=row.kind,
            suppression=(
                SuppressionReason.UNSUBSCRIBED if row.kind is EventKind.UNSUBSCRIBED else None
            ),
            at=row.occurred_at or row.received_at,
            message_id=row.message_id,
            url=row.body.get("url"),
            extra=row.body,
        )
    event = read_event(row.origin, row.body)
    return Heard(
        event_id=row.id,
        key=row.key,
        origin=row.origin,
        kind=event.kind,
        # A provider's clock may be ahead of ours; what is not received has not happened.
        at=min(event.occurred_at or row.received_at, row.received_at),
        send_id=event.send_id,
        provider_message_id=event.provider_message_id,
        address=event.address,
        address_hash=event.address_hash,
        code=event.code,
        reason=event.reason,
        is_machine=event.is_machine,
        url=event.url,
        text=event.text,
        suppression=event.suppression,
        may_be_a_no=event.may_be_a_no,
        stops_country=event.stops_country,
        extra=dict(event.extra),
    )
