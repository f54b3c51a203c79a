"""The one sentence says what the numbers allow, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.outcomes.lift import Interval, Proportion, sample_ratio
from winback.outcomes.verdict import Finding, customers_missing, judge, judge_money

SOUND = sample_ratio([(850, 150, 0.15)])


def test_a_gain_is_said_with_its_interval() -> None:
    """P8: the effect stands as customers of every 100, between its two ends."""
    verdict = judge(Proportion(390, 3_000), Proportion(90, 1_000), SOUND, open_windows=0)

    assert verdict.finding is Finding.GAIN
    assert verdict.sentence == (
        "winback brings back 4.0 more of every 100 lapsed customers than would have come by "
        "themselves (between 1.7 and 6.0)"
    )
    assert not verdict.is_interim


def test_a_loss_is_said_as_plainly() -> None:
    """A campaign that drives people away is told to stop."""
    verdict = judge(Proportion(150, 3_000), Proportion(90, 1_000), SOUND, open_windows=0)

    assert verdict.finding is Finding.LOSS
    assert verdict.sentence.startswith("winback loses 4.0 of every 100")
    assert verdict.sentence.endswith("pause the campaign")


def test_too_little_says_how_much_is_missing() -> None:
    """FACTS.md MEA-12: an interval across zero prints the size still needed, no bare percentage."""
    verdict = judge(Proportion(45, 850), Proportion(6, 150), SOUND, open_windows=0)

    assert verdict.finding is Finding.TOO_EARLY
    assert verdict.more_needed == customers_missing(Proportion(45, 850), Proportion(6, 150))
    assert verdict.sentence.startswith(
        f"too early to say: about {verdict.more_needed:,} more customers needed"
    )
    assert "no measurable effect yet" in verdict.sentence


def test_enough_customers_without_an_effect_say_so() -> None:
    """Nobody is told to wait for a difference that would have shown long ago."""
    verdict = judge(Proportion(2_500, 50_000), Proportion(2_500, 50_000), SOUND, open_windows=0)

    assert verdict.finding is Finding.NO_EFFECT
    assert "1.0 of every 100 customers would probably have shown" in verdict.sentence


def test_a_broken_split_hides_the_lift() -> None:
    """FACTS.md MEA-5: when the arms are not what was planned, no effect is shown, only why."""
    split = sample_ratio([(3_000, 300, 0.3)])

    verdict = judge(Proportion(390, 3_000), Proportion(9, 300), split, open_windows=0)

    assert verdict.finding is Finding.BROKEN_SPLIT
    assert "brings back" not in verdict.sentence
    assert "300 of 3,300" in verdict.sentence


def test_no_holdout_means_no_effect_known() -> None:
    """P8: lift comes only from the random holdout."""
    verdict = judge(
        Proportion(39, 300), Proportion(0, 0), sample_ratio([(300, 0, 0.0)]), open_windows=0
    )

    assert verdict.finding is Finding.NO_HOLDOUT


def test_nobody_measured_yet() -> None:
    """An empty database has a sentence too."""
    verdict = judge(Proportion(0, 0), Proportion(0, 0), sample_ratio([]), open_windows=12)

    assert verdict.finding is Finding.NOTHING_YET
    assert verdict.sentence.startswith("interim, 12 customers are still being measured: too early")


def test_a_peek_is_labeled() -> None:
    """FACTS.md MEA-6: while a window is open the result is interim."""
    verdict = judge(Proportion(390, 3_000), Proportion(90, 1_000), SOUND, open_windows=1)

    assert verdict.is_interim
    assert verdict.sentence.startswith("interim, 1 customer is still being measured: winback")


@given(
    st.tuples(st.integers(0, 900), st.integers(900, 5_000)),
    st.tuples(st.integers(0, 200), st.integers(200, 2_000)),
)
def test_every_pair_of_arms_has_a_sentence(treated: tuple[int, int], held: tuple[int, int]) -> None:
    """Whatever the counts, one finding and one sentence; what is missing is never negative."""
    verdict = judge(Proportion(*treated), Proportion(*held), SOUND, open_windows=0)

    assert verdict.sentence
    assert verdict.more_needed is None or verdict.more_needed > 0


@pytest.mark.parametrize(
    ("intervals", "begins"),
    [
        pytest.param([Interval(2, 1, 3)] * 3, "revenue rose by 2.00 USD", id="win"),
        pytest.param([Interval(-2, -3, -1)] * 3, "revenue fell by 2.00 USD", id="loss"),
        pytest.param(
            [Interval(2, 1, 3), Interval(2, -1, 3), Interval(2, 1, 3)],
            "no measurable effect on revenue yet",
            id="disagreement",
        ),
        pytest.param([None, None, None], "revenue: too few", id="too few"),
    ],
)
def test_money_wins_only_in_agreement(intervals: list[Interval | None], begins: str) -> None:
    """FACTS.md MEA-8: Welch, bootstrap and the winsorized line must agree before a win."""
    assert judge_money(intervals, currency="USD").startswith(begins)
