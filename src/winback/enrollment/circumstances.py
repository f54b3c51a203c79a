"""Read what the timeline must know of one enrollment, and write down which steps it is past."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, insert, or_, select
from sqlalchemy.orm import Session

from winback.campaign.conditions import compile_condition
from winback.clock import local_date
from winback.database.bulk import on_conflict
from winback.database.history import record_decision
from winback.database.tables import Enrollment, Message, StepPassage, Voucher, table_of
from winback.enrollment.facts import condition_facts
from winback.enrollment.timeline import Circumstances, Passed, StepEnd
from winback.states import MessageState, VoucherState


def circumstances_of(
    session: Session, row: Enrollment, *, now: datetime, zone: ZoneInfo
) -> Circumstances:
    """Give the circumstances of an enrollment; facts are read only when a condition asks."""
    known: dict[str, Mapping[str, object]] = {}

    def holds(text: str) -> bool:
        if not known:
            facts = condition_facts(session, [row.customer_id], now=now, zone=zone)
            own = {"value": row.value, "reason": row.reason or ""}
            known["facts"] = facts[row.customer_id] | own
        return compile_condition(text).holds(known["facts"])

    return Circumstances(
        holds=holds,
        last_days=_last_voucher_days(session, row.id, zone),
        is_gentle=row.is_gentle,
        done=frozenset(session.connection().scalars(_PASSED, {"enrollment_id": row.id})),
    )


_PASSAGES: Final = table_of(StepPassage)
_PASSED: Final = select(_PASSAGES.c.step).where(
    _PASSAGES.c.enrollment_id == bindparam("enrollment_id")
)


def _last_voucher_days(session: Session, enrollment_id: int, zone: ZoneInfo) -> dict[str, date]:
    rows = session.connection().execute(_ISSUED, {"enrollment_id": enrollment_id})
    return {
        offer: last_day(expires_at, zone) for offer, expires_at in rows if expires_at is not None
    }


_ISSUED: Final = select(Voucher.offer, Voucher.expires_at).where(
    Voucher.enrollment_id == bindparam("enrollment_id"),
    Voucher.state == VoucherState.ISSUED,
    Voucher.expires_at.is_not(None),
)


def last_day(expires_at: datetime, zone: ZoneInfo) -> date:
    """Give the last local day on which something that ends at an exclusive instant is good."""
    return local_date(expires_at - timedelta(microseconds=1), zone)


def steps_on_their_way(session: Session, enrollment_id: int) -> frozenset[str]:
    """Give the steps of which a message is being sent, in doubt, or was ever accepted."""
    steps = session.connection().scalars(_ON_THEIR_WAY, {"enrollment_id": enrollment_id})
    return frozenset(steps)


_ON_THEIR_WAY: Final = select(Message.step).where(
    Message.enrollment_id == bindparam("enrollment_id"),
    or_(
        Message.state.in_((MessageState.SENDING, MessageState.UNCONFIRMED)),
        Message.accepted_at.is_not(None),
    ),
)


def record_passed(
    session: Session, row: Enrollment, passed: Iterable[Passed], *, now: datetime
) -> None:
    """Write down the steps that were passed at once, and why; one that had a passage keeps it."""
    for one in passed:
        how = StepEnd.PASSED.value
        values = {"enrollment_id": row.id, "step": one.step, "how": how, "why": one.why, "at": now}
        if session.connection().execute(_NEW_PASSAGE, values).all():
            record_decision(
                session,
                row.customer_id,
                what=how,
                why=f"{one.step}: {one.why}",
                at=now,
                campaign=row.campaign,
                enrollment_id=row.id,
            )


_NEW_PASSAGE: Final = on_conflict(insert(_PASSAGES)).returning(_PASSAGES.c.id)
