"""One record as stored, and one fact in our words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from winback.errors import ProviderError
from winback.states import EventKind, SuppressionReason

UNREADABLE: Final = "wb_unreadable"
"""Where a record that is no object is kept as text."""

_MILLISECONDS: Final = 100_000_000_000
"""Epoch seconds stay below this until the year 5138; a larger number is in milliseconds."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One record to store raw; ``key`` is the same whenever the provider repeats it."""

    key: str
    origin: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One fact that a provider or a person reported.

    ``suppression`` is set where the fact itself says that the address must not be written to
    again; ``may_be_a_no`` where it may say so, and a person must judge; ``alarm`` where an
    operator should look, in fixed words that name nobody;
    ``stops_country`` where no text will reach anybody in the country of that address. ``code`` is
    the provider's own word. ``occurred_at`` is None where the provider gives no time: take the
    time of receipt.
    """

    kind: EventKind
    send_id: str | None = None
    provider_message_id: str | None = None
    address: str | None = None
    address_hash: str | None = None
    """In place of the address, where that was not kept."""
    occurred_at: datetime | None = None
    code: str = ""
    reason: str = ""
    is_machine: bool = False
    url: str | None = None
    text: str | None = None
    suppression: SuppressionReason | None = None
    may_be_a_no: bool = False
    alarm: str = ""
    stops_country: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


def message_id_prefixes(sg_message_id: str) -> tuple[str, ...]:
    """Give what ``X-Message-Id`` may have been, longest first, to look up by equality.

    SendGrid's ``sg_message_id`` is that header's value, a dot, and more (FACTS.md SG-11); the
    value itself may hold dots.
    """
    parts = sg_message_id.split(".")
    return tuple(".".join(parts[:count]) for count in range(len(parts), 0, -1))


def storable(value: Any) -> Any:
    """Give the value without what a database refuses in JSON: NUL, lone surrogates, NaN."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, float) and not float("-inf") < value < float("inf"):
        return None
    return value


def fingerprint(value: object) -> str:
    """Give a stable hash of a record that has no id of its own."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def at_epoch(written: object) -> datetime | None:
    """Read epoch seconds (or milliseconds) as UTC; None for anything else."""
    try:
        seconds = float(str(written))
        if seconds > _MILLISECONDS:
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def told(body: Mapping[str, Any], name: str) -> str:
    """Give a field as text, empty where it is absent or null."""
    value = body.get(name)
    return "" if value is None else str(value)


def refuse_unreadable(body: Mapping[str, Any]) -> None:
    """Raise ProviderError for a record that was stored as mere text."""
    if UNREADABLE in body:
        raise ProviderError("the record is no object of the kind that the provider describes")
