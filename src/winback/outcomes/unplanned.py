"""Enrollments whose step could not be planned: something of our own is broken about just them.

They are left as they are and tried again by each send run. Why stands in the log.
"""

from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, aliased

from winback.clock import local_date
from winback.database.tables import Decision, Enrollment
from winback.states import EnrollmentState

NOT_PLANNED: Final = "not_planned"
"""What was decided of such an enrollment; as the last decision of it, it still holds."""


def read_unplanned(session: Session, *, today: date, zone: ZoneInfo) -> list[int]:
    """Give the ids of the enrollments whose due step could not be planned, in order."""
    rows = session.execute(_UNPLANNED, {"today": today})
    # What was decided before this step came due was about an earlier one.
    return [row.id for row in rows if local_date(row.at, zone) >= row.due_on]


_OF_IT: Final = aliased(Decision)
_LAST: Final = (
    select(_OF_IT.id)
    .where(_OF_IT.customer_id == Enrollment.customer_id, _OF_IT.enrollment_id == Enrollment.id)
    .order_by(_OF_IT.at.desc(), _OF_IT.id.desc())
    .limit(1)
    .correlate(Enrollment)
    .scalar_subquery()
)
_UNPLANNED: Final = (
    select(Enrollment.id, Enrollment.due_on, Decision.at)
    .join(Decision, Decision.id == _LAST)
    .where(
        Enrollment.state == EnrollmentState.ACTIVE,
        Enrollment.due_on <= bindparam("today"),
        Decision.what == NOT_PLANNED,
    )
    .order_by(Enrollment.id)
)
