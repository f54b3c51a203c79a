"""Charts draw any numbers without falling over."""

import math

from hypothesis import given
from hypothesis import strategies as st

from winback.outcomes.charts import interval_chart, returns_chart, ticks
from winback.outcomes.figures import ReturnPoint
from winback.outcomes.lift import Interval


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    """An axis has some ticks, never many, all of them on it."""
    found = ticks(low, low + span)

    assert len(found) <= 8
    tolerance = 1e-6 * max(1, abs(low), span)
    assert all(low - tolerance <= tick <= low + span + tolerance for tick in found)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_any_interval_can_be_drawn(estimate: float, below: float, above: float) -> None:
    """Gains, losses and nothing at all stay on the paper."""
    drawn = interval_chart(Interval(estimate, estimate - below, estimate + above))

    assert "nan" not in drawn
    assert drawn.startswith("<svg") and drawn.endswith("</svg>")  # noqa: PT018 - one fact: a whole drawing


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_names_of_two_close_lines_do_not_overlap(treated: float, holdout: float) -> None:
    """Both ends are named, a line of text apart at least."""
    drawn = returns_chart([ReturnPoint(0, 0, 0), ReturnPoint(90, treated, holdout)])

    places = [float(part.split('y="')[1].split('"')[0]) for part in drawn.split("<text")[-2:]]
    assert math.dist(places[:1], places[1:]) >= 17.9
