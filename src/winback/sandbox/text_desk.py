"""What Twilio's ``POST Messages.json`` accepts and refuses, and how it shows a message.

Codes and wording follow Twilio's error list; none of it was run against the service.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from winback.sandbox.record import Record, Text

STOP_WORDS: Final = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
)
"""Matched on the whole text only, in any case (FACTS.md TW-20)."""
START_WORDS: Final = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS: Final = frozenset({"HELP", "INFO"})

CANCELABLE: Final = frozenset({"accepted", "queued", "scheduled"})

SENDER_NUMBER: Final = "+12025550100"
"""The one number of the stand-in's every messaging service."""

_PAGE_SIZE: Final = 50
_LARGEST_PAGE: Final = 1000
_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")
_MAX_BODY: Final = 1600
_LONGEST_VALIDITY: Final = 36_000


def error_body(status: int, code: int, message: str) -> dict[str, Any]:
    """Give an error as Twilio writes it."""
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def refuse(form: Mapping[str, str], record: Record) -> dict[str, Any] | None:
    """Give the body of the 400 with which a request is refused, None if it is right."""
    found = _mistake(form, record)
    return error_body(400, *found) if found else None


def _mistake(form: Mapping[str, str], record: Record) -> tuple[int, str] | None:  # noqa: PLR0911 - one line per rule
    to, body = form.get("To", ""), form.get("Body", "")
    if not to:
        return 21604, "A 'To' phone number is required."
    if not form.get("MessagingServiceSid") and not form.get("From"):
        return 21603, "A 'From' phone number is required."
    if "MessagingServiceSid" in form and not _SERVICE.fullmatch(form["MessagingServiceSid"]):
        return 21701, "The Messaging Service does not exist"
    if not _E164.fullmatch(to):
        return 21211, f"Invalid 'To' Phone Number: {to}"
    if not body:
        return 21602, "Message body is required."
    if len(body) > _MAX_BODY:
        return 21617, "The concatenated message body exceeds the 1600 character limit"
    validity = form.get("ValidityPeriod", str(_LONGEST_VALIDITY))
    if not validity.isdecimal() or not 1 <= int(validity) <= _LONGEST_VALIDITY:
        return 20422, "Invalid Parameter: ValidityPeriod must be from 1 to 36000"
    if not _is_callback(form.get("StatusCallback")):
        return 21609, "Invalid 'StatusCallback' URL"
    if record.has_stopped(to):
        return 21610, "Attempt to send to unsubscribed recipient"
    return None


def _is_callback(url: str | None) -> bool:
    if url is None:
        return True
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "_" not in parts.netloc


def accepted(form: Mapping[str, str], *, sid: str, at: datetime) -> Text:
    """Give the text that a right request asks for; its id comes later."""
    callback = form.get("StatusCallback", "")
    return Text(
        id=0,
        sid=sid,
        send_id=parse_qs(urlsplit(callback).query).get("send_id", [""])[0],
        to_number=form["To"],
        service=form.get("MessagingServiceSid", ""),
        body=form["Body"],
        callback=callback,
        valid_for_seconds=int(form.get("ValidityPeriod", _LONGEST_VALIDITY)),
        # With a service the sender is chosen later.
        status="accepted" if form.get("MessagingServiceSid") else "queued",
        error_code=None,
        at=at,
    )


def shown(text: Text, account_sid: str) -> dict[str, Any]:
    """Show a message as Twilio's API does."""
    made = format_datetime(text.at)
    uri = f"/2010-04-01/Accounts/{account_sid}/Messages/{text.sid}"
    is_sent = text.status not in CANCELABLE
    return {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "body": text.body,
        "date_created": made,
        "date_sent": made if is_sent else None,
        "date_updated": made,
        "direction": "outbound-api",
        "error_code": text.error_code,
        "error_message": None,
        "from": None,
        "messaging_service_sid": text.service or None,
        "num_media": "0",
        # Not known before a sender is chosen (FACTS.md TW-9).
        "num_segments": "1" if is_sent else "0",
        "price": None,
        "price_unit": "USD",
        "sid": text.sid,
        "status": text.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": text.to_number,
        "uri": f"{uri}.json",
    }


def listed(record: Record, query: Mapping[str, str], account_sid: str) -> dict[str, Any]:
    """Give a page of the account's messages, newest first, filtered as asked.

    ``DateSent``, ``DateSent>`` and ``DateSent<`` are whole days in GMT, both ends included
    (TW-34, TW-35). A text that has not left yet is listed by the day it was made: what Twilio does
    with those is not known. ``PageToken`` holds the last sid of the page before, so that a page
    stays what it is when more is sent meanwhile.
    """
    size = max(1, min(_whole(query.get("PageSize"), _PAGE_SIZE), _LARGEST_PAGE))
    page = _whole(query.get("Page"), 0)
    wheres, values = _filter(query)
    token = record.text(query.get("PageToken", "").removeprefix("PA"))
    if token is not None:
        wheres.append("id < ?")
        values.append(token.id)
    # One more than shown tells whether there is another page.
    found = record.find_texts(" AND ".join(wheres), values, newest=size + 1)
    shown_ones = found[:size]
    asked = {name: value for name, value in query.items() if not name.startswith("Page")}
    uri = f"/2010-04-01/Accounts/{account_sid}/Messages.json?"
    first = uri + urlencode({**asked, "PageSize": size, "Page": 0})
    after = {**asked, "PageSize": size, "Page": page + 1}
    if shown_ones:
        after["PageToken"] = f"PA{shown_ones[-1].sid}"
    return {
        "messages": [shown(text, account_sid) for text in shown_ones],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(len(shown_ones) - 1, 0),
        "uri": uri + urlencode(query),
        "first_page_uri": first,
        "previous_page_uri": None,
        "next_page_uri": uri + urlencode(after) if len(found) > size else None,
    }


def _filter(query: Mapping[str, str]) -> tuple[list[str], list[object]]:
    wheres, values = ["1"], list[object]()
    if "To" in query:
        wheres.append("to_number = ?")
        values.append(query["To"])
    if query.get("From", SENDER_NUMBER) != SENDER_NUMBER:
        wheres.append("0")
    for name, operator in (("DateSent", "="), ("DateSent>", ">="), ("DateSent<", "<=")):
        if name in query:
            wheres.append(f"substr(at, 1, 10) {operator} ?")
            values.append(query[name][:10])
    return wheres, values


def _whole(written: str | None, otherwise: int) -> int:
    return int(written) if written is not None and written.isdecimal() else otherwise


def keyword(body: str) -> str | None:
    """Give STOP, START or HELP when the whole text is one of Twilio's words."""
    word = body.strip().upper()
    for meaning, words in (("STOP", STOP_WORDS), ("START", START_WORDS), ("HELP", HELP_WORDS)):
        if word in words:
            return meaning
    return None
