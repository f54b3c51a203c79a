"""What every response works with: the session, the business, the instant, and what was counted."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.bulk import on_conflict
from winback.database.history import record_decision
from winback.database.tables import Enrollment, Response, table_of
from winback.states import OPEN_ENROLLMENTS, Reason

_NOTE: Final = on_conflict(insert(table_of(Response)), "key").returning(table_of(Response).c.id)
_ENROLLMENT: Final = (
    select(Enrollment)
    .where(Enrollment.id == bindparam("enrollment_id"))
    .execution_options(populate_existing=True)
)
_OPEN_ENROLLMENT: Final = (
    select(Enrollment)
    .where(
        Enrollment.customer_id == bindparam("customer_id"),
        Enrollment.state.in_(OPEN_ENROLLMENTS),
    )
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class RespondCounts:
    """What one run of the respond stage did."""

    events: int = 0
    """Events read and applied."""
    dead: int = 0
    """Events that could not be read; kept for replay."""
    replies: int = 0
    reasons: int = 0
    clicks: int = 0
    """Human ones, the first of each message."""
    converted: int = 0
    suppressed: int = 0
    handed_over: int = 0
    parted: int = 0
    unreachable: int = 0
    canceled: int = 0
    """Enrollments that late data showed to be no lapse."""
    slept: int = 0
    answered: int = 0
    """Answers queued."""
    redeemed: int = 0

    def __add__(self, other: "RespondCounts") -> "RespondCounts":
        mine, theirs = asdict(self), asdict(other)
        return RespondCounts(**{name: mine[name] + theirs[name] for name in mine})


@dataclass(frozen=True, slots=True)
class Hand:
    """One transaction's work on responses."""

    session: Session
    business: Business
    now: datetime
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, name: str, by: int = 1) -> None:
        """Count something under a name of RespondCounts."""
        self.counts[name] += by

    def counted(self) -> RespondCounts:
        """Give what was counted."""
        return RespondCounts(**self.counts)

    def decide(
        self, customer_id: int, what: str, why: str, enrollment: Enrollment | None = None
    ) -> None:
        """Write a decision with its sentence."""
        record_decision(
            self.session,
            customer_id,
            what=what,
            why=why,
            at=self.now,
            campaign=enrollment.campaign if enrollment else None,
            enrollment_id=enrollment.id if enrollment else None,
        )

    def enrollment(self, enrollment_id: int) -> Enrollment:
        """Read an enrollment as it is now."""
        return self.session.scalars(_ENROLLMENT, {"enrollment_id": enrollment_id}).one()

    def open_enrollment(self, customer_id: int) -> Enrollment | None:
        """Read the enrollment that holds the person's one open slot."""
        return self.session.scalars(_OPEN_ENROLLMENT, {"customer_id": customer_id}).one_or_none()

    def note(
        self,
        key: str,
        *,
        customer_id: int,
        kind: str,
        action: str,
        at: datetime,
        enrollment_id: int | None = None,
        message_id: int | None = None,
        event_id: int | None = None,
        reason: Reason | None = None,
    ) -> bool:
        """Keep a response; False when this one was kept before, and nothing is to be done."""
        row = {
            "key": key,
            "customer_id": customer_id,
            "enrollment_id": enrollment_id,
            "message_id": message_id,
            "event_id": event_id,
            "kind": kind,
            "reason": reason.value if reason else None,
            "action": action,
            "at": at,
        }
        connection = self.session.connection()
        return connection.scalar(_NOTE, row) is not None
