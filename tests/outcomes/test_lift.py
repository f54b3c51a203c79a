"""The statistics hold to published values, and to what they promise over many experiments."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.outcomes.lift import (
    Interval,
    Proportion,
    agreed_sign,
    bootstrap,
    needed_size,
    newcombe,
    sample_ratio,
    welch,
    wilson,
    winsorized,
)


@st.composite
def proportions(draw: st.DrawFn) -> Proportion:
    """Give any arm of at least one customer."""
    assigned = draw(st.integers(1, 50_000))
    return Proportion(draw(st.integers(0, assigned)), assigned)


@pytest.mark.parametrize(
    ("treated", "holdout", "expected"),
    [
        pytest.param((56, 70), (48, 80), (0.2000, 0.0524, 0.3339), id="Newcombe's own example"),
        pytest.param((0, 10), (0, 10), (0.0, -0.2775, 0.2775), id="nobody came back"),
        pytest.param((40, 1000), (3, 100), (0.0100, -0.0455, 0.0342), id="small holdout"),
    ],
)
def test_newcombe_gives_the_published_values(
    treated: tuple[int, int], holdout: tuple[int, int], expected: tuple[float, float, float]
) -> None:
    """FACTS.md MEA-7: the difference has Newcombe's method 10 interval."""
    interval = newcombe(Proportion(*treated), Proportion(*holdout))

    assert (interval.estimate, interval.low, interval.high) == pytest.approx(expected, abs=5e-5)


@given(proportions(), proportions())
def test_newcombe_holds_its_estimate_and_turns_with_the_arms(
    treated: Proportion, holdout: Proportion
) -> None:
    """The interval contains its estimate, stays within -1 and 1, and mirrors when arms swap."""
    forth, back = newcombe(treated, holdout), newcombe(holdout, treated)

    assert -1 <= forth.low <= forth.estimate + 1e-12
    assert forth.estimate - 1e-12 <= forth.high <= 1
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))


@given(proportions())
def test_wilson_never_leaves_the_possible(arm: Proportion) -> None:
    """A share and both of its ends lie between 0 and 1, with none or all successes too."""
    interval = wilson(arm)

    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate - 1e-12 <= interval.high <= 1


@pytest.mark.parametrize(
    ("rates", "ratio", "known"),
    [
        pytest.param((0.02, 0.03), 1, (3825, 3825), id="2 to 3, even"),
        pytest.param((0.03, 0.04), 1, (5301, 5301), id="3 to 4, even"),
        pytest.param((0.03, 0.04), 4, (3417, 13667), id="3 to 4, 4 to 1"),
        pytest.param((0.03, 0.04), 9, (3066, 27592), id="3 to 4, 9 to 1"),
        pytest.param((0.03, 0.045), 1, (2517, 2517), id="3 to 4.5, even"),
        pytest.param((0.05, 0.06), 1, (8158, 8158), id="5 to 6, even"),
        pytest.param((0.05, 0.065), 1, (3780, 3780), id="5 to 6.5, even"),
    ],
)
def test_planner_gives_the_known_sizes(
    rates: tuple[float, float], ratio: float, known: tuple[int, int]
) -> None:
    """FACTS.md MEA-4: sizes needed at 5 % and 80 % power, give or take one."""
    need = needed_size(*rates, treated_per_holdout=ratio)

    assert (need.holdout, need.treated) == pytest.approx(known, abs=1)


def test_planner_refuses_equal_rates() -> None:
    """No number of customers tells two equal rates apart."""
    with pytest.raises(ValueError, match="never told apart"):
        needed_size(0.05, 0.05, treated_per_holdout=1)


def test_sample_ratio_gives_the_known_p_value() -> None:
    """FACTS.md MEA-5: 44,000 against 45,000 at an even split is p = 0.0008, not yet an alarm."""
    ratio = sample_ratio([(45_000, 44_000, 0.5)])

    assert ratio.p_value == pytest.approx(0.0008, abs=5e-5)
    assert not ratio.is_broken


def test_sample_ratio_alarms_on_a_broken_split() -> None:
    """FACTS.md MEA-5: below p = 0.0005 the lift is hidden."""
    assert sample_ratio([(9_000, 800, 0.1)]).is_broken


def test_sample_ratio_follows_a_changed_share() -> None:
    """An owner who lowers the holdout from 50 % to 10 % raises no alarm."""
    assert sample_ratio([(500, 500, 0.5), (900, 100, 0.1)]).p_value == pytest.approx(1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_sample_ratio_has_nothing_to_check_without_a_draw(share: float) -> None:
    """A campaign of one arm has no split that could be broken."""
    assert sample_ratio([(100, 0, share)]).p_value == 1


def test_welch_agrees_with_scipy() -> None:
    """FACTS.md MEA-8: Welch's interval, as the reference library computes it."""
    from scipy.stats import ttest_ind  # noqa: PLC0415 - the reference of this one test

    rng = np.random.default_rng(7)
    treated, holdout = rng.exponential(9, 300), rng.exponential(6, 60)
    reference = ttest_ind(treated, holdout, equal_var=False).confidence_interval(0.95)

    interval = welch(treated, holdout)

    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high))


def test_welch_needs_two_customers_an_arm() -> None:
    """With one customer there is no spread, and nothing is claimed."""
    assert welch(np.array([3.0]), np.array([1.0, 2.0])) is None


