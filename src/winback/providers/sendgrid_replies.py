"""SendGrid's Inbound Parse: a customer's reply by mail, as a multipart form (FACTS.md SG-31).

Whoever is named as sender may be forged (SG-34): what a reply may do is decided elsewhere.
"""

import io
import json
from collections.abc import Mapping
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from email.utils import parseaddr
from html.parser import HTMLParser
from typing import Any, Final

from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File

from winback.providers.events import (
    UNREADABLE,
    ProviderEvent,
    RawEvent,
    fingerprint,
    refuse_unreadable,
    storable,
)
from winback.states import EventKind

RAW_MAIL: Final = "email"
"""The field that holds the whole mail where "send raw" is on; kept byte by byte as Latin-1."""

_IDENTIFYING: Final = ("headers", "envelope", "subject", "text", "html", RAW_MAIL)
_LONGEST_BODY: Final = 200_000


def split(body: bytes, *, content_type: str, origin: str) -> list[RawEvent]:
    """Read the form's text fields, each in its own charset; of attachments only names are kept.

    A retry has the same key, though its boundary differs.
    """
    fields: dict[str, bytes] = {}
    attachments: list[str] = []

    def keep_field(field: Field) -> None:
        fields[_name(field.field_name)] = field.value or b""

    def keep_name(file: File) -> None:
        attachments.append(_name(file.file_name))
        file.close()

    headers = {"Content-Type": content_type.encode("latin-1", "replace")}
    try:
        parse_form(headers, io.BytesIO(body), keep_field, keep_name)
    except (FormParserError, ValueError):
        text = body[:_LONGEST_BODY].decode("utf-8", "replace")
        return [RawEvent(f"{origin}:{fingerprint(text)}", origin, {UNREADABLE: storable(text)})]
    kept = _decoded(fields)
    kept["attachment_names"] = storable(attachments)
    key = fingerprint({name: kept.get(name) for name in _IDENTIFYING})
    return [RawEvent(f"{origin}:{key}", origin, kept)]


def read(body: Mapping[str, Any]) -> ProviderEvent:
    """Read one reply: its text, who is named as sender, and to which of our addresses it came.

    ``extra``: ``to`` (addresses of the envelope), ``envelope_from`` (empty for automatic mail),
    ``subject``, ``headers`` (lower-case names), ``html``.
    """
    refuse_unreadable(body)
    envelope = _object(str(body.get("envelope", "")))
    to = envelope.get("to")
    text, html = str(body.get("text", "")), str(body.get("html", ""))
    headers = str(body.get("headers", ""))
    if RAW_MAIL in body:
        mail = message_from_bytes(str(body[RAW_MAIL]).encode("latin-1"), policy=policy.default)
        headers = "".join(f"{name}: {value}\n" for name, value in mail.items())
        text, html = _part(mail, "plain"), _part(mail, "html")
    lowered = _headers(headers)
    sender = str(body.get("from", "")) or lowered.get("from", "")
    return ProviderEvent(
        kind=EventKind.REPLIED,
        address=parseaddr(sender)[1] or None,
        text=text or _plain(html),
        extra={
            "to": [str(one) for one in to] if isinstance(to, list) else [],
            "envelope_from": str(envelope.get("from", "")),
            "subject": str(body.get("subject", "")) or lowered.get("subject", ""),
            "headers": lowered,
            "html": html,
            "attachment_names": list(body.get("attachment_names", [])),
        },
    )


def _decoded(fields: Mapping[str, bytes]) -> dict[str, Any]:
    charsets = _object(fields.get("charsets", b"").decode("utf-8", "replace"))
    decoded: dict[str, Any] = {}
    for name, value in fields.items():
        if name == RAW_MAIL:
            decoded[name] = storable(value.decode("latin-1"))
            continue
        try:
            text = value.decode(str(charsets.get(name, "utf-8")), "replace")
        except LookupError:
            # A charset that nobody knows: whatever can be read of it.
            text = value.decode("utf-8", "replace")
        decoded[name] = storable(text)
    return decoded


def _object(text: str) -> dict[str, Any]:
    try:
        read_object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return read_object if isinstance(read_object, dict) else {}


def _name(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _headers(text: str) -> dict[str, str]:
    mail = message_from_string(text.strip() + "\n\n", policy=policy.compat32)
    return {name.lower(): str(value) for name, value in mail.items()}


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


class _Words(HTMLParser):
    """Collects the words of a mail that came as HTML only."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._hidden += tag in {"style", "script"}
        if tag in {"br", "p", "div", "tr", "li", "blockquote"}:
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script"} and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.lines[-1] += " ".join(data.split()).join(
                (" " * data[:1].isspace(), " " * data[-1:].isspace())
            )


def _plain(html: str) -> str:
    words = _Words()
    words.feed(html)
    words.close()
    return "\n".join(line.strip() for line in words.lines if line.strip())
