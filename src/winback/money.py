"""Money: exact decimals with their currency.

In the database an amount is a whole number of ten-thousandths, so that sums in SQL are exact on
SQLite too; in Python it is a ``Decimal``.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

SCALE: Final = 10_000
_QUANTUM: Final = Decimal(1) / SCALE


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of one currency (ISO 4217 code); amounts of two currencies never mix."""

    amount: Decimal
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return Money(self.amount + other.amount, self.currency)


def to_units(amount: Decimal) -> int:
    """Give the amount as whole ten-thousandths, rounded half to even."""
    return int((amount / _QUANTUM).to_integral_value(ROUND_HALF_EVEN))


def from_units(units: int) -> Decimal:
    """Give ten-thousandths back as a decimal with at least two places."""
    amount = Decimal(units) / SCALE
    cents = amount.quantize(Decimal("0.01"))
    return cents if cents == amount else amount
