"""Copy what a rehearsal needs of the business's database: whole small tables, and chosen people.

Names, addresses and numbers are among it, since hours, shared addresses and the words of messages
depend on them; the copy lies in the business's own ``var/`` and is deleted with the rehearsal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from winback.business import Business
from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.clock import day_start, local_date
from winback.customers.sums import recompute_sums
from winback.database.copying import copy_rows
from winback.database.tables import (
    Alert,
    CampaignVersion,
    Case,
    ChannelDay,
    ChannelPause,
    Consent,
    ContactPoint,
    Customer,
    Decision,
    Detection,
    Enrollment,
    Event,
    Installation,
    Link,
    Message,
    Move,
    Outcome,
    Pace,
    Pause,
    Purchase,
    Refusal,
    RejectedRow,
    Response,
    SharedContext,
    SourceCustomer,
    SourceWatermark,
    StageRun,
    StepPassage,
    Suppression,
    Table,
    TemplateVersion,
    Voucher,
    Waiting,
    Worker,
    table_of,
)
from winback.delivery.brakes import rated_since
from winback.delivery.leases import dead_workers
from winback.periods import add_months
from winback.rehearsal.people import UNSETTLED, chunks, people_of
from winback.states import (
    Arm,
    EnrollmentState,
    EventKind,
    EventState,
    MessageState,
    VoucherState,
)

_LOOKED_BACK: Final = timedelta(days=8)
"""What caps look back on, and a day more."""

_SPEND_MONTHS: Final = 25
"""What values look back on, and a month more."""

_WHOLE: Final[Sequence[type[Table]]] = (
    Installation,
    CampaignVersion,
    TemplateVersion,
    ChannelPause,
    ChannelDay,
    Pause,
    Detection,
)
_BY_CUSTOMER: Final[Sequence[type[ContactPoint | Refusal | Waiting]]] = (
    ContactPoint,
    Refusal,
    Waiting,
)
LEFT_OUT: Final[Mapping[type[Table], str]] = {
    SourceCustomer: "nothing is pulled; ids are read from the business's own database",
    RejectedRow: "nothing is pulled",
    Move: "a history, read by nobody who decides",
    Decision: "the same; what the rehearsal decides stands alone",
    SharedContext: "nothing that was sent is rendered again",
    Link: "nobody clicks",
    Case: "an associate's; a step that opened one has its passage",
    Outcome: "nothing is measured",
    Worker: "machines that send for real; what they are sending counts as accepted",
    Pace: "whoever sends at this moment is through when the rehearsal begins",
    Alert: "nobody is told",
    StageRun: "a history",
}
"""Tables of which nothing is copied, and why."""

_NOT_COPIED: Final = ("context", "shared_context_id")
"""What a message was rendered from: large, and asked by nobody any more."""


@dataclass(frozen=True, slots=True)
class Copied:
    """Where the copy ends: ids from here on are the rehearsal's own."""

    next_enrollment: int
    next_passage: int


def copy_business(
    source: Connection,
    scratch: Engine,
    business: Business,
    *,
    now: datetime,
    until: date,
    alive_at: datetime,
) -> Copied:
    """Copy all that may matter up to a local day, as the source stands at this instant.

    ``alive_at`` is the machine's time: what living workers are sending counts as accepted.
    """
    with scratch.begin() as target:
        for mapped in _WHOLE:
            copy_rows(source, target, table_of(mapped))
        campaigns = _versions(target, business.campaigns, now)
        _copy_stocks(source, target, business.campaigns)
        _copy_today(source, target, business, now)
        with Session(source) as asking:
            people = people_of(asking, campaigns, now=now, until=until, zone=business.zone)
        for ids in chunks(people):
            _copy_people(source, target, ids, business=business, now=now)
        _forget_the_future(target, business, now)
        _settle_calls(source, target, alive_at)
        next_enrollment = _hold_place(source, target)
        last_passage = target.scalar(select(func.max(StepPassage.id))) or 0
    return Copied(next_enrollment, last_passage + 1)


def _versions(
    target: Connection, campaigns: Sequence[Campaign], now: datetime
) -> Mapping[int, Campaign]:
    """Give the campaigns by the id of their present content, new or known, on the copy."""
    with Session(target) as session:
        return {keep_version(session, campaign, now): campaign for campaign in campaigns}


def _copy_stocks(source: Connection, target: Connection, campaigns: Sequence[Campaign]) -> None:
    """Copy the codes that may be given, and those that count against a limit."""
    limited = [
        and_(Voucher.campaign == campaign.campaign, Voucher.offer == name)
        for campaign in campaigns
        for name, offer in campaign.offers.items()
        if not offer.has_no_limit
    ]
    copy_rows(source, target, table_of(Voucher), or_(Voucher.state == VoucherState.FREE, *limited))
    copy_rows(source, target, table_of(SourceWatermark), SourceWatermark.part == "codes")


def _copy_today(source: Connection, target: Connection, business: Business, now: datetime) -> None:
    """Copy what is counted over everyone: enrollments, claims, bounces, complaints; and events."""
    today = local_date(now, business.zone)
    midnight = day_start(today, business.zone)
    with Session(source) as asking:
        since = min(midnight, rated_since(asking, business.zone) or midnight)
    has_counters = target.scalar(select(func.count()).select_from(ChannelDay))
    # Where no counters were ever kept, they are made from the claims of all days.
    counted = Message.claimed_at >= since if has_counters else Message.claimed_at.is_not(None)
    copy_rows(source, target, table_of(Message), counted, without=_NOT_COPIED)
    of_claims = select(Message.enrollment_id).where(Message.claimed_at >= since)
    copy_rows(
        source,
        target,
        table_of(Enrollment),
        or_(Enrollment.enrolled_on >= today, Enrollment.id.in_(of_claims)),
    )
    written_to = select(Message.contact_point_id).where(Message.claimed_at >= since)
    copy_rows(source, target, table_of(ContactPoint), ContactPoint.id.in_(written_to))
    copy_rows(
        source,
        target,
        table_of(Event),
        or_(
            Event.state == EventState.RECEIVED,
            and_(Event.kind == EventKind.COMPLAINED, Event.received_at >= since),
        ),
    )


