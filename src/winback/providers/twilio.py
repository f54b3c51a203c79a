"""Texts through Twilio: its package builds the request, our transport posts it.

In order: the limits, ``TextBuilder`` (pure), the sender. Twilio's error codes are data in
``twilio_codes``; what Twilio posts to us is read in ``twilio_events``.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from twilio.http.response import Response
from twilio.rest import Client

from winback.clock import Clock
from winback.failpoints import calling
from winback.providers.outgoing import (
    Accepted,
    Busy,
    NotSendable,
    Outgoing,
    OutgoingText,
    Refused,
    Result,
    Scope,
    Unclear,
)
from winback.providers.quiet import quiet_vendor_loggers
from winback.providers.transport import Answer, NotSent, ReplyLost, Transport
from winback.providers.twilio_codes import look_up
from winback.providers.waiting import seconds_to_wait
from winback.states import Channel

MAX_BODY: Final = 1600  # FACTS.md TW-1
SHORTEST_VALIDITY: Final = 1  # FACTS.md TW-3
LONGEST_VALIDITY: Final = 36_000  # FACTS.md TW-3
SEND_ID_PARAMETER: Final = "send_id"

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]")
_BUSY: Final = 429
_REQUEST_TIMEOUT: Final = 408
_CHANNEL_STATUSES: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class TextRequest:
    """The request that Twilio's package would make."""

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


class _Recorder:
    """Stands where Twilio's HTTP client stands and keeps the request instead of making it."""

    def __init__(self) -> None:
        self.request_made: TextRequest | None = None

    def request(  # noqa: PLR0917 - the package's own signature
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - the package's own signature
    ) -> Response:
        """Keep the request and answer as if a message had been made."""
        del params, timeout, allow_redirects
        made = dict(headers or {})
        if auth is not None:
            made["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode()}"
        form = {name: str(value) for name, value in (data or {}).items()}
        self.request_made = TextRequest(method, url, made, form)
        return Response(201, "{}")


class TextBuilder:
    """Builds requests with Twilio's package, without a connection."""

    def __init__(self, account_sid: str, auth_token: str, *, base_url: str | None = None) -> None:
        self._recorder = _Recorder()
        self._client = Client(account_sid, auth_token, http_client=self._recorder)
        self._base_url = base_url.rstrip("/") if base_url else None

    def build(self, message: OutgoingText) -> TextRequest:
        """Build the create call; raises NotSendable before anything leaves.

        ``ValidityPeriod`` is always set (FACTS.md TW-3). Neither ``SmartEncoded`` nor
        ``ShortenUrls`` is: what is sent is what was previewed (FACTS.md TW-8, TW-10).
        """
        _check(message)
        self._client.messages.create(
            to=message.to_number,
            messaging_service_sid=message.messaging_service,
            body=message.body,
            status_callback=callback_with(message.status_callback, message.send_id),
            validity_period=message.valid_for_seconds,
        )
        made = self._recorder.request_made
        if made is None:
            raise RuntimeError("twilio's package made no request")
        return TextRequest(made.method, self._moved(made.url), made.headers, made.form)

    def _moved(self, url: str) -> str:
        # The package has no setting for its base URL.
        if self._base_url is None:
            return url
        return self._base_url + urlsplit(url).path


def callback_with(status_callback: str, send_id: str) -> str:
    """Add our send id to the callback's query, which Twilio's signature covers (TW-12)."""
    parts = urlsplit(status_callback)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != SEND_ID_PARAMETER]
    query.append((SEND_ID_PARAMETER, send_id))
    return urlunsplit(parts._replace(query=urlencode(query)))


def _check(message: OutgoingText) -> None:
    if not _E164.fullmatch(message.to_number):
        raise NotSendable("the number is not in E.164")
    if not _SERVICE.fullmatch(message.messaging_service):
        raise NotSendable("the messaging service is no MG id")
    if not 0 < len(message.body) <= MAX_BODY:
        raise NotSendable("the text is empty or over 1,600 characters")
    if not SHORTEST_VALIDITY <= message.valid_for_seconds <= LONGEST_VALIDITY:
        raise NotSendable("the validity is not within 1 to 36,000 seconds")
    host = urlsplit(message.status_callback).netloc.rpartition("@")[2]
    if not _HOST.fullmatch(re.sub(r":\d+$", "", host)):
        raise NotSendable("the callback's host is no host name")  # FACTS.md TW-2
    if not message.send_id:
        raise NotSendable("the send id is empty")


class TwilioSender:
    """Sends texts through a messaging service; one result per text, nothing tried twice."""

    name = "twilio"
    channel = Channel.SMS

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        clock: Clock,
        base_url: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        quiet_vendor_loggers()
        self._builder = TextBuilder(account_sid, auth_token, base_url=base_url)
        self._clock = clock
        self._transport = transport or Transport()

    async def send(self, message: Outgoing) -> Result:
        """Post one text; one that breaks Twilio's limits is refused without a call."""
        if not isinstance(message, OutgoingText):
            raise TypeError("Twilio sends texts only")
        try:
            request = self._builder.build(message)
            body = urlencode(request.form).encode()
        except NotSendable as error:
            return Refused("not_sendable", str(error), "message")
        except UnicodeEncodeError:
            return Refused("not_sendable", "not valid Unicode", "message")
        try:
            with calling("twilio"):
                answer = await self._transport.request(
                    request.method, request.url, headers=request.headers, body=body
                )
        except NotSent as error:
            return Busy(reason=f"no connection: {error}")
        except ReplyLost as error:
            return Unclear(f"reply lost: {error}")
        return classify(answer, now=self._clock.now())

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


def classify(answer: Answer, *, now: datetime) -> Result:
    """Tell what an answer of Messages.json means (FACTS.md TW-9, TW-17, DS-3)."""
    said = read_body(answer.body)
    if 200 <= answer.status < 300:  # noqa: PLR2004
        sid = said.get("sid")
        if not isinstance(sid, str) or not sid:
            return Unclear(f"status {answer.status} without a sid")
        return Accepted(sid, _whole(said.get("num_segments")) or None)
    if answer.status == _BUSY:
        return Busy(seconds_to_wait(answer.headers, now=now), "429")
    if not 400 <= answer.status < 500 or answer.status == _REQUEST_TIMEOUT:  # noqa: PLR2004
        return Unclear(f"status {answer.status}")
    code = _whole(said.get("code"))
    row = look_up(code)
    if row.scope is None:
        wait = seconds_to_wait(answer.headers, now=now)
        return Busy(row.wait_seconds if wait is None else wait, f"{code}: {row.meaning}")
    return _refused(answer.status, code, row.meaning, row.scope)


def _refused(status: int, code: int | None, meaning: str, scope: Scope) -> Refused:
    if code is None:
        # No answer of Twilio's: a proxy, or a wrong URL, and no fault of this text.
        return Refused(str(status), f"status {status}, no code", "channel")
    # The codes decide; a 401 or 403 with an unlisted one is still the account's.
    return Refused(str(code), meaning, "channel" if status in _CHANNEL_STATUSES else scope)


def read_body(body: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else gives an empty one (a proxy answers in HTML)."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _whole(written: object) -> int | None:
    try:
        return int(str(written))
    except ValueError:
        return None
