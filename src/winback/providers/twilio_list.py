"""Twilio's message list: whether it has a text that is ours, and what became of one.

The create call takes no reference of ours, so a text whose sid was lost is known by what stands
in it alone: a link of that very message, else the voucher's code, else the whole body (FACTS.md
TW-34), of the minutes around the call. Where it may be another message of ours in doubt as well
it proves neither. The filter knows whole days in GMT and the date of sending only, so the days
before and after are asked for too, and what may still wait in Twilio's queue is never called
missing (TW-35).
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from winback.failpoints import calling
from winback.providers.asking import NoAnswer, other_shape, read_object, read_objects
from winback.providers.events import RawEvent, told
from winback.providers.incoming import split_twilio_status
from winback.providers.lookups import (
    AFTER,
    BEFORE,
    CannotTell,
    Found,
    LookedUp,
    NotThere,
    Rival,
    Sought,
)
from winback.providers.transport import ASKING_TIMEOUT, Answer, NotSent, ReplyLost, Transport
from winback.providers.twilio_codes import look_up
from winback.providers.twilio_events import KINDS
from winback.states import Channel, EventKind

BASE_URL: Final = "https://api.twilio.com"
PAGE_SIZE: Final = 100
MOST_PAGES: Final = 20
LONGEST_QUEUE: Final = timedelta(hours=10)
"""The longest ``ValidityPeriod`` there is (FACTS.md TW-3): until then a text may still wait."""

_NOT_ALLOWED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_WHO: Final = "Twilio"
_LIST: Final = "Twilio's message list"


class TwilioList:
    """Asks Twilio for one text by its sid, or by what stands in it."""

    name = "twilio"
    channel = Channel.SMS

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        base_url: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._base_url = (base_url or BASE_URL).rstrip("/")
        self._path = f"/2010-04-01/Accounts/{account_sid}/Messages"
        login = b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}
        self._transport = transport or Transport(timeout=ASKING_TIMEOUT)

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Ask for the text with that sid (FACTS.md TW-33), else look through the list."""
        try:
            if sought.provider_message_id:
                return await self._by_sid(sought.provider_message_id, sought)
            if not sought.markers:
                return CannotTell("nothing of its words is known any more")
            return await self._by_words(sought, now)
        except NoAnswer as none:
            return none.answer

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _by_sid(self, sid: str, sought: Sought) -> LookedUp:
        answer = await self._request(f"{self._path}/{sid}.json")
        if answer.status == _NOT_FOUND:
            return NotThere("Twilio does not know its sid")
        return read_text(_read(answer), sought)

    async def _by_words(self, sought: Sought, now: datetime) -> LookedUp:
        ours = [text async for text in self._texts(sought) if is_ours(text, sought)]
        if ours:
            return _first(ours, sought)
        if now < sought.claimed_at + LONGEST_QUEUE:
            return CannotTell(f"not in {_LIST} yet; it may still wait in Twilio's queue")
        return NotThere(f"not in {_LIST}")

    async def _texts(self, sought: Sought) -> AsyncIterator[Mapping[str, Any]]:
        path: str | None = f"{self._path}.json?{build_query(sought)}"
        pages = 0
        while path is not None:
            pages += 1
            if pages > MOST_PAGES:
                raise NoAnswer(f"{_LIST} is too long to look through")
            said = _read(await self._request(path))
            for text in read_objects(said, "messages", _WHO):
                yield text
            path = self._next_page(said)

    def _next_page(self, said: Mapping[str, Any]) -> str | None:
        """Give the path of the next page; one that leads elsewhere is no page of this list."""
        written = told(said, "next_page_uri")
        if not written:
            return None
        parts = urlsplit(written)
        if parts.path != f"{self._path}.json":
            raise NoAnswer(f"{_LIST} leads elsewhere")
        return f"{parts.path}?{parts.query}"

    async def _request(self, path: str) -> Answer:
        try:
            with calling("twilio_list"):
                return await self._transport.request(
                    "GET", self._base_url + path, headers=self._headers
                )
        except (NotSent, ReplyLost) as lost:
            raise NoAnswer(f"Twilio cannot be reached: {lost}", is_passing=True) from None


