"""The small pure parts: the draw, the value, when to look again."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.campaign.conditions import compile_condition
from winback.enrollment.again import days_until_it_may_turn
from winback.enrollment.draw import draw_arm
from winback.enrollment.value import place_of_threshold, value_of
from winback.states import Arm

DAY = date(2025, 9, 1)


def _draw(customer_id: int, share: str, *, salt: str = "s", lapsed_on: date = DAY) -> Arm:
    return draw_arm(salt, "six-month", customer_id, lapsed_on, holdout=Decimal(share))


@pytest.mark.parametrize("share", ["0.05", "0.15", "0.3", "0.5"])
def test_the_holdout_has_its_share(share: str) -> None:
    """20,000 draws come within four standard deviations (promise P8)."""
    held_out = sum(_draw(one, share) is Arm.HOLDOUT for one in range(20_000))

    expected = 20_000 * float(share)
    assert abs(held_out - expected) < 4 * (expected * (1 - float(share))) ** 0.5


def test_the_draw_is_stable_and_salted() -> None:
    """The same on every machine and in every release; another salt or lapse draws anew."""
    arms = [_draw(one, "0.5") for one in range(64)]

    assert [_draw(one, "0.5") for one in range(64)] == arms
    assert [_draw(one, "0.5", salt="t") for one in range(64)] != arms
    assert [_draw(one, "0.5", lapsed_on=date(2025, 9, 2)) for one in range(64)] != arms
    bits = sum((arm is Arm.HOLDOUT) << one for one, arm in enumerate(arms))
    assert bits == PINNED


PINNED = 1736293661637915227
"""Never change it: a new hash would draw every holdout of every installation anew."""


@given(st.integers(0, 10**6))
def test_no_holdout_means_everybody_is_treated(customer_id: int) -> None:
    """A holdout of 0% is allowed."""
    assert _draw(customer_id, "0") is Arm.TREATED


@pytest.mark.parametrize(
    ("buyers", "share", "place"),
    [(0, "0.2", None), (10, "0.2", 2), (9, "0.2", 1), (3, "0.2", 1), (10, "0", None), (4, "1", 4)],
)
def test_the_top_share_is_rounded_down_but_somebody(
    buyers: int, share: str, place: int | None
) -> None:
    """High is no more than the share says, and at least one where somebody bought."""
    assert place_of_threshold(buyers, Decimal(share)) == place


def test_value_needs_a_purchase_and_a_threshold() -> None:
    """Who bought nothing in 24 months is never high, however low the line lies."""
    assert value_of(Decimal(10), Decimal(10)) == "high"
    assert value_of(Decimal(9), Decimal(10)) == "normal"
    assert value_of(None, Decimal(-5)) == "normal"
    assert value_of(Decimal(10), None) == "normal"


@pytest.mark.parametrize(
    ("condition", "days", "turns_in"),
    [
        ("purchases >= 2", 200, None),
        ("days_since_last_purchase >= 250", 200, 50),
        ("days_since_last_purchase > 250", 250, 1),
        ("250 < days_since_last_purchase", 200, 50),
        ("days_since_last_purchase < 150", 200, None),
        ("days_since_last_purchase / 7 > 40", 200, 1),
        ('country == "GB" and days_since_last_purchase == 300', 200, 100),
        ("200 < days_since_last_purchase < 220", 200, 1),
    ],
)
def test_when_a_condition_may_turn(condition: str, days: int, turns_in: int | None) -> None:
    """Exact for plain comparisons, tomorrow for everything else."""
    assert days_until_it_may_turn(condition, days) == turns_in


_comparisons = st.builds(
    "days_since_last_purchase {} {}".format,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(0, 60) | st.sampled_from(["10.5", "33.3"]),
)
_joined = st.lists(_comparisons, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([" and ".join(parts), " or ".join(parts)])
)


@given(_joined, st.integers(0, 70))
def test_no_turn_is_ever_missed(condition: str, days: int) -> None:
    """Truth stays the same on every day before the one that is named."""
    turns_in = days_until_it_may_turn(condition, days)
    asked = compile_condition(condition)

    def holds(day: int) -> bool:
        return asked.holds({"days_since_last_purchase": day})

    last = days + 80 if turns_in is None else days + turns_in - 1
    assert {holds(day) for day in range(days, last + 1)} == {holds(days)}
