"""Find the message, and the person, that an event is about: for a whole batch at once.

In this order (FACTS.md SG-12): our send id, then the provider's message id, of which SendGrid
reports a longer form (SG-11), then, for a bounce or a written reply only, the address.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, Select, bindparam, func, select
from sqlalchemy.orm import Session

from winback.customers.identity import address_hash, normalize_email
from winback.database.tables import ContactPoint, Customer, Message, table_of
from winback.messages.tokens import read_token
from winback.providers.incoming import message_id_prefixes
from winback.responses.hearing import Heard
from winback.states import Channel, EventKind, MessageState

_CHUNK: Final = 500
_REPLY_TOKEN: Final = re.compile(r"reply\+([a-z2-7]{32}[0-9a-f]{1,16})@", re.IGNORECASE)
_BY_ADDRESS: Final = (
    EventKind.BOUNCED,
    EventKind.DROPPED,
    EventKind.REPLIED,
    EventKind.UNSUBSCRIBED,
    EventKind.COMPLAINED,
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked of the message that an event is about, as it stood when that was read."""

    id: int
    enrollment_id: int
    customer_id: int
    state: MessageState
    send_id: str | None
    provider_message_id: str | None
    address_hash: str | None
    claimed_at: datetime | None
    accepted_at: datetime | None


_MESSAGES: Final = table_of(Message)
_KNOWN: Final = select(*(_MESSAGES.c[field.name] for field in fields(Known)))
_VALUES: Final[BindParameter[Any]] = bindparam("values", expanding=True)


def _known_by(name: str) -> Select[Any]:
    return _KNOWN.where(_MESSAGES.c[name].in_(_VALUES))


_BY_ID: Final = _known_by("id")
_BY_SEND_ID: Final = _known_by("send_id")
_BY_PROVIDER_ID: Final = _known_by("provider_message_id")
_LAST: Final = (
    _KNOWN.where(_MESSAGES.c.customer_id.in_(_VALUES), _MESSAGES.c.accepted_at.is_not(None))
    .order_by(
        (_MESSAGES.c.address_hash == bindparam("hashed")).desc(), _MESSAGES.c.accepted_at.desc()
    )
    .limit(1)
)
_PERSONS: Final = select(
    Customer.id, func.coalesce(Customer.merged_into, Customer.id).label("person")
).where(Customer.id.in_(_VALUES))
_WHO_HAS: Final = (
    select(ContactPoint.customer_id)
    .where(ContactPoint.address_hash == bindparam("hashed"))
    .order_by(ContactPoint.is_current.desc(), ContactPoint.seen_at.desc())
)


@dataclass(frozen=True, slots=True)
class Matched:
    """Who and what an event is about; all None or empty where nobody is known."""

    message: Known | None = None
    customer_ids: tuple[int, ...] = ()
    """The person first; others who share the address after it."""
    address_hash: str | None = None
    is_proof: bool = False
    """Whether the event names the message by an id or a token of ours, not by an address."""

    @property
    def customer_id(self) -> int | None:
        """The person."""
        return self.customer_ids[0] if self.customer_ids else None


def match_all(session: Session, events: Sequence[Heard], *, secret: str) -> list[Matched]:
    """Match each event of a batch, in its order."""
    tokens = {event.event_id: _message_of_reply(event, secret) for event in events}
    ids = {*_given(e.message_id for e in events), *_given(tokens.values())}
    by_id = {known.id: known for known in _messages(session, _BY_ID, ids)}
    send_ids = _given(e.send_id for e in events)
    by_send_id = {known.send_id: known for known in _messages(session, _BY_SEND_ID, send_ids)}
    provider_ids = {prefix for e in events for prefix in prefixes(e.provider_message_id)}
    by_provider_id = {
        known.provider_message_id: known
        for known in _messages(session, _BY_PROVIDER_ID, provider_ids)
    }
    found: list[Known | None] = []
    for event in events:
        message = by_id.get(event.message_id or tokens[event.event_id] or 0)
        message = message or by_send_id.get(event.send_id)
        for prefix in prefixes(event.provider_message_id):
            message = message or by_provider_id.get(prefix)
        found.append(message)
    people = _persons(session, {message.customer_id for message in found if message})
    return [
        _matched(session, event, message, people, secret=secret)
        for event, message in zip(events, found, strict=True)
    ]


