"""SendGrid's Email Logs: whether it has a mail that carries our send id (FACTS.md SG-43).

Asked by recipient and time, since the list shows no custom arguments; the hits are then opened,
the nearest to the call first, until one names our send id. The key needs a permission of its own,
which a key made for sending has not: without it nothing can be told, which is said once.

Read in the published description and reference (``tsg_logs_v3.json``, November 2026), never run
live: queries are case-sensitive, lists are not paged, and nothing is kept beyond 30 days.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson

from winback.failpoints import calling
from winback.providers.asking import NoAnswer, read_object, read_objects
from winback.providers.events import RawEvent, at_epoch, told
from winback.providers.incoming import split_sendgrid_events
from winback.providers.lookups import BEFORE, CannotTell, Found, LookedUp, NotThere, Sought
from winback.providers.sendgrid_events import KINDS
from winback.providers.transport import ASKING_TIMEOUT, Answer, NotSent, ReplyLost, Transport
from winback.states import Channel, EventKind

_log = logging.getLogger(__name__)

BASE_URL: Final = "https://api.sendgrid.com"
LIMIT: Final = 1000
"""Hits asked for, the most there are (FACTS.md SG-43); a full list proves nothing."""

MOST_OPENED: Final = 100
"""Hits that are opened, those made nearest to the call first; in mode test all mails go to one
address."""

AFTER: Final = timedelta(hours=1)
"""So much later than our claim it may have been made: the send id proves, so this may be wide."""

KEPT: Final = timedelta(days=30)
"""How long SendGrid keeps its logs."""

STATUS_KINDS: Final[Mapping[str, EventKind]] = {
    "processed": EventKind.ACCEPTED,
    "deferred": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "dropped": EventKind.DROPPED,
    "bounced": EventKind.BOUNCED,
    "blocked": EventKind.BLOCKED,
}
"""The summary of a message, in our words; whatever else it may be, it was accepted."""

_WORDS: Final[Mapping[EventKind, tuple[str, ...]]] = {
    EventKind.DELIVERED: ("delivered", "open", "click"),
    EventKind.DROPPED: ("dropped", "cancel_drop"),
    EventKind.BOUNCED: ("bounce",),
    EventKind.BLOCKED: ("bounce",),
}
_NOT_ALLOWED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_LIST: Final = "SendGrid's email logs"


class SendGridLogs:
    """Asks SendGrid's logs; once refused for the key's permissions it asks no more."""

    name = "sendgrid"
    channel = Channel.EMAIL

    def __init__(
        self, api_key: str, *, base_url: str | None = None, transport: Transport | None = None
    ) -> None:
        self._url = f"{(base_url or BASE_URL).rstrip('/')}/v3/logs"
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        self._transport = transport or Transport(timeout=ASKING_TIMEOUT)
        self._refused: CannotTell | None = None

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Ask for the mails to that address around that time, then for ours among them."""
        if self._refused is not None:
            return self._refused
        query = build_query(sought)
        if query is None:
            return CannotTell("the address cannot be written into a query")
        try:
            return await self._search(query, sought, now)
        except NoAnswer as none:
            return none.answer

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _search(self, query: str, sought: Sought, now: datetime) -> LookedUp:
        listed = await self._listed(query)
        nearest = sorted(listed, key=partial(_distance, to=sought.claimed_at))
        for summary in nearest[:MOST_OPENED]:
            found = await self._opened(summary, sought)
            if found is not None:
                return found
        if len(listed) > MOST_OPENED:
            return CannotTell(f"{_LIST} name more mails than can be looked through")
        if now > sought.claimed_at + KEPT:
            return CannotTell(f"{_LIST} do not reach back so far")
        return NotThere(f"not in {_LIST}")

    async def _listed(self, query: str) -> Sequence[Mapping[str, Any]]:
        body = orjson.dumps({"query": query, "limit": LIMIT})
        said = self._read(await self._request("POST", self._url, body))
        return read_objects(said, "messages", _LIST)

    async def _opened(self, summary: Mapping[str, Any], sought: Sought) -> Found | None:
        message_id = told(summary, "sg_message_id")
        if not message_id:
            return None
        answer = await self._request("GET", f"{self._url}/{quote(message_id, safe='')}", None)
        if answer.status == _NOT_FOUND:
            # Older than what is kept, or gone since it was listed.
            return None
        return read_message(self._read(answer), summary, sought)

    async def _request(self, method: str, url: str, body: bytes | None) -> Answer:
        try:
            with calling("sendgrid_logs"):
                return await self._transport.request(method, url, headers=self._headers, body=body)
        except (NotSent, ReplyLost) as lost:
            raise NoAnswer(f"{_LIST} cannot be reached: {lost}", is_passing=True) from None

    def _read(self, answer: Answer) -> Mapping[str, Any]:
        if answer.status in _NOT_ALLOWED:
            why = f"the key may not read {_LIST} ({answer.status})"
            if self._refused is None:
                _log.warning("%s: mails in doubt wait for webhooks, or for an operator", why)
            self._refused = CannotTell(why)
            raise NoAnswer(why)
        return read_object(answer, _LIST)


