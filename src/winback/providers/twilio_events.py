"""Twilio's webhooks: the tables, how a form is kept, how a status or a text is read.

FACTS.md TW-11 to TW-17, TW-21, TW-31.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from winback.providers.events import (
    ProviderEvent,
    RawEvent,
    fingerprint,
    storable,
    told,
)
from winback.providers.twilio_codes import TwilioCode, look_up
from winback.states import EventKind, SuppressionReason

KINDS: Final[Mapping[str, EventKind]] = {
    "accepted": EventKind.ACCEPTED,
    "scheduled": EventKind.ACCEPTED,
    "queued": EventKind.ACCEPTED,
    "sending": EventKind.ACCEPTED,
    # Sent is not delivered (TW-16).
    "sent": EventKind.ACCEPTED,
    "partially_delivered": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "read": EventKind.DELIVERED,
    "undelivered": EventKind.FAILED,
    "failed": EventKind.FAILED,
    "canceled": EventKind.FAILED,
    # receiving and received belong to inbound texts: UNKNOWN here.
}

OUR_SEND_ID: Final = "wb_send_id"
_QUERY_NAME: Final = "send_id"
_LONGEST_ID: Final = 60
_KEPT: Final = (
    *("To", "From", "MessagingServiceSid", "OptOutType", "NumSegments", "NumMedia"),
    *("FromCountry", "FromState", "FromZip", "ErrorMessage", "MessageStatus"),
)


def split_status(body: bytes, *, url: str, origin: str) -> list[RawEvent]:
    """Keep one status callback with our send id from the URL; one record per sid and status."""
    form = _form(body)
    if given := parse_qs(urlsplit(url).query).get(_QUERY_NAME):
        form[OUR_SEND_ID] = storable(given[0])
    return [RawEvent(_key(origin, form, _sid(form), _status(form)), origin, form)]


def split_inbound(body: bytes, *, origin: str) -> list[RawEvent]:
    """Keep one inbound text; one record per sid."""
    form = _form(body)
    return [RawEvent(_key(origin, form, _sid(form)), origin, form)]


def read_status(body: Mapping[str, Any]) -> ProviderEvent:
    """Read one status callback; Twilio gives no time of its own."""
    status = _status(body).lower()
    kind = KINDS.get(status, EventKind.UNKNOWN)
    code = told(body, "ErrorCode")
    row = look_up(int(code) if code.isdecimal() else None)
    has_failed = kind is EventKind.FAILED and status != "canceled"
    return ProviderEvent(
        kind=kind,
        send_id=told(body, OUR_SEND_ID) or None,
        provider_message_id=_sid(body) or None,
        address=told(body, "To") or None,
        code=code or status,
        reason=row.meaning if code else "",
        suppression=row.suppression if has_failed else None,
        may_be_a_no=has_failed and row.may_be_a_no,
        alarm=_alarm(code, row) if has_failed else "",
        stops_country=has_failed and row.scope in {"country", "sender_in_country"},
        extra=_extra(body),
    )


def _alarm(code: str, row: TwilioCode) -> str:
    if not row.alerts:
        return ""
    return f"{code} {row.meaning}" if code.isdecimal() else "failed without a readable code"


def read_inbound(body: Mapping[str, Any]) -> ProviderEvent:
    """Read one inbound text; ``OptOutType`` is obeyed before any words (TW-21).

    START and HELP stay replies, named in ``code``: Twilio lifts its own block only, and we ours
    only with a consent (TW-24).
    """
    said = told(body, "OptOutType").upper()
    has_stopped = said == "STOP"
    return ProviderEvent(
        kind=EventKind.UNSUBSCRIBED if has_stopped else EventKind.REPLIED,
        provider_message_id=_sid(body) or None,
        address=told(body, "From") or None,
        code=said,
        text=told(body, "Body"),
        suppression=SuppressionReason.STOPPED if has_stopped else None,
        extra=_extra(body),
    )


def _form(body: bytes) -> dict[str, Any]:
    # Repeated names are not documented for messages; the first value counts.
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {storable(name): storable(value) for name, value in reversed(pairs)}


def _sid(form: Mapping[str, Any]) -> str:
    return told(form, "MessageSid") or told(form, "SmsSid") or told(form, "SmsMessageSid")


def _status(form: Mapping[str, Any]) -> str:
    return told(form, "MessageStatus") or told(form, "SmsStatus")


def _key(origin: str, form: dict[str, Any], *ids: str) -> str:
    if ids[0] and all(len(one) <= _LONGEST_ID for one in ids):
        return ":".join((origin, *ids))[:128]
    return f"{origin}:{fingerprint(form)}"


def _extra(form: Mapping[str, Any]) -> dict[str, Any]:
    return {name: form[name] for name in _KEPT if name in form}
