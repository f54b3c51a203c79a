"""The statistics of the effect: pure, exact where a closed form exists, seeded where not.

Lift comes only from the random holdout, analyzed by assignment (promise P8). The methods and
their golden values are in FACTS.md, section 6 (MEA-); docs/measurement.md tells owners the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
POWER: Final = 0.80
RATIO_ALARM: Final = 0.0005
"""Below this p-value the split is not what was planned, and no lift is shown (MEA-5)."""
_RESAMPLES: Final = 5_000
_BLOCKS: Final = 2_000
"""Larger arms are resampled as so many random groups of customers: as wide, and always fast."""
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between the two ends of its 95 % interval."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Say whether chance alone hardly explains the estimate."""
        return self.low > 0 or self.high < 0

    @property
    def sign(self) -> int:
        """Give 1 or -1 where the whole interval lies on one side of zero, else 0."""
        return (self.low > 0) - (self.high < 0)


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of an arm's customers came back."""

    successes: int
    assigned: int

    @property
    def rate(self) -> float:
        """Give the share; 0 where nobody was assigned."""
        return self.successes / self.assigned if self.assigned else 0.0


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the arms have the sizes that the campaign planned."""

    expected_holdout: float
    holdout: int
    p_value: float

    @property
    def is_broken(self) -> bool:
        """Say whether the split is so unlikely that the comparison cannot be trusted (MEA-5)."""
        return self.p_value < RATIO_ALARM


@dataclass(frozen=True, slots=True)
class NeededSize:
    """How many customers each arm needs before an effect of the planned size would show."""

    holdout: int
    treated: int


@cache
def _z(quantile: float) -> float:
    return NormalDist().inv_cdf(quantile)


def wilson(arm: Proportion) -> Interval:
    """Give a proportion with Wilson's score interval; sound with 0 or all successes."""
    if not arm.assigned:
        return Interval(0.0, 0.0, 1.0)
    n, p, z = arm.assigned, arm.rate, _z(0.5 + CONFIDENCE / 2)
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(0.0, center - half), min(1.0, center + half))


def newcombe(treated: Proportion, holdout: Proportion) -> Interval:
    """Give treated minus holdout with Newcombe's hybrid score interval, method 10.

    Newcombe, Interval estimation for the difference between independent proportions, Statistics
    in Medicine 17 (1998), 873-890 (FACTS.md MEA-7). Never Wald: that one is far too sure of
    itself with few conversions.
    """
    t, h = wilson(treated), wilson(holdout)
    difference = t.estimate - h.estimate
    low = difference - math.hypot(t.estimate - t.low, h.high - h.estimate)
    high = difference + math.hypot(t.high - t.estimate, h.estimate - h.low)
    return Interval(difference, max(-1.0, low), min(1.0, high))


def sample_ratio(arms: Sequence[tuple[int, int, float]]) -> SampleRatio:
    """Check the split by chi-square with one degree of freedom (MEA-5).

    Each of ``arms`` is (treated, holdout, planned share of the holdout), one per campaign version,
    since an owner may change the share. A planned share of 0 or 1 has nothing to check.
    """
    held = sum(holdout for _, holdout, _ in arms)
    expected = sum((treated + holdout) * share for treated, holdout, share in arms)
    variance = sum((treated + holdout) * share * (1 - share) for treated, holdout, share in arms)
    if variance <= 0:
        return SampleRatio(expected, held, 1.0)
    chi_square = (held - expected) ** 2 / variance
    return SampleRatio(expected, held, math.erfc(math.sqrt(chi_square / 2)))


def needed_size(base: float, treated: float, *, treated_per_holdout: float) -> NeededSize:
    """Plan how many customers are needed to tell two rates apart (MEA-4).

    Two-sided at 5 %, found in 80 % of the cases. Raises ValueError when the rates are equal.
    """
    if base == treated:
        raise ValueError("two equal rates are never told apart")
    k = treated_per_holdout
    pooled = (base + k * treated) / (1 + k)
    spread_if_equal = _z(0.5 + CONFIDENCE / 2) * math.sqrt(pooled * (1 - pooled) * (1 + 1 / k))
    spread_if_not = _z(POWER) * math.sqrt(base * (1 - base) + treated * (1 - treated) / k)
    holdout = (spread_if_equal + spread_if_not) ** 2 / (treated - base) ** 2
    return NeededSize(math.ceil(holdout), math.ceil(holdout * k))


def welch(treated: "NDArray[np.float64]", holdout: "NDArray[np.float64]") -> Interval | None:
    """Give the difference of two means with Welch's interval; None with fewer than two a side."""
    if min(len(treated), len(holdout)) < 2:  # noqa: PLR2004 - a variance needs two
        return None
    difference = float(treated.mean() - holdout.mean())
    parts = [float(arm.var(ddof=1)) / len(arm) for arm in (treated, holdout)]
    if not sum(parts):
        return Interval(difference, difference, difference)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(arm) - 1) for part, arm in zip(parts, (treated, holdout), strict=True)
    )
    half = _student(freedom) * math.sqrt(sum(parts))
    return Interval(difference, difference - half, difference + half)


def _student(freedom: float) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def bootstrap(
    treated: "NDArray[np.float64]",
    holdout: "NDArray[np.float64]",
    *,
    seed: int,
    resamples: int = _RESAMPLES,
) -> Interval | None:
    """Give the difference of two means with a percentile bootstrap interval; seeded, repeatable.

    None where an arm is empty. Customers are resampled, never messages or purchases (MEA-9).
    """
    import numpy as np  # noqa: PLC0415 - numpy is slow to import

    if not (len(treated) and len(holdout)):
        return None
    rng = np.random.default_rng(seed)
    difference = float(treated.mean() - holdout.mean())
    drawn = _resampled_means(treated, rng, resamples) - _resampled_means(holdout, rng, resamples)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(difference, float(low), float(high))


def _resampled_means(
    values: "NDArray[np.float64]", rng: "np.random.Generator", resamples: int
) -> "NDArray[np.float64]":
    import numpy as np  # noqa: PLC0415

    if len(values) > _BLOCKS:
        groups = np.array_split(rng.permutation(values), _BLOCKS)
        sums = np.array([group.sum() for group in groups])
        sizes = np.array([len(group) for group in groups], dtype=np.float64)
    else:
        sums, sizes = values, np.ones(len(values))
    means = np.empty(resamples)
    for start in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - start)
        picked = rng.integers(len(sums), size=(count, len(sums)))
        means[start : start + count] = sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    return means


def winsorized(
    treated: "NDArray[np.float64]", holdout: "NDArray[np.float64]"
) -> tuple["NDArray[np.float64]", "NDArray[np.float64]", float]:
    """Cut both arms at the 99th percentile of what buyers spent, and give that amount too.

    The percentile is taken over both arms together, and over the amounts that are not zero: with
    few buyers the 99th percentile of everyone is zero, and the line would say nothing.
    """
    import numpy as np  # noqa: PLC0415

    spent = np.concatenate([treated[treated > 0], holdout[holdout > 0]])
    if not len(spent):
        return treated, holdout, 0.0
    cut = float(np.quantile(spent, 0.99))
    return np.minimum(treated, cut), np.minimum(holdout, cut), cut


def agreed_sign(intervals: Sequence[Interval | None]) -> int:
    """Give the sign on which all intervals agree, each wholly on that side of zero; else 0.

    No "win" in money is printed unless Welch, bootstrap and the winsorized line agree (MEA-8).
    """
    signs = {interval.sign if interval else 0 for interval in intervals}
    return signs.pop() if len(signs) == 1 else 0