def build_query(sought: Sought) -> str | None:
    """Write the filter: recipient, and from before our claim to a day after it.

    Texts stand in either kind of quotes, as in the description's own examples; None for an
    address that could end its quotes.
    """
    mark = '"' if "'" in sought.address else "'"
    if mark in sought.address or "\\" in sought.address or not sought.address.isprintable():
        return None
    first, last = sought.claimed_at - BEFORE, sought.claimed_at + AFTER
    return (
        f"to_email = {mark}{sought.address}{mark}"
        f" AND sg_message_id_created_at >= {_timestamp(first)}"
        f" AND sg_message_id_created_at <= {_timestamp(last)}"
    )


def _timestamp(instant: datetime) -> str:
    return f'TIMESTAMP "{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"'


def read_message(
    said: Mapping[str, Any], summary: Mapping[str, Any], sought: Sought
) -> Found | None:
    """Read one message of the logs; None where it is not the one with our send id."""
    events = [event for event in _list(said, "events") if isinstance(event, dict)]
    arguments = [said.get("custom_args"), *(event.get("custom_args") for event in events)]
    if not any(_names(one, sought.send_id) for one in arguments):
        return None
    kind = STATUS_KINDS.get(told(said, "status"), EventKind.ACCEPTED)
    made_at = _instant(told(summary, "sg_message_id_created_at")) or sought.claimed_at
    latest = _latest(events, kind)
    return Found(
        provider_message_id=told(said, "sg_message_id") or told(summary, "sg_message_id"),
        accepted_at=made_at,
        kind=kind,
        happened_at=(at_epoch(latest.get("timestamp")) if latest else None) or made_at,
        code=told(latest or {}, "status") or told(said, "status"),
        reason=told(latest or {}, "reason") or told(summary, "reason"),
        records=_records(events, sought.send_id),
    )


def _distance(summary: Mapping[str, Any], *, to: datetime) -> timedelta:
    made_at = _instant(told(summary, "sg_message_id_created_at"))
    return timedelta.max if made_at is None else abs(made_at - to)


def _names(arguments: object, send_id: str) -> bool:
    return isinstance(arguments, dict) and arguments.get("wb_send_id") == send_id


def _list(said: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = said.get(name)
    return value if isinstance(value, list) else ()


def _latest(events: Sequence[Mapping[str, Any]], kind: EventKind) -> Mapping[str, Any] | None:
    """Give the event that the summary stands for, the latest of its words."""
    words = _WORDS.get(kind, ())
    fitting = [event for event in events if told(event, "event") in words]
    return max(fitting, key=_seconds, default=None)


def _seconds(event: Mapping[str, Any]) -> float:
    at = at_epoch(event.get("timestamp"))
    return at.timestamp() if at is not None else 0.0


def _records(events: Sequence[Mapping[str, Any]], send_id: str) -> tuple[RawEvent, ...]:
    """Give the events as the webhook posts them: our send id at the top level (SG-29)."""
    posted = [
        {name: value for name, value in event.items() if name != "custom_args"}
        | {"wb_send_id": send_id}
        for event in events
        # What is only logged, as "received", is no news.
        if told(event, "event") in KINDS
    ]
    return tuple(split_sendgrid_events(orjson.dumps(posted)))


def _instant(written: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
