"""What SendGrid's ``POST /v3/mail/send`` accepts and refuses.

Wording and fields follow SendGrid's error reference as remembered and as seen in public threads;
none of it was run against the service (FACTS.md SG-46).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from winback.sandbox.record import Mail

MAX_BYTES: Final = 30 * 1024 * 1024

_ADDRESS: Final = re.compile(r"[^@\s<>,;]+@[^@\s<>,;.]+(\.[^@\s<>,;.]+)+")
_RESERVED: Final = frozenset(
    {
        *("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type"),
        *("content-transfer-encoding", "to", "from", "subject", "reply-to", "cc", "bcc"),
    }
)
_HELP: Final = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_NO_SENDER: Final = (
    "The from object must be provided for every email send. It is an object that "
    "requires the email parameter, but may also contain a name parameter."
)
_NO_RECIPIENT: Final = (
    "The to array is required for all personalization objects, and must have at "
    "least one email object with a valid email address."
)
_TWICE: Final = (
    "Each email address in the personalization block should be unique between to, cc, "
    "and bcc. We found the first duplicate instance of [{}] in the personalizations.{}.{} field."
)
_NO_SUBJECT: Final = (
    "The subject is required. You can get around this requirement if you use a template "
    "with a subject defined or if every personalization has a subject defined."
)
_NO_CONTENT: Final = (
    "Unless a valid template_id is provided, the content parameter is required. There "
    "must be at least one defined content block."
)
_TEXT_FIRST: Final = (
    "If present, text/plain and text/html may only be provided once and text/plain must be "
    "the first content block."
)
_MAX_PERSONALIZATIONS: Final = 1000
_MAX_CUSTOM_ARGS: Final = 10_000
_MAX_CATEGORIES: Final = 10
_MAX_CATEGORY: Final = 255


def error_body(message: str, field: str | None = None) -> dict[str, Any]:
    """Give an error as SendGrid writes it."""
    hint = f"{_HELP}{field}" if field else None
    return {"errors": [{"message": message, "field": field, "help": hint}]}


def read(body: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read a request; gives what it says, and the body of the 400 with which it is refused."""
    try:
        payload = orjson.loads(body)
        return payload, refuse(payload)
    except (AttributeError, TypeError, ValueError):
        # No JSON, or a field of another kind than documented.
        return {}, error_body("Bad Request")


def refuse(payload: Any) -> dict[str, Any] | None:
    """Give the body of the 400 with which a request is refused, None if it is right."""
    if not isinstance(payload, dict):
        return error_body("Bad Request")
    found = [error_body(message, field)["errors"][0] for message, field in _mistakes(payload)]
    return {"errors": found} if found else None


def _mistakes(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sender = payload.get("from")
    if not isinstance(sender, dict) or not sender.get("email"):
        yield _NO_SENDER, "from.email"
    elif not _is_address(sender["email"]):
        yield "Does not contain a valid address.", "from.email"
    reply_to = payload.get("reply_to")
    if reply_to is not None and not _is_address(dict(reply_to).get("email")):
        yield "Does not contain a valid address.", "reply_to.email"
    yield from _people(payload)
    yield from _content(payload)
    yield from _labels(payload)


def _people(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    people = payload.get("personalizations")
    if not isinstance(people, list) or not people:
        yield (
            "The personalizations field is required and must have at least one personalization.",
            "personalizations",
        )
        return
    if len(people) > _MAX_PERSONALIZATIONS:
        yield "There can be at most 1000 personalizations.", "personalizations"
    seen: set[str] = set()
    for number, person in enumerate(people):
        if not person.get("to"):
            yield _NO_RECIPIENT, f"personalizations.{number}.to"
        for kind in ("to", "cc", "bcc"):
            for place, entry in enumerate(person.get(kind) or ()):
                address = entry.get("email")
                if not _is_address(address):
                    field = f"personalizations.{number}.{kind}.{place}.email"
                    yield "Does not contain a valid address.", field
                elif address.casefold() in seen:
                    yield _TWICE.format(address, number, kind), "personalizations"
                else:
                    seen.add(address.casefold())
        yield from _arguments(person, f"personalizations.{number}.custom_args")
        if not (person.get("subject") or payload.get("subject")):
            yield _NO_SUBJECT, "subject"


def _content(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    content = payload.get("content")
    if not isinstance(content, list) or not content:
        yield _NO_CONTENT, "content"
        return
    for number, part in enumerate(content):
        if not part.get("value"):
            yield (
                "The content value must be a string at least one character in length.",
                f"content.{number}.value",
            )
    kinds = [part.get("type") for part in content]
    if "text/plain" in kinds and kinds[0] != "text/plain":
        yield _TEXT_FIRST, "content"


def _labels(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in payload.get("headers") or {}:
        if name.lower() in _RESERVED:
            yield f"The header {name} is reserved and cannot be set.", f"headers.{name}"
    categories = payload.get("categories") or []
    if len(categories) > _MAX_CATEGORIES:
        yield "There can be at most 10 categories.", "categories"
    if any(len(category) > _MAX_CATEGORY for category in categories):
        yield "A category can have at most 255 characters.", "categories"
    yield from _arguments(payload, "custom_args")


def _arguments(holder: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    arguments = holder.get("custom_args") or {}
    if not isinstance(arguments, dict) or any(
        not isinstance(value, str) for value in arguments.values()
    ):
        yield "The custom_args must be an object of strings.", field
    elif len(str(arguments)) > _MAX_CUSTOM_ARGS:
        yield "The custom_args may have at most 10,000 bytes.", field


def _is_address(address: object) -> bool:
    return isinstance(address, str) and _ADDRESS.fullmatch(address) is not None


def accepted(payload: Mapping[str, Any], *, message_id: str, at: datetime) -> list[Mail]:
    """Give the mails that a right request asks for, one per recipient; their ids come later."""
    content = {part["type"]: part["value"] for part in payload["content"]}
    people = [
        (person, {**(payload.get("custom_args") or {}), **(person.get("custom_args") or {})})
        for person in payload["personalizations"]
    ]
    return [
        Mail(
            id=0,
            message_id=message_id,
            send_id=arguments.get("wb_send_id", ""),
            to_address=entry["email"],
            from_address=payload["from"]["email"],
            reply_to=(payload.get("reply_to") or {}).get("email", ""),
            subject=person.get("subject") or payload["subject"],
            text=content.get("text/plain", ""),
            html=content.get("text/html", ""),
            headers={**(payload.get("headers") or {}), **(person.get("headers") or {})},
            categories=tuple(payload.get("categories") or ()),
            at=at,
            arguments=arguments,
        )
        for person, arguments in people
        for kind in ("to", "cc", "bcc")
        for entry in person.get(kind) or ()
    ]
