"""Find the message, and the person, that an event is about: for a whole batch at once.

In this order (FACTS.md SG-12): our send id, then the provider's message id, of which SendGrid
reports a longer form (SG-11), then, for a bounce or a written reply only, the address.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from winback.customers.identity import address_hash, normalize_email
from winback.database.tables import ContactPoint, Customer, Message
from winback.messages.tokens import read_token
from winback.providers.incoming import message_id_prefixes
from winback.responses.hearing import Heard
from winback.states import Channel, EventKind

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
class Matched:
    """Who and what an event is about; all None or empty where nobody is known."""

    message: Message | None = None
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
    by_id = _messages(
        session, Message.id, {*_given(e.message_id for e in events), *_given(tokens.values())}
    )
    by_send_id = _messages(session, Message.send_id, _given(e.send_id for e in events))
    by_provider_id = _messages(
        session,
        Message.provider_message_id,
        {prefix for e in events for prefix in prefixes(e.provider_message_id)},
    )
    found: list[Message | None] = []
    for event in events:
        message = by_id.get(event.message_id or tokens[event.event_id])
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
    message: Message | None,
    people: dict[int, int],
    *,
    secret: str,
) -> Matched:
    hashed = None
    if event.address and event.kind in _BY_ADDRESS:
        hashed = _hash_of(event.address, secret, is_phone=event.is_text_message)
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


def _hash_of(address: str, secret: str, *, is_phone: bool) -> str:
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


def _messages(session: Session, column: Any, values: set[Any]) -> dict[Any, Message]:
    found: dict[Any, Message] = {}
    listed = sorted(values)
    for start in range(0, len(listed), _CHUNK):
        condition: ColumnElement[bool] = column.in_(listed[start : start + _CHUNK])
        for message in session.scalars(select(Message).where(condition)):
            found[getattr(message, column.key)] = message
    return found


def _persons(session: Session, customer_ids: set[int]) -> dict[int, int]:
    """Give the person that each customer is now, after merging."""
    listed = sorted(customer_ids)
    people: dict[int, int] = {}
    for start in range(0, len(listed), _CHUNK):
        rows = session.execute(
            select(Customer.id, Customer.merged_into).where(
                Customer.id.in_(listed[start : start + _CHUNK])
            )
        )
        people |= {row.id: row.merged_into or row.id for row in rows}
    return people


def _who_has(session: Session, hashed: str) -> tuple[int, ...]:
    customers = session.scalars(
        select(ContactPoint.customer_id)
        .where(ContactPoint.address_hash == hashed)
        .order_by(ContactPoint.is_current.desc(), ContactPoint.seen_at.desc())
    ).all()
    people = _persons(session, set(customers))
    return tuple(dict.fromkeys(people[customer] for customer in customers))


def _last_message(session: Session, customer_ids: tuple[int, ...], hashed: str) -> Message | None:
    """Give the message that an answer from this address is most likely about: the last one."""
    return session.scalars(
        select(Message)
        .where(Message.customer_id.in_(customer_ids), Message.accepted_at.is_not(None))
        .order_by((Message.address_hash == hashed).desc(), Message.accepted_at.desc())
        .limit(1)
    ).first()


def _given(values: Iterable[Any]) -> set[Any]:
    return {value for value in values if value is not None}
