"""Segments are counted as carriers bill them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.messages.segments import Segments, count_segments, not_in_gsm, plain_punctuation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Segments("GSM-7", 0, 0), id="nothing"),
        pytest.param("a" * 160, Segments("GSM-7", 160, 1), id="one full"),
        pytest.param("a" * 161, Segments("GSM-7", 161, 2), id="one more"),
        pytest.param("a" * 306, Segments("GSM-7", 306, 2), id="two full"),
        pytest.param("a" * 307, Segments("GSM-7", 307, 3), id="three"),
        pytest.param("€" * 80, Segments("GSM-7", 160, 1), id="escaped, full"),
        pytest.param("a" * 152 + "€" + "a" * 152, Segments("GSM-7", 306, 3), id="not torn apart"),
        pytest.param("ł" * 70, Segments("UCS-2", 70, 1), id="ucs full"),
        pytest.param("ł" * 71, Segments("UCS-2", 71, 2), id="ucs one more"),
        pytest.param("ł" * 134, Segments("UCS-2", 134, 2), id="ucs two full"),
        pytest.param("ł" * 135, Segments("UCS-2", 135, 3), id="ucs three"),
        pytest.param("😀" * 35, Segments("UCS-2", 70, 1), id="pairs"),
        pytest.param("a" * 66 + "😀" + "a" * 66, Segments("UCS-2", 134, 3), id="pair not torn"),
    ],
)
def test_counts_at_every_border(text: str, expected: Segments) -> None:
    """FACTS.md TW-7: 160/153 and 70/67, with no character torn apart at a border."""
    assert count_segments(text) == expected


@given(st.text(max_size=700))
def test_never_fewer_than_the_units_need(text: str) -> None:
    """No text fits into fewer parts than its units fill, nor needs one more per border."""
    counted = count_segments(text)
    whole, part = (160, 153) if counted.encoding == "GSM-7" else (70, 67)
    least = -(-counted.units // (whole if counted.units <= whole else part))

    assert least <= counted.segments <= least + least // 67 + 1


def test_typographic_marks_become_plain() -> None:
    """FACTS.md TW-8: smart punctuation is normalized, so that what is sent is what was shown."""
    assert plain_punctuation("\u201cIt\u2019s\u201d \u2013 well\u2026") == '"It\'s" - well...'
    assert not_in_gsm("łukasz łł ü") == "ł"
