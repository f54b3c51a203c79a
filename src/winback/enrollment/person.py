"""All about one person: who they are, what we did or did not do, and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.customers.suppression import person_of
from winback.database.tables import (
    Case,
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Enrollment,
    Message,
    Purchase,
    Refusal,
    Response,
    SourceCustomer,
    StepPassage,
    Suppression,
    Voucher,
    Waiting,
)
from winback.enrollment.circumstances import last_day
from winback.errors import ConfigError
from winback.lapse.listing import ids_of
from winback.states import PurchaseKind

_CASE: Final = (
    "id",
    "kind",
    "state",
    "opened_at",
    "label",
    "taken_by",
    "closed_at",
    "result",
    "note",
)


_CONSENT: Final = (
    "channel",
    "state",
    "is_written",
    "source",
    "given_at",
    "recorded_at",
    "superseded_at",
)


def find_customer(session: Session, written: str) -> int:
    """Give the customer whom an external id names, or ``SOURCE:ID``.

    Raises ConfigError when nobody or more than one person has it, naming the sources.
    """
    source, colon, external_id = written.partition(":")
    named = SourceCustomer.external_id == written
    if colon:
        # An id may have a colon of its own.
        in_source = (SourceCustomer.source == source) & (SourceCustomer.external_id == external_id)
        named = or_(named, in_source)
    rows = session.execute(
        select(SourceCustomer.source, SourceCustomer.external_id, SourceCustomer.customer_id)
        .where(named)
        .order_by(SourceCustomer.source, SourceCustomer.id)
    ).all()
    people = {person_of(session, row.customer_id) for row in rows}
    if not people:
        raise ConfigError(
            f"no source knows a customer {written}; write the id as the source has it, or SOURCE:ID"
        )
    if len(people) > 1:
        ways = " or ".join(f"{row.source}:{row.external_id}" for row in rows)
        raise ConfigError(f"several people have the id {written}; write {ways}")
    return people.pop()


def about_customer(
    session: Session, customer_id: int, *, now: datetime, zone: ZoneInfo
) -> dict[str, Any]:
    """Give everything about a person, as plain values, each list in order of time."""
    customer = session.get_one(Customer, customer_id)
    ids = [
        customer_id,
        *session.scalars(select(Customer.id).where(Customer.merged_into == customer_id)),
    ]
    return {
        "customer": customer_id,
        "ids": ids_of(session, [customer_id]).get(customer_id, {}),
        "name": " ".join(filter(None, (customer.given_name, customer.family_name))) or None,
        "country": customer.country,
        "locale": customer.locale,
        "time_zone": customer.time_zone,
        "tags": customer.tags,
        "interests": customer.interests,
        "is_erased": customer.erased_at is not None,
        "purchases": _purchases(session, ids, now=now, zone=zone),
        **_permissions(session, ids),
        "enrollments": [
            _enrollment(session, row, zone)
            for row in session.scalars(
                select(Enrollment)
                .where(Enrollment.customer_id.in_(ids))
                .order_by(Enrollment.enrolled_at, Enrollment.id)
            )
        ],
        "refusals": _named(
            session,
            Refusal,
            ("campaign", "lapsed_on", "reason", "look_again_on", "at"),
            ids,
        ),
        "waiting": _waiting(session, ids),
        "responses": _named(
            session, Response, ("at", "kind", "reason", "action", "enrollment_id"), ids
        ),
        "cases": _named(
            session,
            Case,
            _CASE,
            ids,
            at="opened_at",
        ),
        "decisions": _named(
            session, Decision, ("at", "what", "why", "campaign", "enrollment_id"), ids
        ),
    }


def _purchases(
    session: Session, ids: Sequence[int], *, now: datetime, zone: ZoneInfo
) -> dict[str, Any]:
    """Sum up the purchases there are at this instant; refunds come off what was spent."""
    is_sale = Purchase.kind == PurchaseKind.SALE
    exist = (Purchase.customer_id.in_(ids), Purchase.purchased_at <= now)
    count, first_at, last_at, last_on = session.execute(
        select(
            func.count().filter(is_sale),
            func.min(Purchase.purchased_at).filter(is_sale),
            func.max(Purchase.purchased_at).filter(is_sale),
            func.max(Purchase.purchased_on).filter(is_sale),
        ).where(*exist)
    ).one()
    spent = session.execute(
        select(Purchase.currency, func.sum(Purchase.amount))
        .where(*exist)
        .group_by(Purchase.currency)
    )
    return {
        "count": count,
        "spent": dict(spent.tuples().all()),
        "first_purchased_at": first_at,
        "last_purchased_at": last_at,
        "last_purchased_on": last_on,
        "days_since_last_purchase": (local_date(now, zone) - last_on).days if last_on else None,
    }


def _permissions(session: Session, ids: Sequence[int]) -> dict[str, Any]:
    hashes = select(ContactPoint.address_hash).where(ContactPoint.customer_id.in_(ids))
    suppressions = session.scalars(
        select(Suppression)
        .where(or_(Suppression.customer_id.in_(ids), Suppression.address_hash.in_(hashes)))
        .order_by(Suppression.at, Suppression.id)
    )
    return {
        "contact_points": _named(
            session,
            ContactPoint,
            ("channel", "address", "is_current", "is_reachable", "seen_at"),
            ids,
            at="seen_at",
        ),
        "consents": _named(
            session,
            Consent,
            _CONSENT,
            ids,
            at="recorded_at",
        ),
        "suppressions": [
            {
                "at": one.at,
                "reason": one.reason,
                "source": one.source,
                "channel": one.channel,
                "of": "person" if one.customer_id is not None else "address",
            }
            for one in suppressions
        ],
    }


def _waiting(session: Session, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Give where the person waits for a turn, cut by the daily limit."""
    rows = session.scalars(
        select(Waiting).where(Waiting.customer_id.in_(ids)).order_by(Waiting.campaign)
    )
    return [_picked(row, ("campaign", "lapsed_on", "spend")) for row in rows]


