"""Every table, and the constraints that carry the promises.

One word per idea (DESIGN.md, section 2). Personal data stands only in ``customers``,
``contact_points``, ``messages``, ``events``, ``cases``, ``purchases`` and ``rejected_rows``.
Partial unique indexes do what Python checks cannot do under two writers at once.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy
from sqlalchemy import JSON, ForeignKey, Index, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from winback.database.types import Amount, RowId, Utc, Word
from winback.states import (
    Arm,
    CaseKind,
    CaseState,
    Channel,
    ConsentState,
    EnrollmentState,
    EventKind,
    EventState,
    MessageState,
    Mode,
    PurchaseKind,
    SuppressionReason,
    VoucherState,
)

Json = JSON().with_variant(JSONB(), "postgresql")


class Table(DeclarativeBase):
    """Base of all tables; names of constraints are fixed, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def table_of(mapped: type[Table]) -> sqlalchemy.Table:
    """Give the table itself: for plain statements, which need no machinery of objects."""
    return mapped.metadata.tables[mapped.__tablename__]


def _row_id() -> Mapped[int]:
    return mapped_column(RowId, primary_key=True, autoincrement=True)


def _only_where(condition: str) -> dict[str, Any]:
    """Give an index entries only where a condition holds; literals, or SQLite would not use it."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _to(column: str, **options: Any) -> Mapped[Any]:
    return mapped_column(RowId, ForeignKey(column), **options)


class Installation(Table):
    """The one row that says what this database is: its mode, its salt, its latest as-of."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mode: Mapped[Mode] = mapped_column(Word(Mode))
    salt: Mapped[str] = mapped_column(String(64))
    """Salt of the draw of arms and variants; made once, never changed."""
    made_at: Mapped[datetime] = mapped_column(Utc)
    latest_as_of: Mapped[datetime | None] = mapped_column(Utc)
    """The latest ``--as-of`` that a writing command used; time does not run backwards."""
    value_threshold: Mapped[Decimal | None] = mapped_column(Amount)
    """24-month spend from which on a customer's value is high; None where nobody bought."""
    value_set_on: Mapped[date | None]
    followed_until: Mapped[datetime | None] = mapped_column(Utc)
    """Customers changed before this instant were looked through for purchases that convert."""
    redeemed_until: Mapped[datetime | None] = mapped_column(Utc)
    """Purchases first seen before this instant were looked through for voucher codes."""
    measured: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """How far the last measuring saw: the last ids of history rows, and its instant."""


class Customer(Table):
    """A person known to the business; sums are kept up to date by the pull."""

    __tablename__ = "customers"
    __table_args__ = (
        # The instant stands in it too, so that who bought after an as-of instant is told apart
        # from who bought earlier that day without reading their rows.
        Index("ix_customers_last_purchased", "last_purchased_on", "last_purchased_at"),
        # Partial, so that SQLite never takes it for "not merged", which is nearly everyone.
        Index(
            "ix_customers_merged_into",
            "merged_into",
            **_only_where("merged_into IS NOT NULL"),
        ),
        Index("ix_customers_changed_at", "changed_at"),
    )

    id: Mapped[int] = _row_id()
    given_name: Mapped[str | None] = mapped_column(Text)
    family_name: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(String(2))
    region: Mapped[str | None] = mapped_column(Text)
    postal_code: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(35))
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    interests: Mapped[list[str]] = mapped_column(Json, default=list)
    loyalty_id: Mapped[str | None] = mapped_column(Text)
    acquired_by: Mapped[str | None] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(Utc)
    changed_at: Mapped[datetime] = mapped_column(Utc)
    """When a field, a contact point, a consent or a purchase of the customer last changed."""
    merged_into: Mapped[int | None] = _to("customers.id")
    erased_at: Mapped[datetime | None] = mapped_column(Utc)
    purchase_count: Mapped[int] = mapped_column(default=0)
    """Sales, zero-value ones included, refunds not."""
    spent: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """Sales less refunds, in the business's currency."""
    first_purchased_at: Mapped[datetime | None] = mapped_column(Utc)
    last_purchased_at: Mapped[datetime | None] = mapped_column(Utc)
    last_purchased_on: Mapped[date | None]
    """Date of the last sale in the business's time zone."""


