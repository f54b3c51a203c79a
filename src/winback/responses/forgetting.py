"""What comes in about somebody who asked to be forgotten: acted on, and not kept.

A provider tells of a message for days after it left, in words that hold the address. Erasing
empties what there is (``customers.privacy``); what comes after it is emptied here, in the
transaction that applies it (FACTS.md LAW-39). What the person writes anew opens a case as
anybody's letter does, and the case keeps its words until it is erased again: somebody must be
able to answer.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.orm import Session

from winback.database.tables import Customer, Event, Suppression, table_of
from winback.responses.hearing import Heard
from winback.responses.matching import Matched, hash_of
from winback.states import SuppressionReason

_VALUES: Final[BindParameter[Any]] = bindparam("values", expanding=True)
_CUSTOMERS: Final = table_of(Customer)
_ERASED_AT: Final = (
    select(_CUSTOMERS.c.id, _CUSTOMERS.c.erased_at)
    .where(_CUSTOMERS.c.id.in_(_VALUES))
    .order_by(_CUSTOMERS.c.id)
    # Whoever is being erased is waited for, and whoever is not can only be after us; a pull, which
    # changes no key, is in nobody's way.
    .with_for_update(read=True, key_share=True)
)
_SUPPRESSIONS: Final = table_of(Suppression)
_LEFT_HASHES: Final = select(_SUPPRESSIONS.c.address_hash).where(
    _SUPPRESSIONS.c.address_hash.in_(_VALUES),
    _SUPPRESSIONS.c.reason == SuppressionReason.ERASED,
)
_EVENTS: Final = table_of(Event)
_EMPTY: Final = update(_EVENTS).where(_EVENTS.c.id.in_(_VALUES)).values(body={}, error="")


def find_forgotten(
    session: Session, pairs: Iterable[tuple[Heard, Matched]], *, secret: str
) -> set[int]:
    """Give the ids of the events of a batch that are about somebody who was erased.

    Nobody of them is erased meanwhile, until the caller's transaction ends.
    Where nobody is known, the hash that erasing left of the address tells.
    """
    people: dict[int, set[int]] = {}
    hashes: dict[int, str] = {}
    for event, matched in pairs:
        whose = {*matched.customer_ids}
        if matched.message is not None:
            whose.add(matched.message.customer_id)
        if whose:
            people[event.event_id] = whose
        elif (hashed := _hash(event, matched, secret)) is not None:
            hashes[event.event_id] = hashed
    erased = _erased(session, {one for whose in people.values() for one in whose})
    left = _left(session, {*hashes.values()})
    return {id_ for id_, whose in people.items() if whose & erased} | {
        id_ for id_, hashed in hashes.items() if hashed in left
    }


def without_words(event: Heard) -> Heard:
    """Give an event without the provider's own words, which go on to a message and its history."""
    return replace(event, reason="")


def empty_events(session: Session, event_ids: Collection[int]) -> None:
    """Empty what was stored of these events; their keys stay, so that a repeat is known."""
    if event_ids:
        session.connection().execute(_EMPTY, {"values": sorted(event_ids)})


def _hash(event: Heard, matched: Matched, secret: str) -> str | None:
    if matched.address_hash is not None or not event.address:
        return matched.address_hash
    return hash_of(event.address, secret, is_phone=event.is_text_message)


def _erased(session: Session, customer_ids: Collection[int]) -> set[int]:
    if not customer_ids:
        return set()
    rows = session.connection().execute(_ERASED_AT, {"values": sorted(customer_ids)})
    return {row.id for row in rows if row.erased_at is not None}


def _left(session: Session, hashes: Collection[str]) -> set[str]:
    if not hashes:
        return set()
    return {*session.connection().scalars(_LEFT_HASHES, {"values": sorted(hashes)})}
