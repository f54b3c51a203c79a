"""Do not contact: what beats everything (promise P3; FACTS.md LAW-2, LAW-4).

A suppression is keyed by customer, or by the keyed hash of an address, so that it survives
re-import, merge and erasure. Without a channel it stops all marketing on all channels. The
conditions here are asked when planning and again in the transaction that claims a send.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    bindparam,
    exists,
    insert,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from winback.database.bulk import on_conflict
from winback.database.tables import ContactPoint, Customer, Suppression, table_of
from winback.states import Channel, SuppressionReason


def suppress(
    session: Session,
    *,
    key: str,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    customer_id: int | None = None,
    address_hash: str | None = None,
    channel: Channel | None = None,
) -> bool:
    """Suppress a customer with all of their addresses, or one address; True if it is new.

    ``key`` names the fact, so that a repeat is no second row. ``channel`` None is all marketing
    on all channels. Safe to repeat: a repeat also covers addresses that came since.
    """
    if customer_id is None and address_hash is None:
        raise ValueError("a suppression needs a customer or an address")
    fact = {"reason": reason, "source": source, "at": at, "channel": channel}
    rows: list[dict[str, Any]] = []
    if customer_id is not None:
        person = person_of(session, customer_id)
        rows.append(fact | {"key": key, "customer_id": person, "address_hash": None})
        hashes = _hashes_of(session, person, channel)
        hashes = sorted({*hashes, *([address_hash] if address_hash else [])})
    else:
        hashes = [str(address_hash)]
    for index, one in enumerate(hashes):
        its_key = f"{key}:{one[:24]}" if rows or index else key
        rows.append(fact | {"key": its_key, "customer_id": None, "address_hash": one})
    connection = session.connection()
    is_new = connection.scalar(_SUPPRESS_ONE, rows[0]) is not None
    if rows[1:]:
        connection.execute(_SUPPRESS, rows[1:])
    return is_new


@dataclass(frozen=True, slots=True)
class AddressFact:
    """Why one address that nobody is known by must not be written to; ``key`` names the fact."""

    key: str
    address_hash: str
    reason: SuppressionReason
    channel: Channel | None = None


def suppress_addresses(
    session: Session, facts: Sequence[AddressFact], *, source: str, at: datetime
) -> int:
    """Suppress many addresses, whoever they may belong to one day; gives how many are new."""
    if not facts:
        return 0
    rows = [
        {
            "key": fact.key,
            "customer_id": None,
            "address_hash": fact.address_hash,
            "reason": fact.reason,
            "channel": fact.channel,
            "source": source,
            "at": at,
        }
        # In one order, as every writer of many rows: two cannot wait for each other.
        for fact in sorted(facts, key=lambda fact: fact.key)
    ]
    return len(session.connection().scalars(_SUPPRESS_ONE, rows).all())


def is_suppressed(session: Session, customer_id: int, channel: Channel) -> bool:
    """Say whether the person must not be contacted on a channel, by whatever address."""
    person = person_of(session, customer_id)
    found = session.scalar(
        select(Suppression.id)
        .where(Suppression.customer_id == person, _covers(channel, Suppression))
        .limit(1)
    )
    return found is not None


def person_of(session: Session, customer_id: int) -> int:
    """Give the customer that a customer became by merging; itself where it was not merged."""
    found = session.connection().scalar(_MERGED_INTO, {"customer_id": customer_id})
    return customer_id if found is None else found


_MERGED_INTO: Final = select(Customer.merged_into).where(Customer.id == bindparam("customer_id"))


def customer_suppressed_condition(
    customer_id: SQLColumnExpression[int], channel: Channel | SQLColumnExpression[Channel]
) -> ColumnElement[bool]:
    """Give the SQL condition: the person is suppressed on the channel, by any road.

    Merging moves suppressions to the customer that stays, and never leaves one behind.
    """
    one = aliased(Suppression)
    return exists(select(one.id).where(one.customer_id == customer_id, _covers(channel, one)))


def address_suppressed_condition(
    address_hash: SQLColumnExpression[str] | SQLColumnExpression[str | None],
    channel: Channel | SQLColumnExpression[Channel],
) -> ColumnElement[bool]:
    """Give the SQL condition: the address is suppressed on the channel, whoever has it."""
    one = aliased(Suppression)
    return exists(select(one.id).where(one.address_hash == address_hash, _covers(channel, one)))


def suppressed_condition(
    customer_id: SQLColumnExpression[int], channel: Channel | SQLColumnExpression[Channel]
) -> ColumnElement[bool]:
    """Give the SQL condition: the person is suppressed on the channel, or no address is left.

    "No address is left" is: there is a current one on that channel, and each of them is
    suppressed. A person without any address is unreachable, not suppressed.
    """
    point, other = aliased(ContactPoint), aliased(ContactPoint)
    has_address = exists(
        select(point.id).where(
            point.customer_id == customer_id, point.channel == channel, point.is_current
        )
    )
    has_free_address = exists(
        select(other.id).where(
            other.customer_id == customer_id,
            other.channel == channel,
            other.is_current,
            ~address_suppressed_condition(other.address_hash, channel),
        )
    )
    return or_(customer_suppressed_condition(customer_id, channel), has_address & ~has_free_address)


def _hashes_of(session: Session, customer_id: int, channel: Channel | None) -> Sequence[str]:
    of = {"customer_id": customer_id}
    connection = session.connection()
    if channel is None:
        return connection.scalars(_HASHES, of).all()
    return connection.scalars(_HASHES_ON, {**of, "channel": channel}).all()


_HASHES: Final = select(ContactPoint.address_hash).where(
    ContactPoint.customer_id == bindparam("customer_id")
)
_HASHES_ON: Final = _HASHES.where(ContactPoint.channel == bindparam("channel"))
_SUPPRESSIONS: Final = table_of(Suppression)
_SUPPRESS: Final = on_conflict(insert(_SUPPRESSIONS), "key")
_SUPPRESS_ONE: Final = _SUPPRESS.returning(_SUPPRESSIONS.c.id)


def _covers(channel: Channel | SQLColumnExpression[Channel], table: Any) -> ColumnElement[bool]:
    return or_(table.channel.is_(None), table.channel == channel)
