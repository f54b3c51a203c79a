"""An amount that can be read in two ways is refused, never guessed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.money import from_units
from winback.sources.amounts import read_amount


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        pytest.param("12.5", "12.50", id="plain"),
        pytest.param("0", "0", id="zero"),
        pytest.param("1,234.50", "1234.50", id="thousands by comma"),
        pytest.param("1.234,50", "1234.50", id="thousands by point"),
        pytest.param("12,50", "12.50", id="decimal comma"),
        pytest.param("1 234,50", "1234.50", id="thousands by space"),
        pytest.param("1'234.50", "1234.50", id="thousands by apostrophe"),
        pytest.param("€ 12", "12", id="sign before"),
        pytest.param("12,50 EUR", "12.50", id="code after"),
        pytest.param("-€3.20", "-3.20", id="minus before sign"),
        pytest.param("€-3.20", "-3.20", id="minus after sign"),
        pytest.param("1,234,567", "1234567", id="only thousands"),
        pytest.param("0,125", "0.125", id="surely a fraction"),
    ],
)
def test_amounts_are_read_as_people_write_them(written: str, amount: str) -> None:
    """A till's export is taken as it is, where it can mean one thing only."""
    assert from_units(read_amount(written, "EUR")) == Decimal(amount)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        pytest.param("1,234", "thousand", id="a thousand or one"),
        pytest.param("£ 12", "not in EUR", id="another currency"),
        pytest.param("USD 12", "not in EUR", id="another code"),
        pytest.param("", "empty", id="nothing"),
        pytest.param("free", "no amount", id="a word"),
        pytest.param("1e5", "no amount", id="an exponent"),
        pytest.param("(12.00)", "no amount", id="brackets"),
        pytest.param("1,23,456", "no amount", id="odd groups"),
        pytest.param("99999999999999", "too large", id="too large"),
    ],
)
def test_amounts_that_may_mean_two_things_are_refused(written: str, reason: str) -> None:
    """A wrong amount is worse than a rejected row."""
    with pytest.raises(ValueError, match=reason):
        read_amount(written, "EUR")


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_every_plain_amount_is_exact(amount: Decimal) -> None:
    """Amounts never pass through binary fractions."""
    assert from_units(read_amount(str(amount), "GBP")) == amount
