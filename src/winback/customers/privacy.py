"""What a person may ask: what we hold, to be forgotten, to be left alone.

FACTS.md LAW-39 (erasure keeps a keyed hash, so that nobody is contacted again after a
re-import), LAW-41 (the export says what was sent, and why).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    Text,
    cast,
    delete,
    func,
    inspect,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from winback.customers.identity import address_hash
from winback.customers.spelling import spellings, spellings_in_json
from winback.customers.suppression import person_of, suppress
from winback.database.tables import (
    Case,
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Enrollment,
    Event,
    Link,
    Message,
    Move,
    Purchase,
    RejectedRow,
    Response,
    SourceCustomer,
    Suppression,
    Table,
    Voucher,
)
from winback.states import SuppressionReason

_NOT_TOLD = frozenset({"row_hash"})
"""Columns that say nothing about the person."""


def export_customer(session: Session, customer_id: int) -> dict[str, Any]:
    """Give all that is held about a person, as plain values; those merged into them included."""
    person = person_of(session, customer_id)
    ids = _everyone_of(session, person)
    enrollments = session.scalars(
        select(Enrollment).where(Enrollment.customer_id.in_(ids)).order_by(Enrollment.id)
    ).all()
    enrollment_ids = [one.id for one in enrollments]
    messages = session.scalars(
        select(Message).where(Message.customer_id.in_(ids)).order_by(Message.id)
    ).all()
    message_ids = [one.id for one in messages]
    hashes = select(ContactPoint.address_hash).where(ContactPoint.customer_id.in_(ids))
    queries: dict[str, Select[Any]] = {
        "customers": select(Customer).where(Customer.id.in_(ids)),
        "sources": select(SourceCustomer).where(SourceCustomer.customer_id.in_(ids)),
        "contact_points": select(ContactPoint).where(ContactPoint.customer_id.in_(ids)),
        "consents": select(Consent).where(Consent.customer_id.in_(ids)),
        "suppressions": select(Suppression).where(
            or_(Suppression.customer_id.in_(ids), Suppression.address_hash.in_(hashes))
        ),
        "purchases": select(Purchase).where(Purchase.customer_id.in_(ids)),
        "vouchers": select(Voucher).where(Voucher.enrollment_id.in_(enrollment_ids)),
        "events": select(Event).where(Event.message_id.in_(message_ids)),
        "responses": select(Response).where(Response.customer_id.in_(ids)),
        "cases": select(Case).where(Case.customer_id.in_(ids)),
        "decisions": select(Decision).where(Decision.customer_id.in_(ids)),
        "moves": select(Move).where(
            or_(
                (Move.thing == "enrollment") & Move.thing_id.in_(enrollment_ids),
                (Move.thing == "message") & Move.thing_id.in_(message_ids),
            )
        ),
    }
    told = {
        name: [_plain(row) for row in session.scalars(query)] for name, query in queries.items()
    }
    told["enrollments"] = [_plain(row) for row in enrollments]
    told["messages"] = [_plain(row) for row in messages]
    return {"customer": person, **told}


def suppress_customer(session: Session, customer_id: int, *, now: datetime) -> bool:
    """Stop all marketing to a person because an associate says so; True if it is new."""
    person = person_of(session, customer_id)
    return suppress(
        session,
        key=f"associate:{person}",
        reason=SuppressionReason.ASSOCIATE,
        source="associate",
        at=now,
        customer_id=person,
    )


def erase_customer(session: Session, customer_id: int, *, now: datetime, secret: str) -> None:
    """Forget a person: names, addresses, what was written and said; safe to repeat.

    What stays has no name: purchases as numbers, states, and the keyed hashes of the addresses
    as suppressions. Ending open enrollments is the caller's part, before this.
    """
    person = person_of(session, customer_id)
    ids = _everyone_of(session, person)
    # Who applies events about them is waited for, and waits for us (``responses.forgetting``).
    session.execute(
        select(Customer.id).where(Customer.id.in_(ids)).order_by(Customer.id).with_for_update()
    )
    suppress(
        session,
        key=f"erased:{person}",
        reason=SuppressionReason.ERASED,
        source="erasure",
        at=now,
        customer_id=person,
    )
    points = session.scalars(select(ContactPoint).where(ContactPoint.customer_id.in_(ids))).all()
    for point in points:
        suppress(
            session,
            key=f"erased:{person}:{point.id}",
            reason=SuppressionReason.ERASED,
            source="erasure",
            at=now,
            address_hash=address_hash(secret, point.channel, point.address),
        )
        _forget_address(session, ids, point.address)
    _forget_messages(session, ids)
    _forget_rejected(session, ids)
    session.execute(
        update(Message).where(Message.customer_id.in_(ids)).values(contact_point_id=None)
    )
    session.execute(delete(ContactPoint).where(ContactPoint.customer_id.in_(ids)))
    session.execute(
        update(SourceCustomer)
        .where(SourceCustomer.customer_id.in_(ids))
        .values(email=None, phone=None, row_hash="")
    )
    session.execute(
        update(Customer)
        .where(Customer.id.in_(ids))
        .values(
            **dict.fromkeys(
                ("given_name", "family_name", "region", "postal_code", "loyalty_id", "acquired_by")
            ),
            tags=[],
            interests=[],
            erased_at=now,
            changed_at=now,
        )
    )


def _forget_address(session: Session, ids: list[int], address: str) -> None:
    """Empty what names the address, in whatever case and form a provider wrote it."""
    ways = spellings(address)
    # Dead letters and callbacks that were never matched to a message name it too.
    session.execute(
        update(Event)
        .where(_names(cast(Event.body, Text), spellings_in_json(address)))
        .values(body={}, error="")
    )
    # What a provider said when it refused a message is kept on the message and in its history.
    theirs = select(Message.id).where(Message.customer_id.in_(ids))
    session.execute(
        update(Message)
        .where(Message.customer_id.in_(ids), _names(Message.reason, ways))
        .values(reason="")
    )
    session.execute(
        update(Move)
        .where(
            Move.thing == "message",
            Move.thing_id.in_(theirs),
            _names(Move.why, ways),
        )
        .values(why="")
    )


def _names(text: SQLColumnExpression[str], ways: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(func.lower(text).contains(way, autoescape=True) for way in ways))


def _forget_messages(session: Session, ids: list[int]) -> None:
    """Empty what was written to the person, and what came back."""
    theirs = select(Message.id).where(Message.customer_id.in_(ids))
    session.execute(
        update(Event)
        .where(
            or_(
                Event.message_id.in_(theirs),
                Event.id.in_(select(Response.event_id).where(Response.customer_id.in_(ids))),
                Event.id.in_(select(Case.event_id).where(Case.customer_id.in_(ids))),
            )
        )
        .values(body={}, error="")
    )
    session.execute(delete(Link).where(Link.message_id.in_(theirs)))
    session.execute(update(Message).where(Message.customer_id.in_(ids)).values(context=None))
    session.execute(update(Case).where(Case.customer_id.in_(ids)).values(text="", note=""))
    session.execute(update(Consent).where(Consent.customer_id.in_(ids)).values(evidence="erased"))


def _forget_rejected(session: Session, ids: list[int]) -> None:
    known = session.execute(
        select(SourceCustomer.source, SourceCustomer.external_id).where(
            SourceCustomer.customer_id.in_(ids)
        )
    )
    for source, external_id in known:
        session.execute(
            delete(RejectedRow).where(
                RejectedRow.source == source,
                or_(
                    (RejectedRow.part == "customers") & (RejectedRow.external_id == external_id),
                    RejectedRow.waits_for == external_id,
                ),
            )
        )


def _everyone_of(session: Session, person: int) -> list[int]:
    merged = session.scalars(select(Customer.id).where(Customer.merged_into == person))
    return [person, *merged]


def _plain(row: Table) -> dict[str, Any]:
    return {
        column.key: getattr(row, column.key)
        for column in inspect(type(row)).columns
        if column.key not in _NOT_TOLD
    }
