"""What an enrollment came to: the window, refunds, currencies, attribution, costs."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.outcomes.rule import Bought, Redeemed, Result, Sent, Window, is_inside, result_of
from winback.states import PurchaseKind

ENROLLED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
WINDOW = Window(
    ENROLLED, date(2026, 3, 2), ENROLLED + timedelta(days=90), ZoneInfo("Europe/London"), "GBP"
)
SECOND = timedelta(seconds=1)


def sale(at: datetime, amount: str = "40", **fields: Any) -> Bought:
    """Give a sale that was seen as it happened."""
    return Bought(
        **{
            "id": 1,
            "name": ("till", "1"),
            "purchased_at": at,
            "purchased_on": at.date(),
            "is_date_only": False,
            "first_seen_at": at,
            "amount": Decimal(amount),
            "currency": "GBP",
            "kind": PurchaseKind.SALE,
            **fields,
        }
    )


def refund(at: datetime, amount: str, **fields: Any) -> Bought:
    """Give a refund, whose amount is negative."""
    return sale(at, amount, **{"id": 2, "kind": PurchaseKind.REFUND, **fields})


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        pytest.param(ENROLLED - SECOND, False, id="a second before"),
        pytest.param(ENROLLED, True, id="at the very instant"),
        pytest.param(WINDOW.until - SECOND, True, id="a second before the end"),
        pytest.param(WINDOW.until, False, id="at the end"),
    ],
)
def test_the_window_includes_its_start_and_not_its_end(at: datetime, counts: bool) -> None:  # noqa: FBT001 - a row of the table
    """A sale counts from the enrollment on, and before the window's end, in either arm."""
    assert is_inside(WINDOW, sale(at)) is counts


@pytest.mark.parametrize(
    ("day", "seen_at", "counts"),
    [
        pytest.param(2, ENROLLED + SECOND, True, id="same day, first seen after"),
        pytest.param(2, ENROLLED, False, id="same day, seen with the enrollment"),
        pytest.param(1, ENROLLED + SECOND, False, id="the day before, seen late"),
        pytest.param(3, ENROLLED + timedelta(days=1), True, id="the day after"),
    ],
)
def test_a_date_only_sale_is_compared_by_date(day: int, seen_at: datetime, counts: bool) -> None:  # noqa: FBT001 - a row of the table
    """DESIGN.md section 6: first seen after enrollment, it counts even when dated the same day."""
    midnight = datetime(2026, 3, day, tzinfo=UTC)

    assert is_inside(WINDOW, sale(midnight, is_date_only=True, first_seen_at=seen_at)) is counts


def test_nothing_bought_is_nothing() -> None:
    """Most enrollments come to nothing, and say so with zeros."""
    assert result_of(WINDOW, [], [], []) == Result()


def test_a_sale_without_value_is_a_conversion() -> None:
    """Zero-value purchases are purchases."""
    result = result_of(WINDOW, [sale(ENROLLED + SECOND, "0")], [], [])

    assert (result.is_converted, result.revenue) == (True, Decimal(0))


def test_a_refund_in_the_window_lowers_revenue_and_is_no_conversion() -> None:
    """FACTS.md MEA-14: refunds inside the window lower revenue; they are no activity."""
    bought = [
        sale(ENROLLED + SECOND, "40", id=1),
        refund(ENROLLED + timedelta(days=3), "-15", id=2),
    ]

    result = result_of(WINDOW, bought, [], [])

    assert (result.revenue, result.purchases, result.is_converted) == (Decimal(25), 1, True)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="of the latest earlier sale, before the window"),
        pytest.param({"refund_of": "long-ago"}, id="of a named sale before the window"),
    ],
)
def test_a_refund_of_an_older_sale_says_nothing_about_the_campaign(fields: Any) -> None:
    """What comes back from before the enrollment is no effect of it."""
    result = result_of(WINDOW, [refund(ENROLLED + SECOND, "-15", **fields)], [], [])

    assert result == Result()


def test_a_refund_lowers_the_sale_that_it_names() -> None:
    """Attributed revenue falls with the sale that was attributed, not with another."""
    click = ENROLLED + timedelta(days=1)
    bought = [
        sale(click + SECOND, "40", id=1, name=("till", "a")),
        sale(click + timedelta(days=30), "60", id=2, name=("till", "b")),
        refund(click + timedelta(days=31), "-10", id=3, refund_of="a"),
    ]

    result = result_of(WINDOW, bought, [Sent(ENROLLED, Decimal(0), click)], [])

    assert (result.revenue, result.attributed) == (Decimal(90), Decimal(30))


def test_another_currency_converts_but_brings_no_revenue() -> None:
    """FACTS.md MEA-14: other currencies are refused, counted, and said."""
    result = result_of(WINDOW, [sale(ENROLLED + SECOND, currency="EUR")], [], [])

    assert (result.is_converted, result.revenue, result.other_currency) == (True, Decimal(0), 1)


@pytest.mark.parametrize(
    ("days", "counts"),
    [(5, True), (6, False), (-1, False)],
    ids=["fifth day", "sixth day", "before the click"],
)
@pytest.mark.parametrize("is_date_only", [False, True])
def test_attribution_lasts_five_days_after_a_human_click(
    days: int,
    *,
    counts: bool,
    is_date_only: bool,
) -> None:
    """FACTS.md MEA-16: click 5 days; one sale counts once over all messages."""
    click = ENROLLED + timedelta(days=10)
    sent = [Sent(ENROLLED, Decimal(0), click), Sent(ENROLLED, Decimal(0), click)]
    bought = sale(click + timedelta(days=days), is_date_only=is_date_only)

    assert result_of(WINDOW, [bought], sent, []).attributed == (40 if counts else 0)


def test_a_voucher_attributes_its_sale_and_costs_what_its_offer_says() -> None:
    """FACTS.md MEA-16: redemption always attributes; the cost follows what was paid."""
    bought = sale(ENROLLED + timedelta(days=40), "85")
    voucher = Redeemed("CODE", bought.purchased_at, bought.id, lambda paid: paid * 15 / 85)

    result = result_of(WINDOW, [bought], [], [voucher])

    assert (result.attributed, result.voucher_cost) == (Decimal(85), Decimal(15))


def test_a_voucher_redeemed_by_hand_costs_within_the_window_only() -> None:
    """Costs are counted over the same time as revenue."""
    early = Redeemed("A", ENROLLED + SECOND, None, lambda _: Decimal(5))
    late = Redeemed("B", WINDOW.until, None, lambda _: Decimal(5))

    assert result_of(WINDOW, [], [], [early, late]).voucher_cost == 5


def test_messages_cost_within_the_window() -> None:
    """FACTS.md MEA-11: what was sent is paid for, whoever bought."""
    sent = [Sent(ENROLLED, Decimal("0.04")), Sent(WINDOW.until, Decimal("0.04"))]

    assert result_of(WINDOW, [], sent, []).message_cost == Decimal("0.04")


@given(
    st.permutations(
        [
            sale(ENROLLED + SECOND, "40", id=1, name=("till", "a")),
            sale(ENROLLED + timedelta(days=4), "0", id=2, name=("till", "b")),
            refund(ENROLLED + timedelta(days=5), "-15", id=3, refund_of="a"),
            refund(ENROLLED + timedelta(days=6), "-5", id=4),
            sale(ENROLLED - SECOND, "70", id=5, name=("till", "c")),
        ]
    )
)
def test_the_order_of_facts_does_not_matter(bought: list[Bought]) -> None:
    """Outcomes are recomputed from facts, however they are read."""
    assert result_of(WINDOW, bought, [], []).revenue == 20
