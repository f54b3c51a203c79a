"""Who is put on which of SendGrid's suppression lists, and by what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

GROUP: Final = 1
"""The one unsubscribe group there is unless an event names another."""

_LISTS: Final = {
    "bounce": "bounces",
    "dropped": "invalid_emails",
    "spamreport": "spam_reports",
    "unsubscribe": "unsubscribes",
    "group_unsubscribe": "groups",
}
_INVALID: Final = frozenset({"invalid", "invalid address", "invalid email"})
_BLOCKS: Final = frozenset({"block", "blocked", "expired"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One address on one list: unsubscribes, groups, spam_reports, bounces or invalid_emails.

    ``at`` is in epoch seconds; ``fields`` are what that list tells besides.
    """

    list: str
    address: str
    at: int
    fields: Mapping[str, Any] = field(default_factory=dict)


def entry_of(event: Mapping[str, Any]) -> Entry | None:
    """Give the entry that an event of the webhook comes with; most have none.

    A block puts nobody on a list, and of drops only the first for an invalid address does.
    """
    word = str(event.get("event", ""))
    name = _LISTS.get(word)
    if name is None or (word == "bounce" and event.get("type") in _BLOCKS):
        return None
    reason = str(event.get("reason", ""))
    if word == "dropped" and reason.lower() not in _INVALID:
        return None
    told = {
        "bounces": {"reason": reason, "status": event.get("status") or "5.0.0"},
        "invalid_emails": {"reason": reason},
        "spam_reports": {"ip": "127.0.0.1"},
        "groups": {"group_id": event.get("asm_group_id") or GROUP, "group_name": "All mails"},
    }
    return Entry(name, str(event["email"]), int(event["timestamp"]), told.get(name, {}))
