"""Variants are split by a hash that stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.messages.variants import variant_for


@given(st.integers(min_value=1), st.permutations(["a", "b", "c"]))
def test_the_same_enrollment_always_gets_the_same(enrollment: int, order: list[str]) -> None:
    """DESIGN.md section 7: a stable hash; the order of files changes nothing."""
    one = variant_for("salt", "six", enrollment_id=enrollment, template="t", variants=order)

    assert one == variant_for(
        "salt", "six", enrollment_id=enrollment, template="t", variants=["a", "b", "c"]
    )


def test_the_split_is_equal() -> None:
    """Each of three variants gets about a third."""
    drawn = [
        variant_for("salt", "six", enrollment_id=n, template="t", variants="abc")
        for n in range(6000)
    ]

    assert all(abs(drawn.count(variant) - 2000) < 150 for variant in "abc")


def test_no_variant_is_an_error() -> None:
    """Nothing to choose from is a bug of the caller."""
    with pytest.raises(ValueError, match="no variant"):
        variant_for("salt", "six", enrollment_id=1, template="t", variants=[])