class SourceCustomer(Table):
    """One customer as one source knows it."""

    __tablename__ = "source_customers"
    __table_args__ = (UniqueConstraint("source", "external_id"),)

    id: Mapped[int] = _row_id()
    source: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[int] = _to("customers.id", index=True)
    row_hash: Mapped[str] = mapped_column(String(64))
    """Of the row as mapped, so that an unchanged row costs nothing."""
    email: Mapped[str | None] = mapped_column(Text, index=True)
    """Normalized; what sources are joined on. None where absent or refused."""
    phone: Mapped[str | None] = mapped_column(Text)
    """E.164; None where absent or refused."""
    pulled_at: Mapped[datetime] = mapped_column(Utc)


class ContactPoint(Table):
    """One e-mail address or phone number of a customer, normalized (E.164 for phones)."""

    __tablename__ = "contact_points"
    __table_args__ = (
        UniqueConstraint("customer_id", "channel", "address"),
        Index("ix_contact_points_address", "channel", "address"),
        Index("ix_contact_points_address_hash", "address_hash"),
    )

    id: Mapped[int] = _row_id()
    customer_id: Mapped[int] = _to("customers.id")
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    address: Mapped[str] = mapped_column(Text)
    address_hash: Mapped[str] = mapped_column(String(64))
    """Keyed hash of the address; what suppressions are compared with, set-based."""
    is_current: Mapped[bool] = mapped_column(default=True)
    """Whether a source still names it; the newest current one is written to."""
    is_reachable: Mapped[bool] = mapped_column(default=True)
    """False after a hard bounce or when the provider says it does not exist."""
    seen_at: Mapped[datetime] = mapped_column(Utc)


class Consent(Table):
    """Permission on one channel, with its evidence; appended, the newest row holds."""

    __tablename__ = "consents"
    __table_args__ = (
        Index(
            "uq_consents_current",
            "customer_id",
            "channel",
            unique=True,
            **_only_where("superseded_at IS NULL"),
        ),
        Index("ix_consents_customer_id_channel", "customer_id", "channel"),
    )

    id: Mapped[int] = _row_id()
    customer_id: Mapped[int] = _to("customers.id")
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    state: Mapped[ConsentState] = mapped_column(Word(ConsentState))
    is_written: Mapped[bool] = mapped_column(default=False)
    """Express written consent (FACTS.md LAW-22)."""
    source: Mapped[str] = mapped_column(Text)
    """Who says so: a source's name, or the road of a response."""
    evidence: Mapped[str] = mapped_column(Text, default="")
    """The row or event, and the consent's own source where given."""
    given_at: Mapped[datetime | None] = mapped_column(Utc)
    recorded_at: Mapped[datetime] = mapped_column(Utc)
    superseded_at: Mapped[datetime | None] = mapped_column(Utc)


class Suppression(Table):
    """Do not contact; beats everything, never deleted.

    Keyed by customer and by a keyed hash of the address, so that it survives re-import, merge
    and erasure (FACTS.md LAW-4, LAW-39). ``channel`` None means all marketing on all channels.
    """

    __tablename__ = "suppressions"
    __table_args__ = (
        Index("ix_suppressions_address_hash", "address_hash"),
        Index("ix_suppressions_customer_id", "customer_id"),
    )

    id: Mapped[int] = _row_id()
    customer_id: Mapped[int | None] = _to("customers.id")
    address_hash: Mapped[str | None] = mapped_column(String(64))
    channel: Mapped[Channel | None] = mapped_column(Word(Channel))
    reason: Mapped[SuppressionReason] = mapped_column(Word(SuppressionReason))
    source: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text, unique=True)
    """What makes it one fact: a repeat is no second row."""
    at: Mapped[datetime] = mapped_column(Utc)


