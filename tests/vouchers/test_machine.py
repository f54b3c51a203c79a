"""The table of a voucher's states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.errors import IllegalTransition
from winback.states import VoucherState
from winback.vouchers.machine import TRANSITIONS, WHY, VoucherEvent, move_on, sources_of

STATES = st.sampled_from(VoucherState)
EVENTS = st.sampled_from(VoucherEvent)


@pytest.mark.parametrize(
    ("state", "event", "target"),
    [
        ("free", "reserved", "reserved"),
        ("reserved", "issued", "issued"),
        ("reserved", "released", "free"),
        ("issued", "returned", "reserved"),
        ("issued", "redeemed", "redeemed"),
        ("issued", "voided", "voided"),
    ],
)
def test_each_move_of_the_design_is_there(state: str, event: str, target: str) -> None:
    """A voucher moves as DESIGN.md section 5 says."""
    assert move_on(VoucherState(state), VoucherEvent(event)) == VoucherState(target)


def test_every_move_has_its_reason() -> None:
    """The generated page says of each move why it is there."""
    assert WHY.keys() == TRANSITIONS.keys()
    assert all(WHY.values())


@given(STATES, EVENTS)
def test_what_is_not_in_the_table_never_happens(state: VoucherState, event: VoucherEvent) -> None:
    """An unknown move is a bug and is told as one."""
    if (state, event) not in TRANSITIONS:
        with pytest.raises(IllegalTransition):
            move_on(state, event)


@given(st.lists(EVENTS, max_size=30))
def test_a_used_code_never_comes_back(events: list[VoucherEvent]) -> None:
    """From redeemed and voided no way leads on: single use (P6)."""
    state = VoucherState.FREE
    for event in events:
        if (state, event) in TRANSITIONS:
            assert state not in (VoucherState.REDEEMED, VoucherState.VOIDED)
            state = move_on(state, event)


@pytest.mark.parametrize("event", VoucherEvent)
def test_each_event_starts_from_one_state(event: VoucherEvent) -> None:
    """Guarded updates ask for exactly one state."""
    assert len(sources_of(event)) == 1
