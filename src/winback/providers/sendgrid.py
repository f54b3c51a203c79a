"""Mails through SendGrid: its package builds what mails share, our transport posts them.

In order: the tables, ``build_mail`` (pure), the sender. What SendGrid posts to us is read in
``sendgrid_events`` and ``sendgrid_replies``.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson
import sendgrid
from sendgrid.helpers.mail import (
    Category,
    ClickTracking,
    Email,
    Mail,
    OpenTracking,
    SubscriptionTracking,
    TrackingSettings,
)

from winback.clock import Clock
from winback.failpoints import calling
from winback.providers.outgoing import (
    Accepted,
    Busy,
    NotSendable,
    Outgoing,
    OutgoingEmail,
    Refused,
    Result,
    Scope,
    Unclear,
)
from winback.providers.quiet import quiet_vendor_loggers
from winback.providers.transport import Answer, NotSent, ReplyLost, Transport
from winback.providers.waiting import seconds_to_wait
from winback.states import Channel

BASE_URL: Final = "https://api.sendgrid.com"

SCOPE_BY_STATUS: Final[Mapping[int, Scope]] = {
    # FACTS.md SG-14: surely not sent. 401 and 403 are the account's fault, 404 and 405 the URL's:
    # every other mail would meet the same, so the channel pauses.
    400: "message",
    401: "channel",
    403: "channel",
    404: "channel",
    405: "channel",
    413: "message",
}

RESERVED_HEADERS: Final = frozenset(
    # FACTS.md SG-7, lower case.
    {
        *("x-sg-id", "x-sg-eid", "received", "dkim-signature"),
        *("content-type", "content-transfer-encoding"),
        *("to", "from", "subject", "reply-to", "cc", "bcc"),
    }
)
MAX_CUSTOM_ARGS_BYTES: Final = 10_000  # FACTS.md SG-3
MAX_CATEGORIES: Final = 10  # FACTS.md SG-4
MAX_CATEGORY_LENGTH: Final = 255  # FACTS.md SG-4
MAX_MESSAGE_BYTES: Final = 30 * 1024 * 1024  # FACTS.md SG-8
MAX_REASON: Final = 300

_TO_FIELD: Final = re.compile(r"personalizations\.\d+\.to(\.\d+)?\.email")
_ACCEPTED: Final = 202
_BUSY: Final = 429
_REQUEST_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413


def build_mail(message: OutgoingEmail) -> dict[str, Any]:
    """Build the payload of ``POST /v3/mail/send``; raises NotSendable before anything leaves.

    One personalization with one recipient, so that one HTTP result belongs to one customer
    (FACTS.md SG-2). The send id travels in the personalization: the published description types
    the top-level ``custom_args`` as a string. No ``bypass_*`` flag is ever set (FACTS.md SG-9).
    """
    _check(message)
    to = {"email": message.to_address}
    if message.to_name:
        to["name"] = message.to_name
    # Written in plainly: with the package's own objects a mail takes four times as long.
    payload = {
        **_frame(message.from_address, message.from_name, message.categories),
        "subject": message.subject,
        "personalizations": [{"to": [to], "custom_args": {"wb_send_id": message.send_id}}],
        # Text before HTML: SendGrid refuses the other order.
        "content": [
            {"type": "text/plain", "value": message.text},
            {"type": "text/html", "value": message.html},
        ],
    }
    if message.reply_to:
        payload["reply_to"] = {"email": message.reply_to}
    if message.headers:
        payload["headers"] = dict(message.headers)
    return payload


@lru_cache(maxsize=256)
def _frame(address: str, name: str, categories: tuple[str, ...]) -> dict[str, Any]:
    """Build what all mails of a step share; only read, never changed."""
    mail = Mail()
    # Filled in as it is: the package would look for a name in the address.
    mail.from_email = sender = Email()
    sender.email, sender.name = address, name or None
    # The package puts each new category in front.
    for category in reversed(categories):
        mail.add_category(Category(category))
    mail.tracking_settings = _tracking()
    frame: dict[str, Any] = mail.get()
    return frame


def _tracking() -> TrackingSettings:
    settings = TrackingSettings()
    settings.click_tracking = ClickTracking(enable=True, enable_text=False)
    settings.open_tracking = OpenTracking(enable=True)
    # We own List-Unsubscribe and the footer link (FACTS.md SG-37).
    settings.subscription_tracking = SubscriptionTracking(enable=False)
    return settings


def _check(message: OutgoingEmail) -> None:
    people = message.to_address, message.to_name, message.from_address, message.from_name
    if _breaks("".join(filter(None, (message.subject, message.reply_to, *people)))):
        raise NotSendable("a line break in subject, name or address")  # FACTS.md SEC-7
    for name, value in message.headers.items():
        if name.lower() in RESERVED_HEADERS:
            raise NotSendable(f"the header {name} is reserved")
        if _breaks(name + value):
            raise NotSendable("a line break in a header")
    if not message.send_id:
        raise NotSendable("the send id is empty")
    if len(orjson.dumps({"wb_send_id": message.send_id})) > MAX_CUSTOM_ARGS_BYTES:
        raise NotSendable("the custom arguments are too long")
    if len(message.categories) > MAX_CATEGORIES or any(
        len(category) > MAX_CATEGORY_LENGTH for category in message.categories
    ):
        raise NotSendable("too many categories, or one is too long")


def _breaks(line: str) -> bool:
    return "\r" in line or "\n" in line or "\0" in line


def write_mail(message: OutgoingEmail) -> bytes:
    """Build the payload and write it as JSON; raises NotSendable, over 30 MB too."""
    try:
        body = orjson.dumps(build_mail(message))
    except orjson.JSONEncodeError as error:
        raise NotSendable("not valid Unicode") from error
    if len(body) > MAX_MESSAGE_BYTES:
        raise NotSendable("the message is over 30 MB")
    return body


class SendGridSender:
    """Sends mails through SendGrid's v3 API; one result per mail, nothing tried twice."""

    name = "sendgrid"
    channel = Channel.EMAIL

    def __init__(
        self,
        api_key: str,
        *,
        clock: Clock,
        base_url: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        quiet_vendor_loggers()
        self._url = f"{(base_url or BASE_URL).rstrip('/')}/v3/mail/send"
        client = sendgrid.SendGridAPIClient(api_key)
        self._headers = {**client.client.request_headers, "Content-Type": "application/json"}
        self._clock = clock
        self._transport = transport or Transport()

    async def send(self, message: Outgoing) -> Result:
        """Post one mail; a message that breaks SendGrid's limits is refused without a call."""
        if not isinstance(message, OutgoingEmail):
            raise TypeError("SendGrid sends mails only")
        try:
            body = write_mail(message)
        except NotSendable as error:
            return Refused("not_sendable", str(error), "message")
        try:
            with calling("sendgrid"):
                answer = await self._transport.request(
                    "POST", self._url, headers=self._headers, body=body
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
    """Tell what an answer of mail/send means (FACTS.md SG-10, SG-14, SG-15, DS-3)."""
    if answer.status == _ACCEPTED:
        return Accepted(answer.headers.get("x-message-id", ""))
    if answer.status == _BUSY:
        return Busy(seconds_to_wait(answer.headers, now=now), "429")
    if not 400 <= answer.status < 500 or answer.status == _REQUEST_TIMEOUT:  # noqa: PLR2004
        # 5xx, and whatever is not in the provider's own description: perhaps sent.
        return Unclear(f"status {answer.status}")
    reason, field = read_error(answer.body)
    scope = SCOPE_BY_STATUS.get(answer.status, "message")
    if not reason and answer.status != _TOO_LARGE:
        # No answer of SendGrid's (SG-13): a proxy, or a wrong URL, and no fault of this mail.
        scope = "channel"
    if scope == "message" and _TO_FIELD.fullmatch(field):
        scope = "address_invalid"
    return Refused(str(answer.status), reason or f"status {answer.status}", scope)


def read_error(body: bytes) -> tuple[str, str]:
    """Give message and field of the first error in a body; two empty texts where it has none.

    FACTS.md SG-13: ``field`` may be null, and a body may be no JSON at all. Addresses that the
    provider quotes in its message are left out.
    """
    try:
        found = orjson.loads(body)["errors"][0]
        message, field = str(found["message"]), str(found.get("field") or "")
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
    return re.sub(r"[^\s\[\]<>\"']+@[^\s\[\]<>\"']+", "(address)", message)[:MAX_REASON], field