class Purchase(Table):
    """A completed order or a refund; amounts are never changed, refunds are rows of their own."""

    __tablename__ = "purchases"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_purchases_customer_id_purchased_at", "customer_id", "purchased_at"),
        Index("ix_purchases_first_seen_at", "first_seen_at"),
        Index(
            "ix_purchases_voucher_code",
            "voucher_code",
            **_only_where("voucher_code IS NOT NULL"),
        ),
    )

    id: Mapped[int] = _row_id()
    source: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[int] = _to("customers.id")
    purchased_at: Mapped[datetime] = mapped_column(Utc)
    """For a date-only purchase, local midnight."""
    purchased_on: Mapped[date]
    """Date in the business's time zone."""
    is_date_only: Mapped[bool] = mapped_column(default=False)
    amount: Mapped[Decimal] = mapped_column(Amount)
    """In ``currency``; negative for a refund."""
    currency: Mapped[str] = mapped_column(String(3))
    kind: Mapped[PurchaseKind] = mapped_column(Word(PurchaseKind))
    refund_of: Mapped[str | None] = mapped_column(Text)
    voucher_code: Mapped[str | None] = mapped_column(Text)
    store: Mapped[str | None] = mapped_column(Text)
    product: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(Utc)


class SourceWatermark(Table):
    """How far one part (customers or purchases) of one source, or one file of it, was read."""

    __tablename__ = "source_watermarks"
    __table_args__ = (UniqueConstraint("source", "part", "path"),)

    id: Mapped[int] = _row_id()
    source: Mapped[str] = mapped_column(String(64))
    part: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text, default="")
    """Relative to the home folder; empty for a query."""
    size: Mapped[int] = mapped_column(RowId, default=0)
    """Bytes read so far."""
    line: Mapped[int] = mapped_column(RowId, default=0)
    """Lines read so far, so that a grown file's bad rows keep their numbers."""
    fingerprint: Mapped[str] = mapped_column(Text, default="")
    """Of the bytes read and of the mapping; another one means: read all again."""
    pulled_at: Mapped[datetime] = mapped_column(Utc)
    """Start of the last good pull."""


class RejectedRow(Table):
    """A row that could not be taken, with the reason; kept until it is taken or ages out."""

    __tablename__ = "rejected_rows"
    __table_args__ = (
        UniqueConstraint("source", "part", "place", "row_hash"),
        Index("ix_rejected_rows_source_external_id", "source", "external_id"),
    )

    id: Mapped[int] = _row_id()
    source: Mapped[str] = mapped_column(String(64))
    part: Mapped[str] = mapped_column(String(16))
    place: Mapped[str] = mapped_column(Text)
    """File and line, or query and row key."""
    row_hash: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(Text)
    """The row's own id where it has one: when that id is taken, this row is removed."""
    waits_for: Mapped[str | None] = mapped_column(Text)
    """A purchase's customer that is not known yet; it is taken when that customer appears."""
    reason: Mapped[str] = mapped_column(Text)
    row: Mapped[dict[str, Any]] = mapped_column(Json)
    rejected_at: Mapped[datetime] = mapped_column(Utc)


class CampaignVersion(Table):
    """One content of a campaign file; running enrollments keep theirs."""

    __tablename__ = "campaign_versions"
    __table_args__ = (UniqueConstraint("campaign", "content_hash"),)

    id: Mapped[int] = _row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    first_used_at: Mapped[datetime] = mapped_column(Utc)


class Enrollment(Table):
    """One customer's passage through one campaign, begun by one lapse."""

    __tablename__ = "enrollments"
    __table_args__ = (
        UniqueConstraint("campaign", "customer_id", "lapsed_on"),
        Index(
            "uq_enrollments_open_slot",
            "customer_id",
            unique=True,
            **_only_where("state IN ('active', 'handed_over', 'held_out')"),
        ),
        Index("ix_enrollments_state_due_on", "state", "due_on"),
        Index("ix_enrollments_customer_id", "customer_id"),
        Index("ix_enrollments_campaign_enrolled_at", "campaign", "enrolled_at"),
        Index("ix_enrollments_measure_until", "measure_until"),
    )

    id: Mapped[int] = _row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    campaign_version_id: Mapped[int] = _to("campaign_versions.id")
    customer_id: Mapped[int] = _to("customers.id")
    lapsed_on: Mapped[date]
    """Local date of the last purchase: what the lapse is named by."""
    arm: Mapped[Arm] = mapped_column(Word(Arm))
    state: Mapped[EnrollmentState] = mapped_column(Word(EnrollmentState))
    value: Mapped[str] = mapped_column(String(16))
    """``high`` or ``normal``; kept for the enrollment's life."""
    enrolled_at: Mapped[datetime] = mapped_column(Utc)
    enrolled_on: Mapped[date]
    measure_until: Mapped[datetime] = mapped_column(Utc)
    """End of the measured window, exclusive; the same for both arms."""
    next_step: Mapped[str | None] = mapped_column(String(64))
    """The step to come next on the timeline; None after the last."""
    due_on: Mapped[date | None]
    """Local date on which the plan looks at it next: a step, a waking, the end of the rest."""
    is_asleep: Mapped[bool] = mapped_column(default=False)
    sleeps: Mapped[int] = mapped_column(default=0)
    is_gentle: Mapped[bool] = mapped_column(default=False)
    """After a hard time: steps with an offer are passed until one without was accepted."""
    reason: Mapped[str | None] = mapped_column(String(32))
    """The last reason the customer gave."""
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    is_left_out: Mapped[bool] = mapped_column(default=False)
    """Canceled because late data showed an earlier purchase: leaves the analysis in both arms."""


