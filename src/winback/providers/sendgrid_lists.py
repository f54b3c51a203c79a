"""SendGrid's own suppression lists: the table of them, and how a page and an entry are read.

Read in the published description (``tsg_suppressions_v3.json``, November 2026), never run live.
Asking is ``sendgrid_listing``'s part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from winback.errors import ProviderError
from winback.providers.events import ProviderEvent, at_epoch, refuse_unreadable, told
from winback.providers.suppression_lists import PAGE, Asked, Listed, Page
from winback.states import EventKind, SuppressionReason

_HARD: Final = "5"
"""How the status of a bounce begins that is for good (RFC 3463); 4 is for now."""


@dataclass(frozen=True, slots=True)
class List:
    """One list: where it is, what it says of an address, and how it is asked for."""

    path: str
    suppression: SuppressionReason
    created: str = "created"
    """The field that says when an entry was made."""
    has_pages: bool = True
    """Whether times and pages can be asked for; without, all comes at once."""


LISTS: Final[Mapping[str, List]] = {
    # The same words as the webhook's events for the same facts (SG-19).
    "unsubscribes": List("/v3/suppression/unsubscribes", SuppressionReason.UNSUBSCRIBED),
    "groups": List(
        "/v3/asm/suppressions",
        SuppressionReason.UNSUBSCRIBED,
        created="created_at",
        has_pages=False,
    ),
    "spam_reports": List("/v3/suppression/spam_reports", SuppressionReason.COMPLAINED),
    "bounces": List("/v3/suppression/bounces", SuppressionReason.BOUNCED),
    "invalid_emails": List("/v3/suppression/invalid_emails", SuppressionReason.INVALID),
}


def target(asked: Asked) -> str:
    """Give path and query of one page."""
    one = LISTS[asked.name]
    if not one.has_pages:
        return one.path
    query = {"end_time": asked.until, "limit": PAGE, "offset": asked.offset}
    if asked.since is not None:
        query["start_time"] = asked.since
    return f"{one.path}?{urlencode(query)}"


def read_page(entries: list[Any], asked: Asked) -> Page:
    """Read the entries of an answer; one that cannot be read loses no other."""
    one = LISTS[asked.name]
    found = tuple(
        listed
        for entry in entries
        if isinstance(entry, dict) and (listed := _read_entry(entry, asked)) is not None
    )
    return Page(found, len(entries), is_last=not one.has_pages or len(entries) < PAGE)


def _read_entry(entry: Mapping[str, Any], asked: Asked) -> Listed | None:
    address = told(entry, "email").strip()
    at = at_epoch(entry.get(LISTS[asked.name].created))
    created = 0 if at is None else int(at.timestamp())
    if not address or (asked.since is not None and at is not None and created < asked.since):
        return None
    if asked.name == "bounces" and not _is_hard(entry):
        return None
    return Listed(address, asked.name, created, code=told(entry, "status")[:16])


def _is_hard(entry: Mapping[str, Any]) -> bool:
    """Say whether a bounce is the address's end; blocks have a list of their own (SG-20)."""
    code = told(entry, "status").strip() or told(entry, "reason").strip()
    return code.startswith(_HARD)


def read(body: Mapping[str, Any]) -> ProviderEvent:
    """Read an entry as it was kept: what it says of the address, and of no message."""
    refuse_unreadable(body)
    one = LISTS.get(told(body, "list"))
    hashed = told(body, "address_hash")
    if one is None or not hashed:
        raise ProviderError("the entry names no list or no address")
    created = body.get("created")
    return ProviderEvent(
        kind=EventKind.LISTED,
        address_hash=hashed,
        occurred_at=at_epoch(created) if created else None,
        code=told(body, "code"),
        suppression=one.suppression,
        extra={"list": told(body, "list")},
    )
