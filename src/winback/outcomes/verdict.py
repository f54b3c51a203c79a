"""What the numbers mean, as one plain sentence for an owner; pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from winback.outcomes.lift import (
    Interval,
    Proportion,
    SampleRatio,
    agreed_sign,
    needed_size,
    newcombe,
)

WORTH_FINDING: Final = 0.01
"""Smaller differences than one of every hundred are not waited for."""


class Finding(StrEnum):
    """What can be said about the effect."""

    NOTHING_YET = "nothing_yet"
    NO_HOLDOUT = "no_holdout"
    BROKEN_SPLIT = "broken_split"
    TOO_EARLY = "too_early"
    NO_EFFECT = "no_effect"
    GAIN = "gain"
    LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The finding, its sentence, and how much is missing."""

    finding: Finding
    sentence: str
    """With its label where it is interim."""
    bare: str
    """The same without the label, for a place that labels it by itself."""
    is_interim: bool
    """Windows are still open, so a look today is a peek (FACTS.md MEA-6)."""
    more_needed: int | None = None
    """Customers in both arms together that are still missing; None where none are."""


_Found = tuple[Finding, str, int | None]


def judge(
    treated: Proportion, holdout: Proportion, split: SampleRatio, *, open_windows: int
) -> Verdict:
    """Say what the difference of the two arms means.

    ``open_windows`` counts enrollments that are not over yet and therefore not in the arms.
    """
    finding, sentence, more = _incomparable(treated, holdout, split) or _compared(treated, holdout)
    labeled = _labeled(sentence, open_windows)
    return Verdict(finding, labeled, sentence, open_windows > 0, more)


def _incomparable(treated: Proportion, holdout: Proportion, split: SampleRatio) -> _Found | None:
    assigned = treated.assigned + holdout.assigned
    if not assigned:
        sentence = "too early to say: nobody's time of measuring is over yet"
        return Finding.NOTHING_YET, sentence, None
    if split.is_broken:
        return Finding.BROKEN_SPLIT, _broken(split, assigned), None
    if not holdout.assigned or not treated.assigned:
        missing = "holdout" if treated.assigned else "treated arm"
        sentence = f"the effect cannot be known: there is no {missing} to compare with"
        return Finding.NO_HOLDOUT, sentence, None
    return None


def _compared(treated: Proportion, holdout: Proportion) -> _Found:
    difference = newcombe(treated, holdout)
    if difference.sign > 0:
        return Finding.GAIN, _gain(difference), None
    if difference.sign < 0:
        return Finding.LOSS, _loss(difference), None
    if more := customers_missing(treated, holdout):
        return Finding.TOO_EARLY, _too_early(difference, more), more
    return Finding.NO_EFFECT, _no_effect(difference), None


def customers_missing(treated: Proportion, holdout: Proportion) -> int:
    """Give how many more customers, both arms together, the difference seen would need to show.

    Planned for the difference seen, at least one of every hundred, above the holdout's rate and
    at the split there is. Rounded up to two figures: more would be false precision.
    """
    # Half a success more keeps the plan finite while nobody of an arm has come back.
    base = (holdout.successes + 0.5) / (holdout.assigned + 1)
    aim = min(base + _sought(newcombe(treated, holdout)), 0.999)
    need = needed_size(base, aim, treated_per_holdout=treated.assigned / holdout.assigned)
    missing = need.holdout + need.treated - treated.assigned - holdout.assigned
    return _rounded_up(missing) if missing > 0 else 0


def judge_money(intervals: list[Interval | None], *, currency: str) -> str:
    """Say what the revenue per assigned customer shows; a win only where all lines agree."""
    welch = intervals[0]
    if welch is None:
        return "revenue: too few customers to compare"
    sign = agreed_sign(intervals)
    said = (
        f"{amount(welch.estimate, currency)} for each customer assigned "
        f"(between {amount(welch.low, currency)} and {amount(welch.high, currency)})"
    )
    if sign > 0:
        return f"revenue rose by {said}"
    if sign < 0:
        return (
            f"revenue fell by {amount(-welch.estimate, currency)} for each customer assigned "
            f"(between {amount(-welch.high, currency)} and {amount(-welch.low, currency)})"
        )
    return f"no measurable effect on revenue yet: {said}"


def amount(value: float, currency: str) -> str:
    """Give an amount with its currency code, as 1,234.50 USD."""
    return f"{value:,.2f} {currency}"


def _sought(difference: Interval) -> float:
    return max(abs(difference.estimate), WORTH_FINDING)


def _of_hundred(share: float) -> str:
    return f"{share * 100:.1f}"


def _gain(difference: Interval) -> str:
    return (
        f"winback brings back {_of_hundred(difference.estimate)} more of every 100 lapsed "
        "customers than would have come by themselves (between "
        f"{_of_hundred(difference.low)} and {_of_hundred(difference.high)})"
    )


def _loss(difference: Interval) -> str:
    return (
        f"winback loses {_of_hundred(-difference.estimate)} of every 100 lapsed customers who "
        "would have come by themselves (between "
        f"{_of_hundred(-difference.high)} and {_of_hundred(-difference.low)}): pause the campaign"
    )


def _too_early(difference: Interval, more: int) -> str:
    return (
        f"too early to say: about {more:,} more customers needed (no measurable effect yet; "
        f"the difference lies between {_of_hundred(difference.low)} and "
        f"{_of_hundred(difference.high)} of every 100)"
    )


def _no_effect(difference: Interval) -> str:
    return (
        "no measurable effect: a difference of "
        f"{_of_hundred(_sought(difference))} of every 100 customers would probably have shown "
        "by now"
    )


def _broken(split: SampleRatio, assigned: int) -> str:
    return (
        f"the effect is not shown: {split.holdout:,} of {assigned:,} customers are in the "
        f"holdout where about {split.expected_holdout:,.0f} were planned; chance hardly does "
        f"that (p = {split.p_value:.2g}), so the arms cannot be compared"
    )


def _labeled(sentence: str, open_windows: int) -> str:
    if not open_windows:
        return sentence
    noun = "customer is" if open_windows == 1 else "customers are"
    return f"interim, {open_windows:,} {noun} still being measured: {sentence}"


def _rounded_up(number: int) -> int:
    step = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // step) * step
