"""The line above which a customer is worth much, on both databases."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy.orm import Session

from tests.enrollment.shop import LONDON, add_customer, add_purchase
from winback.clock import at_local
from winback.enrollment.value import Rank, compute_threshold, ranks_of, spends_of
from winback.states import PurchaseKind


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


@pytest.mark.parametrize("seed", range(3))
def test_a_rank_holds_until_its_day(session: Session, seed: int) -> None:
    """Nothing but a change of the customer moves the spend before; it is the value's own spend.

    Month ends and the leap day are where purchases leave the 24 months.
    """
    rng = Random(f"ranks {seed}")  # noqa: S311 - a test's seed
    edges = [date(2026, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2026, 3, 31)]
    people = []
    for _ in range(12):
        days = [rng.choice(edges) + timedelta(days=rng.randrange(-4, 40)) for _ in range(3)]
        people.append(add_customer(session, days, amount=Decimal(rng.randrange(1, 9))))
        add_purchase(
            session,
            people[-1],
            rng.choice(edges),
            amount=Decimal(-1),
            kind=PurchaseKind.REFUND,
        )

    for start in (date(2026, 2, 25), date(2026, 3, 1), date(2028, 2, 26)):
        at = {start + timedelta(days=n): at_ten(start + timedelta(days=n)) for n in range(12)}
        ranks = ranks_of(session, people, now=at[start], zone=LONDON, currency="GBP")
        for day, now in at.items():
            spends = spends_of(session, people, now=now, zone=LONDON, currency="GBP")
            held = {id_: rank for id_, rank in ranks.items() if not rank.until or day < rank.until}
            assert {id_: rank.spend for id_, rank in held.items()} == {
                id_: spends.get(id_, Decimal(0)) for id_ in held
            }


def at_ten(day: date) -> datetime:
    """Give ten in the morning in London."""
    return at_local(day, time(10), LONDON)


def test_who_bought_nothing_lately_ranks_by_nothing(session: Session, now: datetime) -> None:
    """Money given back in the 24 months is no spend of theirs, and no purchase is ahead."""
    old = add_customer(session, [date(2020, 1, 1)])
    add_purchase(session, old, date(2025, 9, 1), amount=Decimal(-5), kind=PurchaseKind.REFUND)

    ranks = ranks_of(session, [old], now=now, zone=LONDON, currency="GBP")

    assert ranks == {old: Rank(Decimal(0), date(2027, 9, 2))}
