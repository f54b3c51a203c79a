"""What a response makes winback do, as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.campaign.actions import ActionKind, ResponseAction, read_action


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ("continue", ResponseAction(ActionKind.CONTINUE)),
        ("go to voucher", ResponseAction(ActionKind.GO_TO, step="voucher")),
        ("sleep 3 months", ResponseAction(ActionKind.SLEEP, months=3)),
        ("sleep 1 month", ResponseAction(ActionKind.SLEEP, months=1)),
        ("hand  over ", ResponseAction(ActionKind.HAND_OVER)),
        ("part", ResponseAction(ActionKind.PART)),
    ],
)
def test_each_action_is_read_and_written_back(written: str, action: ResponseAction) -> None:
    """All actions of DESIGN.md section 7, and their words again."""
    assert read_action(written) == action
    assert read_action(str(action)) == action


@pytest.mark.parametrize("written", ["go to", "sleep", "sleep 0 months", "stop", None, 3, False])
def test_other_words_are_refused(written: object) -> None:
    """The sentence names all actions."""
    with pytest.raises(ValueError, match="write continue, go to STEP, sleep 3 months"):
        read_action(written)


@given(st.integers(1, 99))
def test_months_are_kept(months: int) -> None:
    """However long, the file says it and gets it."""
    assert read_action(f"sleep {months} months").months == months
