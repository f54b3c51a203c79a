"""SendGrid's Event Webhook: the tables, how a batch is split, how one event is read.

FACTS.md SG-19 to SG-23, SG-29, SG-30.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from winback.providers.events import (
    UNREADABLE,
    ProviderEvent,
    RawEvent,
    at_epoch,
    fingerprint,
    refuse_unreadable,
    storable,
    told,
)
from winback.states import EventKind, SuppressionReason

KINDS: Final[Mapping[str, EventKind]] = {
    "processed": EventKind.ACCEPTED,
    "dropped": EventKind.DROPPED,
    "deferred": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "bounce": EventKind.BOUNCED,
    "open": EventKind.OPENED,
    "click": EventKind.CLICKED,
    "spamreport": EventKind.COMPLAINED,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    "group_unsubscribe": EventKind.UNSUBSCRIBED,
    # group_resubscribe lifts none of our suppressions: logged as UNKNOWN.
}

BLOCKED_TYPES: Final = frozenset({"blocked", "block", "expired"})
"""Bounces by which the message, not the address, was refused; the docs differ on the word."""

SUPPRESSION_BY_KIND: Final[Mapping[EventKind, SuppressionReason]] = {
    EventKind.COMPLAINED: SuppressionReason.COMPLAINED,
    EventKind.UNSUBSCRIBED: SuppressionReason.UNSUBSCRIBED,
}

HARMLESS_CLASSES: Final = frozenset(
    # FACTS.md SG-20: no fault of the address; "Mailbox Unavailable" only when it is repeated,
    # which SendGrid then reports as a drop.
    {
        *("content", "frequency or volume too high", "reputation", "technical failure"),
        "mailbox unavailable",
    }
)
ALARMING_CLASSES: Final = frozenset({"reputation", "frequency or volume too high"})

DROPS: Final[tuple[tuple[str, SuppressionReason | None], ...]] = (
    # Part of the reason in lower case, and what it says of the address; the first match counts.
    ("unsubscribed", SuppressionReason.UNSUBSCRIBED),
    ("spam report", SuppressionReason.COMPLAINED),
    ("bounced", SuppressionReason.BOUNCED),
    ("package quota", None),
    ("smtpapi", None),
    ("spam content", None),
    ("invalid", SuppressionReason.INVALID),
)

_LONGEST_ID: Final = 100
_KEPT: Final = (
    *("ip", "useragent", "category", "response", "attempt", "bounce_classification"),
    *("type", "status", "asm_group_id", "url_offset", "sg_event_id"),
)


def split(body: bytes, *, origin: str) -> list[RawEvent]:
    """Split a batch into its events, each with a key that a repeat of it has, too.

    A body that is no array is one record; a record that is no object is kept as text, so that
    nothing signed is lost, and nothing bad takes others along.
    """
    try:
        batch = storable(json.loads(body))
    except (ValueError, RecursionError):
        batch = [body.decode("utf-8", "replace").replace("\0", "")]
    records = batch if isinstance(batch, list) else [batch]
    return [_raw(record, origin) for record in records]


def _raw(record: Any, origin: str) -> RawEvent:
    if not isinstance(record, dict):
        return RawEvent(f"{origin}:{fingerprint(record)}", origin, {UNREADABLE: json.dumps(record)})
    given = record.get("sg_event_id")
    has_id = isinstance(given, str) and 0 < len(given) <= _LONGEST_ID
    return RawEvent(f"{origin}:{given if has_id else fingerprint(record)}", origin, record)


def read(body: Mapping[str, Any]) -> ProviderEvent:
    """Read one event; custom arguments stand at its top level (SG-29)."""
    refuse_unreadable(body)
    word, reason = told(body, "event"), told(body, "reason") or told(body, "response")
    kind = KINDS.get(word, EventKind.UNKNOWN)
    suppression, alarm = SUPPRESSION_BY_KIND.get(kind), ""
    if kind is EventKind.BOUNCED:
        kind, suppression, alarm = _bounce(body)
    elif kind is EventKind.DROPPED:
        suppression, alarm = _drop(reason)
    return ProviderEvent(
        kind=kind,
        send_id=told(body, "wb_send_id") or None,
        provider_message_id=told(body, "sg_message_id") or None,
        address=told(body, "email") or None,
        occurred_at=at_epoch(body.get("timestamp")),
        code=told(body, "status") or word,
        reason=reason,
        is_machine=told(body, "sg_machine_open").lower() == "true",
        url=told(body, "url") or None,
        suppression=suppression,
        alarm=alarm,
        extra={"event": word, **{name: body[name] for name in _KEPT if name in body}},
    )


def _bounce(body: Mapping[str, Any]) -> tuple[EventKind, SuppressionReason | None, str]:
    known = told(body, "bounce_classification").strip().lower()
    alarm = f"refused: {known}" if known in ALARMING_CLASSES else ""
    if told(body, "type").lower() in BLOCKED_TYPES:
        return EventKind.BLOCKED, None, alarm
    suppression = None if known in HARMLESS_CLASSES else SuppressionReason.BOUNCED
    return EventKind.BOUNCED, suppression, alarm


def _drop(reason: str) -> tuple[SuppressionReason | None, str]:
    """Say what a drop's reason says of the address, and what an operator must look at."""
    lowered = reason.lower()
    for part, suppression in DROPS:
        if part in lowered:
            return suppression, "" if suppression else f"dropped: {part}"
    return None, "dropped for a reason that is not listed"
