"""The line above which a customer is worth much, on both databases."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from tests.enrollment.shop import LONDON, add_customer
from winback.enrollment.value import compute_threshold


@pytest.mark.parametrize(
    ("spends", "line"),
    [
        pytest.param([90, 50, 40, 30, 20, 10, 10, 10, 10, 10], 50, id="the-top-share"),
        pytest.param([90, 50, 50, 50, 20, 10, 10, 10, 10, 10], 50, id="a-tie-within-twice"),
        pytest.param([90, 50, 50, 50, 50, 10, 10, 10, 10, 10], 90, id="a-tie-beyond-twice"),
        pytest.param([20] * 10, None, id="all-equal"),
    ],
)
def test_a_long_tie_on_the_line_is_not_high(
    session: Session, now: datetime, spends: list[int], line: int | None
) -> None:
    """The top 20% may grow to 40% by equal spends, and never to everybody."""
    for spend in spends:
        add_customer(session, [date(2025, 9, 1)], amount=Decimal(spend))

    threshold = compute_threshold(
        session, share=Decimal("0.2"), now=now, zone=LONDON, currency="GBP"
    )

    assert threshold == (None if line is None else Decimal(line))
