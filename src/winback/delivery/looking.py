"""See in bulk what the gate asks about people: consent, addresses, a no, purchases, what was sent.

A handful of queries for a whole batch, never one per person. The same look serves planning and
the last look in the claiming transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from winback.customers.consent import NEEDS_CONSENT
from winback.customers.suppression import address_suppressed_condition
from winback.database.among import among, aside
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Enrollment,
    Message,
    Purchase,
    Suppression,
)
from winback.delivery.machine import IN_FLIGHT_OR_IN_DOUBT
from winback.states import OPEN_ENROLLMENTS, Channel, ConsentState, PurchaseKind

OTHER: Final = {Channel.EMAIL: Channel.SMS, Channel.SMS: Channel.EMAIL}
"""The written channel that later steps move to after a hard bounce."""

_CAP_SPAN: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Point:
    """The address that would be written to."""

    id: int
    address: str
    address_hash: str


@dataclass(frozen=True, slots=True)
class PersonView:
    """What is known of a customer, for the hours and for the template."""

    id: int
    given_name: str | None
    family_name: str | None
    country: str | None
    region: str | None
    time_zone: str | None
    locale: str | None
    purchases: int


@dataclass(slots=True)
class Sight:
    """What was seen of a batch of customers; keys are ids as asked, merged ones included."""

    persons: dict[int, PersonView] = field(default_factory=dict)
    suppressed: set[tuple[int, Channel | None]] = field(default_factory=set)
    consents: dict[tuple[int, Channel], int] = field(default_factory=dict)
    """Consent ids, the evidence of the legal basis (FACTS.md LAW-1)."""
    withdrawn: set[tuple[int, Channel]] = field(default_factory=set)
    """Consents to calls and letters that were taken back: those need no yes, but mind a no."""
    points: dict[tuple[int, Channel], Point] = field(default_factory=dict)
    barred: set[tuple[int, Channel]] = field(default_factory=set)
    """Addresses there are, but each of them is suppressed."""
    bounced: set[tuple[int, Channel]] = field(default_factory=set)
    """Addresses there are, but none of them can be reached any more."""
    bought_on: dict[int, date] = field(default_factory=dict)
    """Local date of the latest sale up to the instant of the look."""
    holders: dict[tuple[str, Channel, str], list[int]] = field(default_factory=dict)
    """(campaign, channel, address) to the open enrollments that have it, oldest first."""
    sent_to_person: dict[tuple[int, Channel], list[datetime]] = field(default_factory=dict)
    sent_to_address: dict[str, list[datetime]] = field(default_factory=dict)

    def is_suppressed(self, customer_id: int) -> bool:
        """Say whether the person said no to everything."""
        return (self._person(customer_id), None) in self.suppressed

    def is_channel_suppressed(self, customer_id: int, channel: Channel) -> bool:
        """Say whether the person said no to the channel, or none of the addresses may be used."""
        person = self._person(customer_id)
        return (person, channel) in self.suppressed or (
            (person, channel) in self.barred and (person, channel) not in self.points
        )

    def consent(self, customer_id: int, channel: Channel) -> int | None:
        """Give the id of the consent that holds on the channel."""
        return self.consents.get((self._person(customer_id), channel))

    def may_be_reached(self, customer_id: int, channel: Channel) -> bool:
        """Say whether consent allows the channel: a yes for words sent, no withdrawal for people.

        The same as ``customers.consent.consented_condition``.
        """
        key = (self._person(customer_id), channel)
        return key in self.consents if channel in NEEDS_CONSENT else key not in self.withdrawn

    def point(self, customer_id: int, channel: Channel) -> Point | None:
        """Give the address that would be written to on the channel."""
        return self.points.get((self._person(customer_id), channel))

    def has_bounced(self, customer_id: int, channel: Channel) -> bool:
        """Say whether every address of the channel hard-bounced."""
        person = self._person(customer_id)
        return (person, channel) in self.bounced and (person, channel) not in self.points

    def has_purchased_since(self, customer_id: int, lapsed_on: date) -> bool:
        """Say whether there is a sale after the day that the lapse is named by."""
        bought_on = self.bought_on.get(self._person(customer_id))
        return bought_on is not None and bought_on > lapsed_on

    def sent(self, customer_id: int, channel: Channel) -> list[datetime]:
        """Give when messages of the channel left for the person, over all campaigns."""
        return self.sent_to_person.setdefault((self._person(customer_id), channel), [])

    def sent_to(self, point: Point) -> list[datetime]:
        """Give when messages left for the address, whoever has it."""
        return self.sent_to_address.setdefault(point.address_hash, [])

    def _person(self, customer_id: int) -> int:
        return self.persons[customer_id].id


def look(session: Session, customer_ids: Collection[int], *, now: datetime) -> Sight:
    """Look at a batch of customers; what was merged is seen as the customer that it became."""
    sight = Sight()
    if not customer_ids:
        return sight
    # On the connection, here and below: the session's own machinery is for objects.
    connection = session.connection()
    _see_persons(connection, sight, customer_ids)
    people = {person.id for person in sight.persons.values()}
    _see_suppressions(connection, sight, people)
    _see_consents(connection, sight, people)
    _see_points(connection, sight, people)
    rows = connection.execute(_BOUGHT_ON, {"people": people, "now": now})
    sight.bought_on = dict(rows.tuples().all())
    return sight


_BOUGHT_ON: Final = (
    select(Purchase.customer_id, func.max(Purchase.purchased_on))
    .where(
        among(Purchase.customer_id, "people"),
        Purchase.kind == PurchaseKind.SALE,
        Purchase.purchased_at <= bindparam("now"),
    )
    .group_by(Purchase.customer_id)
)


def look_at_traffic(session: Session, sight: Sight, *, now: datetime) -> None:
    """Add what was sent in the last week, and who else has the addresses."""
    connection = session.connection()
    _see_sent(connection, sight, now)
    _see_holders(connection, sight)


def _see_persons(connection: Connection, sight: Sight, customer_ids: Collection[int]) -> None:
    found = _persons(connection, customer_ids)
    missing = {merged_into for _, merged_into in found.values() if merged_into is not None}
    became = _persons(connection, missing - found.keys()) if missing - found.keys() else {}
    for customer_id, (person, merged_into) in found.items():
        stays = person if merged_into is None else (became | found)[merged_into][0]
        sight.persons[customer_id] = stays
        sight.persons[stays.id] = stays


def _persons(
    connection: Connection, customer_ids: Collection[int]
) -> dict[int, tuple[PersonView, int | None]]:
    rows = connection.execute(_PERSONS, {"people": customer_ids})
    return {row[0]: (PersonView(*row[:-1]), row[-1]) for row in rows}


_PERSONS: Final = select(
    Customer.id,
    Customer.given_name,
    Customer.family_name,
    Customer.country,
    Customer.region,
    Customer.time_zone,
    Customer.locale,
    Customer.purchase_count,
    Customer.merged_into,
).where(among(Customer.id, "people"))


def _see_suppressions(connection: Connection, sight: Sight, people: Collection[int]) -> None:
    rows = connection.execute(_SUPPRESSED, {"people": people})
    sight.suppressed = {
        (customer_id, channel) for customer_id, channel in rows if customer_id is not None
    }


_SUPPRESSED: Final = select(Suppression.customer_id, Suppression.channel).where(
    among(Suppression.customer_id, "people")
)


def _see_consents(connection: Connection, sight: Sight, people: Collection[int]) -> None:
    rows = connection.execute(_CONSENTS, {"people": people})
    for customer_id, channel, id_, state in rows:
        if state is ConsentState.GIVEN:
            sight.consents[customer_id, channel] = id_
        else:
            sight.withdrawn.add((customer_id, channel))


_CONSENTS: Final = select(Consent.customer_id, Consent.channel, Consent.id, Consent.state).where(
    among(Consent.customer_id, "people"),
    Consent.superseded_at.is_(None),
    or_(
        # A text needs a written yes (FACTS.md LAW-22); the sandbox writes it as such.
        and_(
            Consent.state == ConsentState.GIVEN,
            or_(Consent.channel != Channel.SMS, Consent.is_written),
        ),
        and_(Consent.state == ConsentState.WITHDRAWN, Consent.channel.not_in(NEEDS_CONSENT)),
    ),
)


def _see_points(connection: Connection, sight: Sight, people: Collection[int]) -> None:
    rows = connection.execute(_POINTS, {"people": people})
    for id_, customer_id, channel, address, address_hash, is_reachable, is_barred in rows:
        for served in _serves(channel):
            key = (customer_id, served)
            if is_barred:
                sight.barred.add(key)
            if not is_reachable:
                sight.bounced.add(key)
            if is_reachable and not is_barred:
                sight.points[key] = Point(id_, address, address_hash)


_POINTS: Final = (
    select(
        ContactPoint.id,
        ContactPoint.customer_id,
        ContactPoint.channel,
        ContactPoint.address,
        ContactPoint.address_hash,
        ContactPoint.is_reachable,
        address_suppressed_condition(ContactPoint.address_hash, ContactPoint.channel).label(
            "is_barred"
        ),
    )
    .where(among(ContactPoint.customer_id, "people"), ContactPoint.is_current)
    # The last one seen is written to: later rows replace earlier ones.
    .order_by(ContactPoint.seen_at, ContactPoint.id)
)


def _serves(channel: Channel) -> tuple[Channel, ...]:
    # Whoever takes texts can be called.
    return (Channel.SMS, Channel.CALL) if channel is Channel.SMS else (channel,)


def _see_sent(connection: Connection, sight: Sight, now: datetime) -> None:
    people = {person.id for person in sight.persons.values()}
    merged = connection.execute(_MERGED, {"people": people})
    stays = dict.fromkeys(people) | dict(merged.tuples().all())
    since = now - _CAP_SPAN
    rows = connection.execute(_SENT_TO_PEOPLE, {"people": list(stays), "since": since})
    for customer_id, channel, _, claimed_at in rows:
        person = stays[customer_id] or customer_id
        sight.sent_to_person.setdefault((person, channel), []).append(claimed_at)
    hashes = {point.address_hash for point in sight.points.values()}
    rows = connection.execute(_SENT_TO_ADDRESSES, {"hashes": hashes, "since": since})
    for _, _, address_hash, claimed_at in rows:
        sight.sent_to_address.setdefault(address_hash, []).append(claimed_at)


_MERGED: Final = select(Customer.id, Customer.merged_into).where(
    among(Customer.merged_into, "people")
)

_SENT: Final = select(
    Message.customer_id, Message.channel, Message.address_hash, Message.claimed_at
).where(
    Message.claimed_at > bindparam("since"),
    or_(aside(Message.state).in_(IN_FLIGHT_OR_IN_DOUBT), Message.accepted_at.is_not(None)),
)
_SENT_TO_PEOPLE: Final = _SENT.where(among(Message.customer_id, "people"))
_SENT_TO_ADDRESSES: Final = _SENT.where(among(Message.address_hash, "hashes"))


def _see_holders(connection: Connection, sight: Sight) -> None:
    hashes = {point.address_hash for point in sight.points.values()}
    for campaign, channel, address, enrollment_id in connection.execute(
        _HOLDERS, {"hashes": hashes}
    ):
        sight.holders.setdefault((campaign, channel, address), []).append(enrollment_id)


_HOLDERS: Final = (
    select(Enrollment.campaign, ContactPoint.channel, ContactPoint.address, Enrollment.id)
    .join(ContactPoint, ContactPoint.customer_id == Enrollment.customer_id)
    .where(
        among(ContactPoint.address_hash, "hashes"),
        ContactPoint.is_current,
        aside(Enrollment.state).in_(OPEN_ENROLLMENTS),
    )
    .order_by(Enrollment.id)
)
