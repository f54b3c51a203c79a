"""SendGrid's Email Logs: ``POST /v3/logs`` and ``GET /v3/logs/{sg_message_id}`` (FACTS.md SG-43).

Fields and shapes follow the published description (tsg_logs_v3.json); the order of the list,
newest first, and the wording of refusals are guesses.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from winback.sandbox.mail_desk import error_body
from winback.sandbox.record import Mail, Record

PATH: Final = "/v3/logs"
_DEFAULT_LIMIT: Final = 10
_LARGEST_LIMIT: Final = 1000
_MOST_EVENTS: Final = 100
_TEXT: Final = r"""(?:"[^"]*"|'[^']*')"""
_CONDITION: Final = re.compile(
    rf"""\s*(?P<field>\w+)\s*(?:
        (?P<operator>=|<=|>=|<|>)\s*(?:TIMESTAMP\s+)?(?P<value>{_TEXT})
        |IN\s*\(\s*(?P<values>{_TEXT}(?:\s*,\s*{_TEXT})*)\s*\)
    )\s*(?P<more>AND\b|$)""",
    re.VERBOSE | re.IGNORECASE,
)
_COLUMNS: Final = {"to_email": "to_address", "subject": "subject"}
_OPERATORS: Final[Mapping[str, Sequence[str]]] = {
    "sg_message_id": ("=",),
    "subject": ("=",),
    "to_email": ("=",),
    "reason": ("=",),
    "status": ("IN",),
    "categories": ("IN",),
    "sg_message_id_created_at": (">", "<", ">=", "<="),
}
_STATUSES: Final = {
    "processed": "processed",
    "dropped": "dropped",
    "cancel_drop": "dropped",
    "deferred": "deferred",
    "bounce": "bounced",
    "delivered": "delivered",
    "click": "delivered",
    "open": "delivered",
}
_CUSTOM: Final[Mapping[str, Mapping[str, object]]] = {
    "delivered": {"ip": "127.0.0.1", "response": "250 OK"},
    "deferred": {"response": "450 try later", "attempt": "0"},
    "bounce": {"type": "bounce"},
    "dropped": {"reason": "Bounced Address"},
}
"""What the description requires of an event beside what was reported of it."""

Reply = tuple[int, dict[str, Any]]


def answer(method: str, path: str, body: bytes, record: Record) -> Reply:
    """Answer a call to the logs, by somebody who bought them."""
    one = path.removeprefix(PATH).removeprefix("/")
    if method == "POST" and not one:
        try:
            return 200, {"messages": [_listed(*hit) for hit in _found(body, record)]}
        except ValueError as mistake:
            return 400, error_body(str(mistake), "query")
    if method == "GET" and one:
        mail = _mail(one, record)
        if mail is not None:
            return 200, _shown(mail, record.events(mail.id))
    return 404, error_body("not found")


def _found(body: bytes, record: Record) -> Iterator[tuple[Mail, list[dict[str, Any]]]]:
    asked = orjson.loads(body) if body else {}
    if not isinstance(asked, dict) or not isinstance(asked.get("query", ""), str):
        raise ValueError("the query must be a text")
    limit = asked.get("limit", _DEFAULT_LIMIT)
    if not isinstance(limit, int) or not 1 <= limit <= _LARGEST_LIMIT:
        raise ValueError("the limit must be from 1 to 1000")
    wheres, values = ["1"], list[object]()
    kept: list[tuple[str, set[str]]] = []
    for field, operator, given in read_query(asked.get("query", "")):
        if field == "sg_message_id":
            mail = _mail(given[0], record)
            wheres.append("id = ?")
            values.append(-1 if mail is None else mail.id)
        elif field == "sg_message_id_created_at":
            wheres.append(f"at {operator} ?")
            values.append(_instant(given[0]).isoformat())
        elif field in _COLUMNS:
            wheres.append(f"{_COLUMNS[field]} = ?")
            values.append(given[0])
        else:
            kept.append((field, set(given)))
    # What stands in events and lists is looked at here, one mail at a time.
    newest = -1 if kept else limit
    for mail in record.find_mails(" AND ".join(wheres), values, newest=newest, has_bodies=False):
        events = record.events(mail.id)
        if all(_says(mail, events, field) & wanted for field, wanted in kept):
            yield mail, events
            limit -= 1
        if not limit:
            return


def read_query(query: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Read a filter into (field, operator, values). Raises ValueError when it is none."""
    at = 0
    while query[at:].strip():
        found = _CONDITION.match(query, at)
        if found is None:
            raise ValueError("the query cannot be read")
        field, operator = found["field"].lower(), found["operator"] or "IN"
        if operator not in _OPERATORS.get(field, ()):
            raise ValueError(f"{field} {operator} is no filter")
        given = re.findall(_TEXT, found["value"] or found["values"])
        yield field, operator, [value[1:-1] for value in given]
        at = found.end()
        if found["more"] and not query[at:].strip():
            raise ValueError("the query ends after AND")


def _instant(written: str) -> datetime:
    instant = datetime.fromisoformat(written)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _mail(full_id: str, record: Record) -> Mail | None:
    """Give the mail with that whole id; the prefix alone is none."""
    number = full_id.rpartition(".")[2]
    mail = record.mail(int(number)) if number.isascii() and number.isdecimal() else None
    return mail if mail is not None and mail.full_id == full_id else None


def _says(mail: Mail, events: Sequence[Mapping[str, Any]], field: str) -> set[str]:
    if field == "categories":
        return set(mail.categories)
    return {_status(events)} if field == "status" else {_reason(events)}


def _status(events: Sequence[Mapping[str, Any]]) -> str:
    known = [event for event in events if event["event"] in _STATUSES]
    if not known:
        return "processed"
    latest = known[-1]
    if latest["event"] == "bounce" and latest.get("type") in {"block", "blocked"}:
        return "blocked"
    return _STATUSES[latest["event"]]


def _reason(events: Sequence[Mapping[str, Any]]) -> str:
    said = [event.get("reason") or event.get("response") or "" for event in events]
    return next((one for one in reversed(said) if one), "")


def _listed(mail: Mail, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "from_email": mail.from_address,
        "sg_message_id": mail.full_id,
        "subject": mail.subject,
        "to_email": mail.to_address,
        "reason": _reason(events),
        "status": _status(events),
        "sg_message_id_created_at": f"{mail.at:%Y-%m-%dT%H:%M:%SZ}",
    }


def _shown(mail: Mail, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "from_email": mail.from_address,
        "sg_message_id": mail.full_id,
        "subject": mail.subject,
        "to_email": mail.to_address,
        "status": _status(events),
        "api_key_id": "stand-in",
        "client_ip": "127.0.0.1",
        "category": list(mail.categories),
        "custom_args": dict(mail.arguments),
        "events": [_event(mail, event) for event in events[-_MOST_EVENTS:]],
    }


def _event(mail: Mail, event: Mapping[str, Any]) -> dict[str, Any]:
    """Show an event: here the custom arguments are not merged into its top level."""
    own = {name: value for name, value in event.items() if name not in mail.arguments}
    return {**_CUSTOM.get(event["event"], {}), **own, "custom_args": dict(mail.arguments)}
