"""What the desk shows of each case: who it is, what we promised, what was said before."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.campaign.versions import campaign_of_version
from winback.clock import local_date
from winback.database.tables import (
    Case,
    ContactPoint,
    Customer,
    Enrollment,
    Message,
    SourceCustomer,
    Voucher,
)
from winback.responses.wording import suggestion_for
from winback.states import CaseState, VoucherState

_CHUNK: Final = 500
_PROMISED: Final = (VoucherState.ISSUED, VoucherState.REDEEMED)


@dataclass(frozen=True, slots=True)
class Promise:
    """A voucher that the customer holds."""

    says: str
    code: str
    last_day: date
    state: str
    """issued, redeemed or expired."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message that went out before."""

    at: datetime
    step: str
    channel: str
    state: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case as an associate needs it."""

    id: int
    kind: str
    state: str
    opened_at: datetime
    customer: str
    ids: dict[str, list[str]]
    contacts: dict[str, str]
    campaign: str | None
    enrollment_state: str | None
    label: str
    text: str
    suggestion: str
    taken_by: str | None
    result: str | None
    note: str
    promises: list[Promise] = field(default_factory=list)
    history: list[Said] = field(default_factory=list)


def waiting_cases(
    session: Session, business: Business, *, now: datetime, case_id: int | None = None
) -> list[CaseView]:
    """Give the cases that wait, the oldest first; with ``case_id`` that one, closed or not."""
    wanted = select(Case).order_by(Case.opened_at, Case.id)
    wanted = (
        wanted.where(Case.state != CaseState.CLOSED)
        if case_id is None
        else wanted.where(Case.id == case_id)
    )
    cases = session.scalars(wanted).all()
    views: list[CaseView] = []
    for start in range(0, len(cases), _CHUNK):
        views += _views(session, business, cases[start : start + _CHUNK], now)
    return views


def _views(
    session: Session, business: Business, cases: Sequence[Case], now: datetime
) -> list[CaseView]:
    people = {case.customer_id for case in cases}
    passages = {case.enrollment_id for case in cases if case.enrollment_id is not None}
    customers = {
        row.id: row for row in session.scalars(select(Customer).where(Customer.id.in_(people)))
    }
    enrollments = {
        row.id: row
        for row in session.scalars(select(Enrollment).where(Enrollment.id.in_(passages)))
    }
    ids, contacts = _ids(session, people), _contacts(session, people)
    promises = _promises(session, business, enrollments, now)
    history = _history(session, passages)
    return [
        _view(
            case,
            customers[case.customer_id],
            enrollments.get(case.enrollment_id or 0),
            ids=ids[case.customer_id],
            contacts=contacts[case.customer_id],
            promises=promises[case.enrollment_id or 0],
            history=history[case.enrollment_id or 0],
        )
        for case in cases
    ]


def _view(case: Case, customer: Customer, enrollment: Enrollment | None, **about: Any) -> CaseView:
    name = " ".join(part for part in (customer.given_name, customer.family_name) if part)
    return CaseView(
        id=case.id,
        kind=case.kind.value,
        state=case.state.value,
        opened_at=case.opened_at,
        customer=name or f"customer {customer.id}",
        campaign=enrollment.campaign if enrollment else None,
        enrollment_state=enrollment.state.value if enrollment else None,
        label=case.label,
        text=case.text,
        suggestion=suggestion_for(case.label),
        taken_by=case.taken_by,
        result=case.result,
        note=case.note,
        **about,
    )


def _ids(session: Session, people: set[int]) -> defaultdict[int, dict[str, list[str]]]:
    found: defaultdict[int, dict[str, list[str]]] = defaultdict(dict)
    rows = session.scalars(
        select(SourceCustomer)
        .where(SourceCustomer.customer_id.in_(people))
        .order_by(SourceCustomer.id)
    )
    for row in rows:
        found[row.customer_id].setdefault(row.source, []).append(row.external_id)
    return found


def _contacts(session: Session, people: set[int]) -> defaultdict[int, dict[str, str]]:
    """Give the newest current address of each channel; an associate has to call somewhere."""
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    rows = session.scalars(
        select(ContactPoint)
        .where(ContactPoint.customer_id.in_(people), ContactPoint.is_current)
        .order_by(ContactPoint.seen_at, ContactPoint.id)
    )
    for row in rows:
        found[row.customer_id][row.channel.value] = row.address
    return found


def _promises(
    session: Session, business: Business, enrollments: dict[int, Enrollment], now: datetime
) -> defaultdict[int, list[Promise]]:
    found: defaultdict[int, list[Promise]] = defaultdict(list)
    rows = session.scalars(
        select(Voucher)
        .where(Voucher.enrollment_id.in_(enrollments), Voucher.state.in_(_PROMISED))
        .order_by(Voucher.id)
    )
    currency = business.settings.business.currency
    for row in rows:
        if row.enrollment_id is None or row.expires_at is None:
            continue
        version = enrollments[row.enrollment_id].campaign_version_id
        offer = campaign_of_version(session, version).offers.get(row.offer)
        is_over = row.state is VoucherState.ISSUED and row.expires_at <= now
        found[row.enrollment_id].append(
            Promise(
                says=offer.says(currency, None) if offer else row.offer,
                code=row.code,
                last_day=local_date(row.expires_at - timedelta(microseconds=1), business.zone),
                state="expired" if is_over else row.state.value,
            )
        )
    return found


def _history(session: Session, passages: set[int]) -> defaultdict[int, list[Said]]:
    found: defaultdict[int, list[Said]] = defaultdict(list)
    rows = session.execute(
        select(
            Message.enrollment_id,
            Message.step,
            Message.channel,
            Message.state,
            Message.accepted_at,
        )
        .where(Message.enrollment_id.in_(passages), Message.accepted_at.is_not(None))
        .order_by(Message.accepted_at, Message.id)
    )
    for row in rows:
        found[row.enrollment_id].append(
            Said(row.accepted_at, row.step, row.channel.value, row.state.value)
        )
    return found
