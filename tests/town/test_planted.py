"""The planted effect counts those whom only a message brought back."""

from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from tests.outcomes.facts import START, World
from winback.database.tables import SourceCustomer
from winback.states import Arm
from winback.town.planted import Planted, planted_effect
from winback.town.shop import Order


def test_only_the_moved_treated_of_ended_windows_count(session: Session) -> None:
    """Issue point 14: a simulated and no real purchase inside the window, by assignment."""
    world = World(session)

    def enrolled(name: str, arm: Arm = Arm.TREATED, days_ago: int = 0) -> None:
        enrollment = world.enrollment(arm, at=START + timedelta(days=days_ago))
        session.add(
            SourceCustomer(
                source="shop",
                external_id=name,
                customer_id=enrollment.customer_id,
                row_hash="",
                pulled_at=START,
            )
        )

    for name in ("moved", "both", "too late", "real only", "same day", "neither"):
        enrolled(name)
    enrolled("held out", Arm.HOLDOUT)
    enrolled("still open", days_ago=50)
    session.commit()

    def bought(name: str, days: int) -> Order:
        return Order(name, START.date() + timedelta(days=days), Decimal(20))

    planted = planted_effect(
        session,
        real=[bought("both", 40), bought("real only", 10), bought("same day", 0)],
        simulated=[
            bought("moved", 20),
            bought("both", 20),
            bought("too late", 91),
            bought("held out", 5),
            bought("still open", 55),
            bought("same day", 8),
        ],
        zone=ZoneInfo("Europe/London"),
        now=START + timedelta(days=95),
    )

    assert planted == Planted(treated=6, moved=2)
    assert planted.share == 2 / 6


def test_nobody_treated_is_no_effect(session: Session) -> None:
    """Before the first window ends, nothing is planted."""
    planted = planted_effect(
        session,
        real=[],
        simulated=[Order("x", date(2026, 1, 1), Decimal(1))],
        zone=ZoneInfo("UTC"),
        now=START,
    )

    assert planted.share == 0