def build_query(sought: Sought) -> str:
    """Write the filter: recipient, and from the day before our claim to the day after it."""
    day = sought.claimed_at.astimezone(UTC).date()
    return urlencode(
        {
            "To": sought.address,
            "DateSent>": (day - timedelta(days=1)).isoformat(),
            "DateSent<": (day + timedelta(days=1)).isoformat(),
            "PageSize": PAGE_SIZE,
        }
    )


def is_ours(text: Mapping[str, Any], sought: Sought) -> bool:
    """Say whether a listed text is the one: outbound, of that time, with one of the markers."""
    if told(text, "direction") == "inbound" or not _is_of(sought.claimed_at, text):
        return False
    return any(marker in told(text, "body") for marker in sought.markers)


def _first(ours: Sequence[Mapping[str, Any]], sought: Sought) -> LookedUp:
    """Give the first of the texts that fit no rival, since our call made one only; and the rest."""
    certain = [
        text for text in ours if not any(_may_be(one, text, sought) for one in sought.rivals)
    ]
    if not certain:
        return CannotTell(f"what {_LIST} has may be another message in doubt as well")
    read = [read_text(text, sought) for text in sorted(certain, key=_made_at)]
    found = [one for one in read if isinstance(one, Found)]
    return replace(found[0], further=tuple(found[1:])) if found else read[0]


def _may_be(rival: Rival, text: Mapping[str, Any], sought: Sought) -> bool:
    if rival.address != sought.address or not _is_of(rival.claimed_at, text):
        return False
    return not rival.markers or any(marker in told(text, "body") for marker in rival.markers)


def _is_of(claimed_at: datetime, text: Mapping[str, Any]) -> bool:
    made_at = _date(told(text, "date_created"))
    return made_at is not None and claimed_at - BEFORE <= made_at <= claimed_at + AFTER


def read_text(text: Mapping[str, Any], sought: Sought) -> LookedUp:
    """Read a text as Twilio shows it."""
    sid, status = told(text, "sid"), told(text, "status").lower()
    if not sid:
        return other_shape(_WHO).answer
    made_at = _date(told(text, "date_created")) or sought.claimed_at
    code = told(text, "error_code")
    row = look_up(int(code)) if code.isdecimal() else None
    return Found(
        provider_message_id=sid,
        accepted_at=made_at,
        kind=KINDS.get(status, EventKind.ACCEPTED),
        happened_at=_date(told(text, "date_updated")) or made_at,
        code=code or status,
        reason=row.meaning if row is not None else "",
        records=_records(text, sid, status, sought),
    )


def _records(
    text: Mapping[str, Any], sid: str, status: str, sought: Sought
) -> tuple[RawEvent, ...]:
    """Give the status callback that Twilio posts for this status."""
    if status not in KINDS:
        return ()
    form = {"MessageSid": sid, "MessageStatus": status, "To": told(text, "to")}
    if code := told(text, "error_code"):
        form["ErrorCode"] = code
    url = f"?{urlencode({'send_id': sought.send_id})}"
    return tuple(split_twilio_status(urlencode(form).encode(), url=url))


def _read(answer: Answer) -> Mapping[str, Any]:
    if answer.status in _NOT_ALLOWED:
        # Sending takes the same credentials: what is wrong with them is put right soon.
        raise NoAnswer(f"{_WHO} refuses the account ({answer.status})", is_passing=True)
    return read_object(answer, _WHO)


def _made_at(text: Mapping[str, Any]) -> datetime:
    made_at = _date(told(text, "date_created"))
    assert made_at is not None  # noqa: S101 - is_ours asked for it
    return made_at


def _date(written: str) -> datetime | None:
    """Read a date as Twilio writes it, RFC 2822 in GMT."""
    try:
        instant = parsedate_to_datetime(written)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