class StepPassage(Table):
    """How one enrollment got past one step of its timeline; one row a step, for good."""

    __tablename__ = "step_passages"
    __table_args__ = (UniqueConstraint("enrollment_id", "step"),)

    id: Mapped[int] = _row_id()
    enrollment_id: Mapped[int] = _to("enrollments.id")
    step: Mapped[str] = mapped_column(String(64))
    how: Mapped[str] = mapped_column(String(32))
    """accepted, case_opened, passed, skipped, failed, stale or unconfirmed."""
    why: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(Utc)


class Move(Table):
    """The history: one row for each change of state of an enrollment, message, voucher or case."""

    __tablename__ = "moves"
    __table_args__ = (Index("ix_moves_thing_thing_id", "thing", "thing_id"),)

    id: Mapped[int] = _row_id()
    thing: Mapped[str] = mapped_column(String(16))
    thing_id: Mapped[int] = mapped_column(RowId)
    from_state: Mapped[str | None] = mapped_column(String(32))
    to_state: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(64))
    why: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(Utc)


class Decision(Table):
    """For this customer we did, or did not do, this, for this reason, at this time."""

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_customer_id_at", "customer_id", "at"),)

    id: Mapped[int] = _row_id()
    customer_id: Mapped[int] = _to("customers.id")
    campaign: Mapped[str | None] = mapped_column(String(64))
    enrollment_id: Mapped[int | None] = _to("enrollments.id")
    what: Mapped[str] = mapped_column(String(64))
    """enrolled, held_out, refused, queued, postponed, passed, skipped, stopped, ..."""
    why: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Utc)


class Refusal(Table):
    """The standing refusal of one lapse by one campaign, and when to look again."""

    __tablename__ = "refusals"
    __table_args__ = (
        UniqueConstraint("campaign", "customer_id"),
        Index("ix_refusals_customer_id", "customer_id"),
        Index("ix_refusals_campaign_look_again_on", "campaign", "look_again_on"),
    )

    id: Mapped[int] = _row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    customer_id: Mapped[int] = _to("customers.id")
    lapsed_on: Mapped[date]
    campaign_version_id: Mapped[int] = _to("campaign_versions.id")
    reason: Mapped[str] = mapped_column(String(32))
    look_again_on: Mapped[date | None]
    """A local date; None: only when the customer, a consent or the campaign changes."""
    customer_changed_at: Mapped[datetime] = mapped_column(Utc)
    """``changed_at`` of the customer when refused; another one means: look again."""
    at: Mapped[datetime] = mapped_column(Utc)


class Waiting(Table):
    """A lapse that may enter and was cut by the daily limit: it competes again, ranked by value.

    No refusal: who waits is judged anew when their turn comes, or when something about them
    changed before.
    """

    __tablename__ = "waiting"
    __table_args__ = (
        # Read backwards: most spent first, then the newest lapse.
        Index("ix_waiting_turn", "campaign", "spend", "lapsed_on"),
        Index("ix_waiting_campaign_ranks_until", "campaign", "ranks_until"),
        Index("ix_waiting_customer_id", "customer_id"),
    )

    campaign: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int] = _to("customers.id", primary_key=True, autoincrement=False)
    lapsed_on: Mapped[date]
    campaign_version_id: Mapped[int] = _to("campaign_versions.id")
    spend: Mapped[Decimal] = mapped_column(Amount)
    """24-month spend, which the turn goes by; zero where nothing was bought in it."""
    ranks_until: Mapped[date | None]
    """Local date on which the spend may be another by the passing of days alone; None: never."""
    customer_changed_at: Mapped[datetime] = mapped_column(Utc)
    """``changed_at`` of the customer when judged; another one means: look again."""


