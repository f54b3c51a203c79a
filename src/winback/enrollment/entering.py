"""Enroll the candidates whose turn it is: draw the arm, set the first step, write it all down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from winback.campaign.conditions import compile_condition
from winback.campaign.schema import Campaign
from winback.clock import day_start, local_date
from winback.database.bulk import on_conflict
from winback.database.engine import salt_of
from winback.database.history import record_decisions, record_moves
from winback.database.tables import Enrollment, table_of
from winback.enrollment.circumstances import record_passed
from winback.enrollment.draw import draw_arm
from winback.enrollment.facts import condition_facts
from winback.enrollment.timeline import Circumstances, Next, next_due
from winback.enrollment.value import current_threshold, value_of
from winback.settings import Settings
from winback.states import Arm, EnrollmentState


@dataclass(frozen=True, slots=True)
class Candidate:
    """One lapse that may enter, and what its value goes by."""

    customer_id: int
    lapsed_on: date
    spend: Decimal | None
    """24-month spend; None where nothing was bought in it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row to insert, and what comes first on its timeline."""

    values: Mapping[str, Any]
    first: Next


def enroll(
    session: Session,
    campaign: Campaign,
    version_id: int,
    candidates: Sequence[Candidate],
    *,
    settings: Settings,
    now: datetime,
) -> dict[int, Arm]:
    """Enroll candidates, as many as ``room_today`` has; gives the arms by customer.

    Whoever was enrolled meanwhile by somebody else is left out.
    """
    if not candidates:
        return {}
    entries = _entries(session, campaign, version_id, candidates, settings=settings, now=now)
    return _insert(session, entries, now=now)


def room_today(session: Session, campaign: Campaign, *, settings: Settings, now: datetime) -> int:
    """Give how many more today's limit lets in; two runs ask one after the other.

    The second one waits until the first one's transaction has ended.
    """
    one_at_a_time(session, campaign)
    return campaign.audience.daily_limit - _enrolled_today(session, campaign, settings, now)


def one_at_a_time(session: Session, campaign: Campaign) -> None:
    """Let two runs on PostgreSQL count today's enrollments one after the other.

    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        digest = sha256(f"detect {campaign.campaign}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        session.execute(select(func.pg_advisory_xact_lock(key)))


def _enrolled_today(session: Session, campaign: Campaign, settings: Settings, now: datetime) -> int:
    zone = settings.business.zone
    today = local_date(now, zone)
    asked = {"campaign": campaign.campaign, "midnight": day_start(today, zone), "today": today}
    return session.connection().scalars(_ENROLLED_ON, asked).one()


_ENROLLED_ON: Final = select(func.count()).where(
    Enrollment.campaign == bindparam("campaign"),
    # Implied by the next line; it is what the index knows.
    Enrollment.enrolled_at >= bindparam("midnight"),
    Enrollment.enrolled_on == bindparam("today"),
)


def _entries(
    session: Session,
    campaign: Campaign,
    version_id: int,
    chunk: Sequence[Candidate],
    *,
    settings: Settings,
    now: datetime,
) -> list[Entry]:
    zone = settings.business.zone
    salt, threshold = salt_of(session), current_threshold(session)
    today = local_date(now, zone)
    window_ends_on = campaign.measure_for.after(today)
    facts = _facts_for_steps(session, campaign, chunk, settings=settings, now=now)
    entries: list[Entry] = []
    for one in chunk:
        value = value_of(one.spend, threshold)
        arm = draw_arm(
            salt, campaign.campaign, one.customer_id, one.lapsed_on, holdout=campaign.holdout
        )
        known = facts.get(one.customer_id, {}) | {"value": value}
        first = next_due(campaign, None, done_on=today, given=_at_the_start(known))
        is_treated = arm is Arm.TREATED
        values = {
            "campaign": campaign.campaign,
            "campaign_version_id": version_id,
            "customer_id": one.customer_id,
            "lapsed_on": one.lapsed_on,
            "arm": arm,
            "state": EnrollmentState.ACTIVE if is_treated else EnrollmentState.HELD_OUT,
            "value": value,
            "enrolled_at": now,
            "enrolled_on": today,
            "measure_until": day_start(window_ends_on, zone),
            "next_step": first.step if is_treated else None,
            "due_on": first.due_on if is_treated else window_ends_on,
        }
        entries.append(Entry(values, first))
    return entries


def _at_the_start(facts: Mapping[str, object]) -> Circumstances:
    return Circumstances(holds=lambda text: compile_condition(text).holds(facts), last_days={})


def _facts_for_steps(
    session: Session,
    campaign: Campaign,
    chunk: Sequence[Candidate],
    *,
    settings: Settings,
    now: datetime,
) -> dict[int, dict[str, object]]:
    conditions = [compile_condition(step.only_if) for step in campaign.steps if step.only_if]
    if not conditions:
        return {}
    return condition_facts(
        session,
        [one.customer_id for one in chunk],
        now=now,
        zone=settings.business.zone,
        currency=settings.business.currency,
        fields=frozenset().union(*(condition.fields for condition in conditions)),
    )


def _insert(session: Session, entries: Sequence[Entry], *, now: datetime) -> dict[int, Arm]:
    """Insert what no other run has, with history and decisions; gives the arms inserted.

    The unique indexes decide: one enrollment per lapse, one open slot per customer.
    """
    inserted = session.connection().execute(_INSERT, [entry.values for entry in entries]).all()
    by_customer = {entry.values["customer_id"]: entry for entry in entries}
    new = [(row.id, by_customer[row.customer_id]) for row in inserted]
    record_moves(session, [_move_row(row_id, entry, now) for row_id, entry in new])
    if new:
        record_decisions(session, [_decision_row(*one, now) for one in new])
    for row_id, entry in new:
        if entry.first.passed and entry.values["arm"] is Arm.TREATED:
            row = session.get_one(Enrollment, row_id)
            record_passed(session, row, entry.first.passed, now=now)
    return {entry.values["customer_id"]: entry.values["arm"] for _, entry in new}


_ENROLLMENTS: Final = table_of(Enrollment)
_INSERT: Final = on_conflict(insert(_ENROLLMENTS)).returning(
    _ENROLLMENTS.c.id, _ENROLLMENTS.c.customer_id
)


def _move_row(row_id: int, entry: Entry, now: datetime) -> dict[str, Any]:
    return {
        "thing": "enrollment",
        "thing_id": row_id,
        "from_state": None,
        "to_state": entry.values["state"],
        "event": "enrolled",
        "why": "",
        "at": now,
    }


def _decision_row(row_id: int, entry: Entry, now: datetime) -> dict[str, Any]:
    values, first = entry.values, entry.first
    silent = f"no purchase since {values['lapsed_on']}, value {values['value']}"
    if values["arm"] is Arm.TREATED:
        what, then = "enrolled", f"{first.step or 'the rest'} is due on {first.due_on}"
    else:
        what = "held_out"
        then = f"drawn into the holdout and left alone until {values['due_on']}, to measure"
    return {
        "customer_id": values["customer_id"],
        "campaign": values["campaign"],
        "enrollment_id": row_id,
        "what": what,
        "why": f"{silent}; {then}",
        "at": now,
    }