def test_welch_of_arms_without_any_purchase_is_nothing() -> None:
    """Nobody bought: the difference is zero, without an error."""
    assert welch(np.zeros(5), np.zeros(4)) == Interval(0, 0, 0)


@pytest.mark.parametrize("customers", [400, 30_000])
def test_bootstrap_is_seeded_and_close_to_welch(customers: int) -> None:
    """FACTS.md MEA-8: the same seed gives the same interval; large arms are grouped, not wider."""
    rng = np.random.default_rng(3)
    treated = rng.exponential(20, customers) * (rng.random(customers) < 0.2)
    holdout = rng.exponential(20, customers // 4) * (rng.random(customers // 4) < 0.1)

    first, second = bootstrap(treated, holdout, seed=1), bootstrap(treated, holdout, seed=1)
    by_formula = welch(treated, holdout)

    assert first == second
    assert first is not None
    assert by_formula is not None
    width = by_formula.high - by_formula.low
    assert first.low == pytest.approx(by_formula.low, abs=width / 10)
    assert first.high == pytest.approx(by_formula.high, abs=width / 10)


def test_bootstrap_of_an_empty_arm_claims_nothing() -> None:
    """Without a holdout there is no difference."""
    assert bootstrap(np.array([1.0, 2.0]), np.array([]), seed=1) is None


def test_winsorizing_cuts_one_giant_order_and_only_that() -> None:
    """FACTS.md MEA-8: the third line shows whether one big spender makes the result."""
    treated = np.concatenate([np.zeros(50), np.full(199, 10.0), [100_000.0]])

    cut_treated, cut_holdout, cut = winsorized(treated, np.full(20, 10.0))

    assert cut < 100_000
    assert cut_treated.max() == cut
    assert (cut_holdout == 10).all()


def test_winsorizing_nothing_changes_nothing() -> None:
    """Where nobody bought there is nothing to cut."""
    treated, holdout, cut = winsorized(np.zeros(3), np.zeros(2))

    assert (treated.sum(), holdout.sum(), cut) == (0, 0, 0)


@pytest.mark.parametrize(
    ("intervals", "sign"),
    [
        pytest.param([Interval(2, 1, 3), Interval(2, 0.5, 4)], 1, id="both gain"),
        pytest.param([Interval(2, 1, 3), Interval(1, -0.1, 4)], 0, id="one is unsure"),
        pytest.param([Interval(-2, -3, -1), Interval(-1, -2, -0.5)], -1, id="both lose"),
        pytest.param([Interval(2, 1, 3), None], 0, id="one is missing"),
    ],
)
def test_a_win_needs_all_lines_to_agree(intervals: list[Interval | None], sign: int) -> None:
    """FACTS.md MEA-8: one line alone never prints a win."""
    assert agreed_sign(intervals) == sign


def test_null_experiments_alarm_as_often_as_they_may() -> None:
    """FACTS.md MEA-13: 2,000 experiments without an effect give 3.5 to 6.5 % false positives."""
    rng = np.random.default_rng(20260302)
    treated = rng.binomial(3_400, 0.06, size=2_000)
    holdout = rng.binomial(600, 0.06, size=2_000)

    alarms = sum(
        newcombe(Proportion(int(t), 3_400), Proportion(int(h), 600)).excludes_zero
        for t, h in zip(treated, holdout, strict=True)
    )

    assert 0.035 <= alarms / 2_000 <= 0.065


def test_null_revenue_alarms_as_often_as_it_may() -> None:
    """FACTS.md MEA-13 for money: Welch on skewed, mostly zero revenue keeps its 5 %."""
    rng = np.random.default_rng(11)
    alarms = 0
    for _ in range(2_000):
        spend = rng.lognormal(3, 0.8, 4_000) * (rng.random(4_000) < 0.15)
        interval = welch(spend[:2_800], spend[2_800:])
        alarms += interval is not None and interval.excludes_zero

    assert 0.035 <= alarms / 2_000 <= 0.065


def test_a_planted_lift_is_recovered() -> None:
    """FACTS.md MEA-13: the interval covers a planted lift in at least 93 % of experiments."""
    rng = np.random.default_rng(5)
    treated = rng.binomial(2_800, 0.11, size=2_000)
    holdout = rng.binomial(1_200, 0.07, size=2_000)

    covered = 0
    for t, h in zip(treated, holdout, strict=True):
        interval = newcombe(Proportion(int(t), 2_800), Proportion(int(h), 1_200))
        covered += interval.low <= 0.04 <= interval.high

    assert covered / 2_000 >= 0.93


def test_the_planner_keeps_its_promise() -> None:
    """FACTS.md MEA-4: with the planned sizes the effect is found in about 80 % of the cases."""
    need = needed_size(0.05, 0.08, treated_per_holdout=4)
    rng = np.random.default_rng(9)
    treated = rng.binomial(need.treated, 0.08, size=1_500)
    holdout = rng.binomial(need.holdout, 0.05, size=1_500)

    found = sum(
        newcombe(Proportion(int(t), need.treated), Proportion(int(h), need.holdout)).low > 0
        for t, h in zip(treated, holdout, strict=True)
    )

    assert math.isclose(found / 1_500, 0.80, abs_tol=0.05)


def test_numpy_and_scipy_are_imported_late() -> None:
    """Commands that do not compute statistics do not pay for numpy or scipy."""
    code = (
        "import sys, winback.outcomes.lift, winback.outcomes.verdict; "
        "sys.exit(bool({'numpy', 'scipy'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