class Detection(Table):
    """How far detect has looked for one campaign: what came before needs no second look."""

    __tablename__ = "detections"

    campaign: Mapped[str] = mapped_column(String(64), primary_key=True)
    campaign_version_id: Mapped[int] = _to("campaign_versions.id")
    """Another one means: look at everyone again."""
    lapsed_until: Mapped[date]
    """Last purchases up to this local date were looked at."""
    changed_until: Mapped[datetime] = mapped_column(Utc)
    """Customers changed before this instant were looked at."""


class TemplateVersion(Table):
    """One compiled content of a template; messages name the one that they were rendered from."""

    __tablename__ = "template_versions"
    __table_args__ = (
        UniqueConstraint("campaign", "template", "channel", "locale", "variant", "content_hash"),
    )

    id: Mapped[int] = _row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(String(64))
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    locale: Mapped[str] = mapped_column(String(35), default="")
    variant: Mapped[str] = mapped_column(String(8), default="a")
    language: Mapped[str] = mapped_column(String(35), default="en")
    """The language of its words: dates and money are written in it."""
    content_hash: Mapped[str] = mapped_column(String(64))
    """Of the file, its text twin and the layout."""
    subject: Mapped[str] = mapped_column(Text, default="")
    preheader: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str] = mapped_column(Text, default="")
    """Compiled, with the Jinja tags back in place."""
    text: Mapped[str] = mapped_column(Text, default="")
    published_at: Mapped[datetime] = mapped_column(Utc)


class SharedContext(Table):
    """What all messages of a run are told alike, business and facts: once for each content."""

    __tablename__ = "shared_contexts"

    id: Mapped[int] = _row_id()
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    kept_at: Mapped[datetime] = mapped_column(Utc)


class Message(Table):
    """One row of the outbox: one thing sent, or to be sent, for one step or answer.

    The partial unique index is promise P1: over all channels, at most one row per (enrollment,
    step) that is on its way, in doubt, or was ever accepted.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "uq_messages_one_per_step",
            "enrollment_id",
            "step",
            unique=True,
            **_only_where(
                # Not IN: for a list of three SQLite builds a table at each change of a row.
                "state = 'queued' OR state = 'sending' OR state = 'unconfirmed'"
                " OR accepted_at IS NOT NULL"
            ),
        ),
        # For all messages of an enrollment: SQLite does not see that the one above would do.
        Index("ix_messages_enrollment_id", "enrollment_id"),
        Index("ix_messages_state_due_at", "state", "due_at"),
        Index("ix_messages_customer_id_claimed_at", "customer_id", "claimed_at"),
        # What is empty until the claim, or the answer, has no entry before: nobody asks for it.
        # Asked when addresses of one person become one, and where a row of theirs is deleted.
        Index(
            "ix_messages_contact_point_id",
            "contact_point_id",
            **_only_where("contact_point_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_channel_claimed_at",
            "channel",
            "claimed_at",
            **_only_where("claimed_at IS NOT NULL"),
        ),
        Index(
            "ix_messages_provider_message_id",
            "provider_message_id",
            **_only_where("provider_message_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_address_hash",
            "address_hash",
            **_only_where("address_hash IS NOT NULL"),
        ),
    )

    id: Mapped[int] = _row_id()
    enrollment_id: Mapped[int] = _to("enrollments.id")
    customer_id: Mapped[int] = _to("customers.id")
    step: Mapped[str] = mapped_column(String(64))
    is_answer: Mapped[bool] = mapped_column(default=False)
    channel: Mapped[Channel] = mapped_column(Word(Channel))
    contact_point_id: Mapped[int | None] = _to("contact_points.id")
    address_hash: Mapped[str | None] = mapped_column(String(64))
    """Keyed hash of the address written to; set at the claim, survives erasure."""
    template_version_id: Mapped[int | None] = _to("template_versions.id")
    variant: Mapped[str] = mapped_column(String(8), default="a")
    voucher_id: Mapped[int | None] = _to("vouchers.id")
    context: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """What the template was given for this message alone, in its short form; together with
    ``shared_context_id`` all of it, so that the message can be reproduced exactly."""
    shared_context_id: Mapped[int | None] = mapped_column(RowId)
    """The rest; None where ``context`` holds all, as earlier versions kept it."""
    state: Mapped[MessageState] = mapped_column(Word(MessageState))
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why it was skipped, canceled, failed, postponed or is in doubt."""
    priority: Mapped[int] = mapped_column(default=1, server_default="1")
    """The campaign's when it was queued: the lowest goes first when a cap or a limit is near."""
    queued_at: Mapped[datetime] = mapped_column(Utc)
    due_at: Mapped[datetime] = mapped_column(Utc)
    """Not before this instant; moved on by a postponement."""
    drop_at: Mapped[datetime] = mapped_column(Utc)
    """From this instant on it is stale (``fresh_for``)."""
    send_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    """Ours, committed before the call, travels with the message."""
    claimed_at: Mapped[datetime | None] = mapped_column(Utc)
    worker_id: Mapped[int | None] = mapped_column(RowId)
    """The worker whose lease the claim stands under (FACTS.md DS-10); old workers are deleted."""
    looks: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often its provider was asked: about a doubt (FACTS.md DS-6), or for lost news (TW-33)."""
    look_at: Mapped[datetime | None] = mapped_column(Utc)
    """When to ask next; None: nothing is unknown, or it was asked for the last time."""
    provider: Mapped[str | None] = mapped_column(String(32))
    provider_message_id: Mapped[str | None] = mapped_column(String(128))
    provider_code: Mapped[str | None] = mapped_column(String(32))
    accepted_at: Mapped[datetime | None] = mapped_column(Utc)
    settled_at: Mapped[datetime | None] = mapped_column(Utc)
    """When delivered, bounced, failed, skipped or canceled."""
    segments: Mapped[int | None]
    cost: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """In the business's currency; counted once accepted."""
    opened_at: Mapped[datetime | None] = mapped_column(Utc)
    clicked_at: Mapped[datetime | None] = mapped_column(Utc)
    """First human click (FACTS.md SEC-11)."""


