"""What the town planted: the truth that the report must find without knowing it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.clock import day_start
from winback.database.tables import Enrollment, SourceCustomer
from winback.states import Arm
from winback.town.shop import Order


@dataclass(frozen=True, slots=True)
class Planted:
    """How many of the treated came back because of a message, and for no other reason."""

    treated: int
    """Assigned treated, window ended."""
    moved: int
    """Of these, with a simulated and no real purchase inside their window."""

    @property
    def share(self) -> float:
        """Give the planted effect; 0 where nobody was treated."""
        return self.moved / self.treated if self.treated else 0.0


@dataclass(frozen=True, slots=True)
class _Window:
    customer: str
    enrolled_on: date
    until: datetime


def planted_effect(
    session: Session,
    *,
    real: Iterable[Order],
    simulated: Iterable[Order],
    zone: ZoneInfo,
    now: datetime,
) -> Planted:
    """Give the planted effect over treated enrollments whose window has ended."""
    windows = [
        _Window(*row)
        for row in session.execute(
            select(SourceCustomer.external_id, Enrollment.enrolled_on, Enrollment.measure_until)
            .join(SourceCustomer, SourceCustomer.customer_id == Enrollment.customer_id)
            .where(
                Enrollment.arm == Arm.TREATED,
                Enrollment.is_left_out.is_(False),
                Enrollment.measure_until <= now,
            )
        )
    ]
    bought, moved = _days_of(real), _days_of(simulated)
    count = sum(
        _any_inside(window, moved, zone) and not _any_inside(window, bought, zone)
        for window in windows
    )
    return Planted(len(windows), count)


def _days_of(orders: Iterable[Order]) -> Mapping[str, Sequence[date]]:
    days: defaultdict[str, list[date]] = defaultdict(list)
    for order in orders:
        days[order.customer].append(order.day)
    return {customer: sorted(found) for customer, found in days.items()}


def _any_inside(window: _Window, days: Mapping[str, Sequence[date]], zone: ZoneInfo) -> bool:
    """Say whether a day lies after the enrollment's and begins before the window's end.

    A purchase of the enrollment's own day was in the morning's export, so there was no lapse.
    """
    found = days.get(window.customer, ())
    after = bisect_right(found, window.enrolled_on)
    return after < len(found) and day_start(found[after], zone) < window.until