def prefixes(provider_message_id: str | None) -> tuple[str, ...]:
    """Give what may have been the ``X-Message-Id`` of a reported id, the longest first."""
    return message_id_prefixes(provider_message_id) if provider_message_id else ()


def _matched(
    session: Session,
    event: Heard,
    message: Known | None,
    people: dict[int, int],
    *,
    secret: str,
) -> Matched:
    if event.address_hash is not None:
        return Matched(None, _who_has(session, event.address_hash), event.address_hash)
    hashed = None
    if event.address and event.kind in _BY_ADDRESS:
        hashed = hash_of(event.address, secret, is_phone=event.is_text_message)
    if message is not None:
        hashed = hashed or message.address_hash
        return Matched(message, (people[message.customer_id],), hashed, is_proof=True)
    if hashed is None:
        return Matched()
    customers = _who_has(session, hashed)
    last = _last_message(session, customers, hashed) if customers else None
    if last is None or (event.kind is EventKind.BOUNCED and last.address_hash != hashed):
        return Matched(None, customers, hashed)
    first = _persons(session, {last.customer_id})[last.customer_id]
    others = tuple(customer for customer in customers if customer != first)
    return Matched(last, (first, *others), hashed)


def hash_of(address: str, secret: str, *, is_phone: bool) -> str:
    """Give the keyed hash of an address as a provider writes it."""
    if is_phone:
        return address_hash(secret, Channel.SMS, address.strip())
    try:
        normalized = normalize_email(address)
    except ValueError:
        # Whatever we once wrote to was normalized; this matches nobody, and is kept as it came.
        normalized = address.strip().lower()
    return address_hash(secret, Channel.EMAIL, normalized)


def _message_of_reply(event: Heard, secret: str) -> int | None:
    """Read the signed token in the address that a mail was sent to (FACTS.md SG-36)."""
    if event.kind is not EventKind.REPLIED or event.is_text_message:
        return None
    to = event.extra.get("to") or ()
    for address in [to] if isinstance(to, str) else to:
        if found := _REPLY_TOKEN.search(str(address)):
            return read_token(secret, "reply", found[1])
    return None


def _messages(session: Session, known_by: Select[Any], values: set[Any]) -> Iterator[Known]:
    for chunk in _chunks(values):
        for row in session.connection().execute(known_by, {"values": chunk}):
            yield Known(*row)


def _persons(session: Session, customer_ids: set[int]) -> dict[int, int]:
    """Give the person that each customer is now, after merging."""
    return {
        row.id: row.person
        for chunk in _chunks(customer_ids)
        for row in session.connection().execute(_PERSONS, {"values": chunk})
    }


def _who_has(session: Session, hashed: str) -> tuple[int, ...]:
    customers = session.connection().scalars(_WHO_HAS, {"hashed": hashed}).all()
    people = _persons(session, set(customers))
    return tuple(dict.fromkeys(people[customer] for customer in customers))


def _last_message(session: Session, customer_ids: tuple[int, ...], hashed: str) -> Known | None:
    """Give the message that an answer from this address is most likely about: the last one."""
    row = (
        session.connection()
        .execute(_LAST, {"values": list(customer_ids), "hashed": hashed})
        .one_or_none()
    )
    return None if row is None else Known(*row)


def _chunks(values: set[Any]) -> Iterator[Sequence[Any]]:
    listed = sorted(values)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]


def _given(values: Iterable[Any]) -> set[Any]:
    return {value for value in values if value is not None}
