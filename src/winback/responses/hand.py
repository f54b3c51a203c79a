"""What every response works with: the session, the business, the instant, and what was counted."""

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Final

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.bulk import on_conflict
from winback.database.history import record_decision
from winback.database.tables import Customer, Enrollment, Move, Response, table_of
from winback.enrollment.machine import EnrollmentEvent
from winback.states import OPEN_ENROLLMENTS, EnrollmentState, Reason


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a response asks of an enrollment, as it stood when it was read."""

    id: int
    customer_id: int
    campaign: str
    campaign_version_id: int
    state: EnrollmentState
    next_step: str | None
    due_on: date | None


_RESPONSES: Final = table_of(Response)
_NOTE: Final = on_conflict(insert(_RESPONSES), "key").returning(_RESPONSES.c.id)
_ENROLLMENTS: Final = table_of(Enrollment)
_ENROLLED: Final = select(*(_ENROLLMENTS.c[field.name] for field in fields(Enrolled)))
_BY_ID: Final = _ENROLLED.where(_ENROLLMENTS.c.id == bindparam("enrollment_id"))
_OPEN: Final = _ENROLLED.where(
    _ENROLLMENTS.c.customer_id == bindparam("customer_id"),
    _ENROLLMENTS.c.state.in_(OPEN_ENROLLMENTS),
)
WRITTEN_TO: Final = (EnrollmentState.ACTIVE, EnrollmentState.HANDED_OVER)
"""The open enrollments that a response moves: a holdout is left as it was assigned."""
_ENDED: Final = _ENROLLMENTS.alias()
_GOES_ON: Final = _ENROLLED.where(
    _ENDED.c.id == bindparam("enrollment_id"),
    Customer.id == _ENDED.c.customer_id,
    _ENROLLMENTS.c.customer_id == func.coalesce(Customer.merged_into, Customer.id),
    _ENROLLMENTS.c.state.in_(WRITTEN_TO),
    # One that began later is another passage, of which nobody spoke.
    _ENROLLMENTS.c.enrolled_at <= _ENDED.c.ended_at,
    select(Move.id)
    .where(
        Move.thing == "enrollment",
        Move.thing_id == _ENDED.c.id,
        Move.event == EnrollmentEvent.MERGED,
    )
    .exists(),
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
        self, customer_id: int, what: str, why: str, enrollment: Enrolled | None = None
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

    def enrollment(self, enrollment_id: int) -> Enrolled:
        """Read an enrollment as it is now."""
        connection = self.session.connection()
        return Enrolled(*connection.execute(_BY_ID, {"enrollment_id": enrollment_id}).one())

    def going_on(self, enrollment_id: int) -> Enrolled:
        """Read the enrollment to act on, where a response is about this one.

        Where two customers became one and this one was canceled for it, it is the one that goes
        on for the person; else this one, whatever became of it.
        """
        enrollment = self.enrollment(enrollment_id)
        if enrollment.state is not EnrollmentState.CANCELED:
            return enrollment
        connection = self.session.connection()
        row = connection.execute(_GOES_ON, {"enrollment_id": enrollment_id}).one_or_none()
        return enrollment if row is None else Enrolled(*row)

    def open_enrollment(self, customer_id: int) -> Enrolled | None:
        """Read the enrollment that holds the person's one open slot."""
        connection = self.session.connection()
        row = connection.execute(_OPEN, {"customer_id": customer_id}).one_or_none()
        return None if row is None else Enrolled(*row)

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
        return self.session.connection().scalar(_NOTE, row) is not None