def _enrollment(session: Session, row: Enrollment, zone: ZoneInfo) -> dict[str, Any]:
    messages = session.scalars(
        select(Message).where(Message.enrollment_id == row.id).order_by(Message.id)
    )
    passages = session.scalars(
        select(StepPassage).where(StepPassage.enrollment_id == row.id).order_by(StepPassage.id)
    )
    vouchers = session.scalars(
        select(Voucher).where(Voucher.enrollment_id == row.id).order_by(Voucher.id)
    )
    kept = ("value", "lapsed_on", "enrolled_at", "next_step", "due_on", "is_asleep", "reason")
    return {
        "id": row.id,
        "campaign": row.campaign,
        "arm": row.arm,
        "state": row.state,
        **{name: getattr(row, name) for name in kept},
        "measure_until": row.measure_until,
        "ended_at": row.ended_at,
        "messages": [_message(one) for one in messages],
        "steps": [_picked(one, ("step", "how", "why", "at")) for one in passages],
        "vouchers": [
            {
                **_picked(one, ("offer", "code", "state", "issued_at", "redeemed_at")),
                "expires_on": last_day(one.expires_at, zone) if one.expires_at else None,
            }
            for one in vouchers
        ],
    }


def _message(row: Message) -> dict[str, Any]:
    """Give one message; ``at`` is when it came to where it is."""
    told = ("step", "channel", "state", "is_answer", "variant", "reason", "opened_at", "clicked_at")
    at = row.settled_at or row.accepted_at or row.claimed_at or row.queued_at
    return {**_picked(row, told), "at": at}


def _named(
    session: Session, table: Any, names: Sequence[str], ids: Sequence[int], *, at: str = "at"
) -> list[dict[str, Any]]:
    """Give the named columns of a table's rows of a person, in order of time."""
    rows = session.scalars(
        select(table).where(table.customer_id.in_(ids)).order_by(getattr(table, at), table.id)
    )
    return [_picked(row, names) for row in rows]


def _picked(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