def _copy_people(
    source: Connection,
    target: Connection,
    ids: Sequence[int],
    *,
    business: Business,
    now: datetime,
) -> None:
    is_theirs = Enrollment.customer_id.in_(ids)
    enrollments = select(Enrollment.id).where(is_theirs)
    hashes = select(ContactPoint.address_hash).where(ContactPoint.customer_id.in_(ids))
    copy_rows(source, target, table_of(Customer), Customer.id.in_(ids))
    for mapped in _BY_CUSTOMER:
        copy_rows(source, target, table_of(mapped), mapped.customer_id.in_(ids))
    copy_rows(
        source,
        target,
        table_of(Consent),
        Consent.customer_id.in_(ids),
        Consent.superseded_at.is_(None),
    )
    copy_rows(
        source,
        target,
        table_of(Suppression),
        or_(Suppression.customer_id.in_(ids), Suppression.address_hash.in_(hashes)),
    )
    copy_rows(source, target, table_of(Purchase), *_purchases(ids, business=business, now=now))
    copy_rows(source, target, table_of(Enrollment), is_theirs)
    copy_rows(source, target, table_of(StepPassage), StepPassage.enrollment_id.in_(enrollments))
    copy_rows(source, target, table_of(Voucher), Voucher.enrollment_id.in_(enrollments))
    copy_rows(source, target, table_of(Response), Response.enrollment_id.in_(enrollments))
    _copy_messages(source, target, ids, enrollments=enrollments, hashes=hashes, now=now)


def _purchases(
    ids: Sequence[int], *, business: Business, now: datetime
) -> Sequence[ColumnElement[bool]]:
    """Give which purchases are asked for: recent ones and the last; none of what is to come."""
    begins = day_start(add_months(local_date(now, business.zone), -_SPEND_MONTHS), business.zone)
    whose = (
        select(Customer.id)
        .where(
            Customer.id == Purchase.customer_id,
            or_(
                Customer.last_purchased_on <= Purchase.purchased_on,
                # Their sums are counted anew, which takes all of them.
                Customer.last_purchased_at > now,
            ),
        )
        .exists()
    )
    return (
        Purchase.customer_id.in_(ids),
        Purchase.purchased_at <= now,
        or_(Purchase.purchased_at >= begins, whose),
    )


def _copy_messages(
    source: Connection,
    target: Connection,
    ids: Sequence[int],
    *,
    enrollments: Select[tuple[int]],
    hashes: Select[tuple[str]],
    now: datetime,
) -> None:
    """Copy messages that are under way, that keep a step from going twice, or count for caps."""
    lately = Message.claimed_at > now - _LOOKED_BACK
    for wanted in (
        and_(Message.customer_id.in_(ids), or_(Message.state.in_(UNSETTLED), lately)),
        Message.enrollment_id.in_(enrollments),
        and_(Message.address_hash.in_(hashes), lately),
    ):
        copy_rows(source, target, table_of(Message), wanted, without=_NOT_COPIED)


def _forget_the_future(target: Connection, business: Business, now: datetime) -> None:
    """Count sums anew where they hold purchases that come after the instant of the rehearsal."""
    with Session(target) as session:
        later = session.scalars(select(Customer.id).where(Customer.last_purchased_at > now)).all()
        for ids in chunks(later):
            whose = select(Customer.id).where(Customer.id.in_(ids))
            recompute_sums(session, whose, currency=business.settings.business.currency)
        session.flush()


def _settle_calls(source: Connection, target: Connection, alive_at: datetime) -> None:
    """Take what living workers are calling at this moment as accepted; it will be in a second."""
    with Session(source) as session:
        dead = dead_workers(session, alive_at)
        alive = session.scalars(
            select(Worker.id).where(Worker.ended_at.is_(None), Worker.id.not_in(dead))
        ).all()
    target.execute(
        update(Message)
        .where(Message.state == MessageState.SENDING, Message.worker_id.in_(alive))
        .values(state=MessageState.ACCEPTED, accepted_at=Message.claimed_at)
    )


def _hold_place(source: Connection, target: Connection) -> int:
    """Let ids of enrollments count on where the real ones stand: variants are drawn by them.

    Gives the first id of a new enrollment. A row of nobody holds the place.
    """
    if source.dialect.name == "postgresql":
        found = source.execute(text("SELECT last_value, is_called FROM enrollments_id_seq")).one()
        last = found.last_value if found.is_called else found.last_value - 1
    else:
        last = source.scalar(select(func.max(Enrollment.id))) or 0
    is_there = target.scalar(select(Enrollment.id).where(Enrollment.id == last))
    if last and not is_there:
        long_ago = date(1970, 1, 1)
        nobody = {
            "id": last,
            "campaign": "",
            "campaign_version_id": 0,
            "customer_id": 0,
            "lapsed_on": long_ago,
            "arm": Arm.HOLDOUT,
            "state": EnrollmentState.CANCELED,
            "value": "",
            "enrolled_on": long_ago,
        }
        at = target.scalars(select(Installation.made_at)).one()
        target.execute(insert(Enrollment).values(nobody | {"enrolled_at": at, "measure_until": at}))
    return int(last) + 1
