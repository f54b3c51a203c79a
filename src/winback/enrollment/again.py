"""When a condition that did not hold may hold by the passing of days alone. Pure.

A refused customer is looked at again when something about them changes, and on this day.
Computed conservatively: too early costs one look, too late would lose a customer.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import floor
from typing import Final

from jinja2 import Environment, nodes

_DAYS: Final = "days_since_last_purchase"


def days_until_it_may_turn(condition: str, days: int) -> int | None:
    """Give in how many days a condition may turn, ``days`` after the last purchase.

    None when the days since the last purchase play no part any more. Where the field is compared
    with plain numbers, truth changes only there; in any other use, it may change tomorrow.
    """
    numbers = _compared_numbers(condition)
    if numbers is None:
        return 1
    turning = sorted({turn for number in numbers for turn in (floor(number), floor(number) + 1)})
    return next((turn - days for turn in turning if turn > days), None)


@lru_cache(maxsize=256)
def _compared_numbers(condition: str) -> tuple[float, ...] | None:
    """Give the numbers that the days are compared with; None when they are used otherwise."""
    tree = Environment(autoescape=True).parse("{{ " + condition + " }}")
    uses = sum(name.name == _DAYS for name in tree.find_all(nodes.Name))
    plain = list(_plain_comparisons(tree))
    return tuple(number for numbers in plain for number in numbers) if uses == len(plain) else None


def _plain_comparisons(tree: nodes.Node) -> Iterator[list[float]]:
    """Give the numbers of each comparison whose only field is the days."""
    for comparison in tree.find_all(nodes.Compare):
        sides = [comparison.expr, *(operand.expr for operand in comparison.ops)]
        numbers = [
            float(side.value)
            for side in sides
            if isinstance(side, nodes.Const) and isinstance(side.value, int | float)
        ]
        fields = [side for side in sides if isinstance(side, nodes.Name) and side.name == _DAYS]
        if len(fields) == 1 and len(numbers) == len(sides) - 1:
            yield numbers