class Link(Table):
    """The target of one link of one message: redirects take an id, never a URL (SEC-13)."""

    __tablename__ = "links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    message_id: Mapped[int] = _to("messages.id", index=True)
    url: Mapped[str] = mapped_column(Text)


class Voucher(Table):
    """One code of an offer, bound to one enrollment once reserved."""

    __tablename__ = "vouchers"
    __table_args__ = (
        Index(
            "uq_vouchers_one_per_enrollment",
            "enrollment_id",
            "offer",
            unique=True,
            **_only_where("enrollment_id IS NOT NULL"),
        ),
        Index("ix_vouchers_campaign_offer_state", "campaign", "offer", "state"),
        Index(
            "ix_vouchers_reserved",
            "enrollment_id",
            **_only_where("state = 'reserved'"),
        ),
        Index(
            "ix_vouchers_redeemed_at",
            "redeemed_at",
            **_only_where("redeemed_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = _row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    offer: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(64))
    """As it is printed."""
    code_key: Mapped[str] = mapped_column(String(64), unique=True)
    """As it is compared: capitals without dashes and look-alike letters."""
    terms: Mapped[str] = mapped_column(Text, default="")
    """What it gives, as the shop was told; empty for the shop's own codes, which fit any."""
    state: Mapped[VoucherState] = mapped_column(Word(VoucherState))
    made_at: Mapped[datetime] = mapped_column(Utc)
    is_imported: Mapped[bool] = mapped_column(default=False)
    exported_at: Mapped[datetime | None] = mapped_column(Utc)
    enrollment_id: Mapped[int | None] = _to("enrollments.id")
    reserved_at: Mapped[datetime | None] = mapped_column(Utc)
    issued_at: Mapped[datetime | None] = mapped_column(Utc)
    issued_by: Mapped[int | None] = mapped_column(RowId)
    """The message whose claim issued it."""
    expires_at: Mapped[datetime | None] = mapped_column(Utc)
    """End of the business's local day, exclusive; fixed at issue."""
    redeemed_at: Mapped[datetime | None] = mapped_column(Utc)
    purchase_id: Mapped[int | None] = _to("purchases.id")


class Event(Table):
    """One fact reported by a provider or a person, kept raw under a unique key."""

    __tablename__ = "events"
    __table_args__ = (
        Index(
            "ix_events_waiting",
            "id",
            **_only_where("state = 'received'"),
        ),
        Index("ix_events_message_id", "message_id"),
        Index(
            "ix_events_complaints",
            "received_at",
            **_only_where("kind = 'complained'"),
        ),
    )

    id: Mapped[int] = _row_id()
    key: Mapped[str] = mapped_column(String(128), unique=True)
    origin: Mapped[str] = mapped_column(String(32))
    """sendgrid.events, .inbound, .lists, twilio.status, .inbound, page, click, desk."""
    kind: Mapped[EventKind | None] = mapped_column(Word(EventKind))
    """None until read."""
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    """The single raw record."""
    occurred_at: Mapped[datetime | None] = mapped_column(Utc)
    received_at: Mapped[datetime] = mapped_column(Utc)
    state: Mapped[EventState] = mapped_column(Word(EventState))
    message_id: Mapped[int | None] = _to("messages.id")
    error: Mapped[str] = mapped_column(Text, default="")
    applied_at: Mapped[datetime | None] = mapped_column(Utc)


class Response(Table):
    """What an event means for a customer's enrollment, and what was done about it."""

    __tablename__ = "responses"
    __table_args__ = (
        Index("ix_responses_enrollment_id", "enrollment_id"),
        Index("ix_responses_customer_id", "customer_id"),
    )

    id: Mapped[int] = _row_id()
    key: Mapped[str] = mapped_column(String(160), unique=True)
    """What makes it one response: a repeat changes nothing."""
    customer_id: Mapped[int] = _to("customers.id")
    enrollment_id: Mapped[int | None] = _to("enrollments.id")
    message_id: Mapped[int | None] = _to("messages.id")
    event_id: Mapped[int | None] = _to("events.id")
    kind: Mapped[str] = mapped_column(String(32))
    """purchase, redemption, no, hard_bounce, reply, reason, click, open."""
    reason: Mapped[str | None] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Utc)


class Case(Table):
    """Something that waits for an associate, and the result noted on it."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("ix_cases_state_opened_at", "state", "opened_at"),
        Index("ix_cases_customer_id", "customer_id"),
    )

    id: Mapped[int] = _row_id()
    key: Mapped[str] = mapped_column(String(160))
    """What opened it: a repeat opens no second one."""
    kind: Mapped[CaseKind] = mapped_column(Word(CaseKind))
    state: Mapped[CaseState] = mapped_column(Word(CaseState))
    customer_id: Mapped[int] = _to("customers.id")
    enrollment_id: Mapped[int | None] = _to("enrollments.id")
    event_id: Mapped[int | None] = _to("events.id")
    step: Mapped[str | None] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(64), default="")
    """The understood meaning of a reply."""
    text: Mapped[str] = mapped_column(Text, default="")
    """What the customer wrote, or the script or letter to use."""
    opened_at: Mapped[datetime] = mapped_column(Utc)
    taken_by: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(Utc)
    result: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text, default="")


class Outcome(Table):
    """How an enrollment ended, in money, in either arm; recomputed from facts."""

    __tablename__ = "outcomes"

    enrollment_id: Mapped[int] = _to("enrollments.id", primary_key=True)
    is_converted: Mapped[bool] = mapped_column(default=False)
    """A sale inside the measured window, in either arm."""
    converted_at: Mapped[datetime | None] = mapped_column(Utc)
    purchases: Mapped[int] = mapped_column(default=0)
    revenue: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """Sales less refunds inside the window, in the business's currency."""
    other_currency: Mapped[int] = mapped_column(default=0)
    """Sales inside the window in another currency: conversions, but no revenue (MEA-14)."""
    attributed: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    """Revenue within five days of a human click, or with our voucher (FACTS.md MEA-16)."""
    message_cost: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    voucher_cost: Mapped[Decimal] = mapped_column(Amount, default=Decimal(0))
    is_window_over: Mapped[bool] = mapped_column(default=False)
    computed_at: Mapped[datetime] = mapped_column(Utc)


class Worker(Table):
    """One process that sends, and its lease: alive as long as it beats (FACTS.md DS-10).

    The clock of leases is the machine's, never an as-of instant.
    """

    __tablename__ = "workers"
    __table_args__ = (
        Index(
            "ix_workers_alive",
            "beat_at",
            **_only_where("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = _row_id()
    place: Mapped[str] = mapped_column(String(128))
    """The machine, or the container, in which ``pid`` means something."""
    pid: Mapped[int]
    born: Mapped[str] = mapped_column(String(32), default="", server_default="")
    """When the process began, as its machine counts it: tells two with the same pid apart."""
    started_at: Mapped[datetime] = mapped_column(Utc)
    beat_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    """When it ended, or when others found it dead: from then on it may call nobody."""


class ChannelDay(Table):
    """How many messages of a channel were claimed on one local day: what daily limits count."""

    __tablename__ = "channel_days"

    channel: Mapped[Channel] = mapped_column(Word(Channel), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    """The business's local date."""
    claimed: Mapped[int] = mapped_column(default=0)
    """Claims less those given back to the queue."""
    segments: Mapped[int] = mapped_column(default=0)
    """Of texts, counted while a brand's daily budget of them is set (FACTS.md TW-19b)."""


class Pace(Table):
    """One token bucket, shared by all workers: when its next token is free."""

    __tablename__ = "paces"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Provider and kind of sender, as twilio:long_code."""
    free_at: Mapped[datetime] = mapped_column(Utc)
    """The machine's clock; earlier than now: tokens have gathered."""


class Pause(Table):
    """A switch of ours that stops claims: all, one campaign, or one channel.

    Appended; a row without ``resumed_at`` holds. No redeployment undoes it.
    """

    __tablename__ = "pauses"
    __table_args__ = (
        Index(
            "uq_pauses_holding",
            "scope",
            "name",
            "by",
            unique=True,
            **_only_where("resumed_at IS NULL"),
        ),
    )

    id: Mapped[int] = _row_id()
    scope: Mapped[str] = mapped_column(String(16))
    """``all``, ``campaign`` or ``channel``."""
    name: Mapped[str] = mapped_column(String(64), default="")
    """Of the campaign or the channel; empty for all."""
    by: Mapped[str] = mapped_column(String(16))
    """``operator``, or ``brake`` when rates of bounces or complaints went too high."""
    why: Mapped[str] = mapped_column(Text, default="")
    paused_at: Mapped[datetime] = mapped_column(Utc)
    resumed_at: Mapped[datetime | None] = mapped_column(Utc)


class Alert(Table):
    """Something that the operator must know, told once and not again each run."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(
            "uq_alerts_standing",
            "key",
            unique=True,
            **_only_where("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = _row_id()
    key: Mapped[str] = mapped_column(String(128))
    """What makes it one alert, as ``brake:campaign:six-month``."""
    text: Mapped[str] = mapped_column(Text)
    """One sentence; ids and counts, nobody's name or address."""
    raised_at: Mapped[datetime] = mapped_column(Utc)
    told_at: Mapped[datetime | None] = mapped_column(Utc)
    """When a target took it; None: tried again at the next run."""
    ended_at: Mapped[datetime | None] = mapped_column(Utc)


class ChannelPause(Table):
    """A channel that stands still because an account or a sender was refused at the call."""

    __tablename__ = "channel_pauses"

    channel: Mapped[Channel] = mapped_column(Word(Channel), primary_key=True)
    why: Mapped[str] = mapped_column(Text)
    paused_at: Mapped[datetime] = mapped_column(Utc)
    try_again_at: Mapped[datetime] = mapped_column(Utc)
    """When one send run may try again by itself."""
    strikes: Mapped[int] = mapped_column(default=1, server_default="1")
    """How often in a row it was closed: each time it stays closed for longer."""


class StageRun(Table):
    """One run of one stage: when, by what, and what it counted."""

    __tablename__ = "stage_runs"
    __table_args__ = (Index("ix_stage_runs_stage_started_at", "stage", "started_at"),)

    id: Mapped[int] = _row_id()
    stage: Mapped[str] = mapped_column(String(16))
    as_of: Mapped[datetime] = mapped_column(Utc)
    started_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    by: Mapped[str] = mapped_column(String(8))
    counts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    error: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """The kind of exception that ended it early; empty when it went to its end."""
