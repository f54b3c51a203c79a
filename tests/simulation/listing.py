"""The message list of the simulated town's text provider, as Twilio shows it (FACTS.md TW-34).

It knows number, words and times, and no send id of ours: what our own look-up finds in it, it
finds by the markers that stand in a text.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from winback.providers.transport import Answer, Transport

FINAL_WORDS: Final = frozenset({"delivered", "undelivered"})


class Texted(Protocol):
    """One text that the provider took."""

    @property
    def provider_message_id(self) -> str:
        """Its sid."""

    @property
    def address(self) -> str:
        """The number that it goes to."""

    @property
    def body(self) -> str:
        """Its words."""

    @property
    def at(self) -> datetime:
        """When it was taken."""


class Listing(Transport):
    """Answers questions about texts from the record; ``is_away`` says when it does not."""

    def __init__(
        self,
        taken: Iterable[Texted],
        status_of: Callable[[str], tuple[str, str | None]],
        is_away: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._taken = taken
        self._status_of = status_of
        self._is_away = is_away

    async def request(
        self,
        method: str,  # noqa: ARG002
        url: str,
        *,
        headers: Mapping[str, str],  # noqa: ARG002
        body: bytes | None = None,  # noqa: ARG002
    ) -> Answer:
        """Give one text by its sid, or the page of those that a filter lets through."""
        if self._is_away():
            return Answer(503, {}, b"")
        parts = urlsplit(url)
        sid = parts.path.removesuffix(".json").rpartition("/Messages")[2].lstrip("/")
        if sid:
            found = [one for one in self._taken if one.provider_message_id == sid]
            said = self._shown(found[0]) if found else None
        else:
            said = {"messages": self._listed(parse_qs(parts.query)), "next_page_uri": None}
        return Answer(404 if said is None else 200, {}, json.dumps(said).encode())

    def _listed(self, query: Mapping[str, list[str]]) -> list[dict[str, object]]:
        """Filter by number and whole days of GMT, newest first (TW-35)."""
        (number,), (first,), (last,) = query["To"], query["DateSent>"], query["DateSent<"]
        found = [
            self._shown(one)
            for one in self._taken
            if one.address == number and first <= one.at.date().isoformat() <= last
        ]
        return found[::-1]

    def _shown(self, one: Texted) -> dict[str, object]:
        status, error = self._status_of(one.provider_message_id)
        return {
            "sid": one.provider_message_id,
            "to": one.address,
            "body": one.body,
            "direction": "outbound-api",
            "status": status,
            "error_code": None if error is None else int(error),
            "date_created": format_datetime(one.at),
            "date_updated": format_datetime(one.at),
        }
