"""Money is exact."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.money import Money, from_units, to_units

AMOUNTS = st.decimals(-(10**9), 10**9, places=4, allow_nan=False)


@given(AMOUNTS)
def test_ten_thousandths_are_kept(amount: Decimal) -> None:
    """What goes into the database comes out again."""
    assert from_units(to_units(amount)) == amount


@given(st.lists(AMOUNTS, max_size=20))
def test_sums_of_units_are_sums_of_amounts(amounts: list[Decimal]) -> None:
    """SQL may add the stored numbers."""
    assert from_units(sum(map(to_units, amounts))) == sum(amounts, Decimal(0))


@pytest.mark.parametrize(
    ("amount", "units"), [("0.00005", 0), ("0.00015", 2), ("-0.00015", -2), ("1.99", 19900)]
)
def test_what_is_finer_is_rounded_half_to_even(amount: str, units: int) -> None:
    """Rounding leans to no side."""
    assert to_units(Decimal(amount)) == units


@pytest.mark.parametrize(("units", "shown"), [(19900, "1.99"), (10000, "1.00"), (19901, "1.9901")])
def test_amounts_have_two_places_at_least(units: int, shown: str) -> None:
    """Cents are shown, finer parts only where there are any."""
    assert str(from_units(units)) == shown


def test_two_currencies_never_add_up() -> None:
    """Nobody converts behind our back."""
    assert Money(Decimal(1), "GBP") + Money(Decimal(2), "GBP") == Money(Decimal(3), "GBP")
    with pytest.raises(ValueError, match="GBP and USD"):
        Money(Decimal(1), "GBP") + Money(Decimal(2), "USD")
