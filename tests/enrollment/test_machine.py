"""The machine of an enrollment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.enrollment.machine import (
    FINAL,
    TRANSITIONS,
    WHY,
    EnrollmentEvent,
    moves_of,
    next_state,
)
from winback.errors import IllegalTransition
from winback.states import EnrollmentState

S, E = EnrollmentState, EnrollmentEvent


@pytest.mark.parametrize(
    ("state", "event", "to"),
    [
        (S.ACTIVE, E.PURCHASED, S.CONVERTED),
        (S.ACTIVE, E.REDEEMED, S.CONVERTED),
        (S.ACTIVE, E.OPTED_OUT, S.SUPPRESSED),
        (S.ACTIVE, E.HANDED_OVER, S.HANDED_OVER),
        (S.ACTIVE, E.PARTED, S.PARTED),
        (S.ACTIVE, E.CONTACT_LOST, S.UNREACHABLE),
        (S.ACTIVE, E.RESTED, S.EXHAUSTED),
        (S.ACTIVE, E.CANCELED, S.CANCELED),
        (S.ACTIVE, E.BOUGHT_BEFORE, S.CANCELED),
        (S.HANDED_OVER, E.RESUMED, S.ACTIVE),
        (S.HANDED_OVER, E.PURCHASED, S.CONVERTED),
        (S.HANDED_OVER, E.OPTED_OUT, S.SUPPRESSED),
        (S.HANDED_OVER, E.BOUGHT_BEFORE, S.CANCELED),
        (S.HELD_OUT, E.WINDOW_ENDED, S.OBSERVED),
        (S.HELD_OUT, E.PURCHASED, S.HELD_OUT),
        (S.HELD_OUT, E.OPTED_OUT, S.HELD_OUT),
        (S.HELD_OUT, E.BOUGHT_BEFORE, S.CANCELED),
        (S.EXHAUSTED, E.OPTED_OUT, S.EXHAUSTED),
        (S.SUPPRESSED, E.PURCHASED, S.SUPPRESSED),
    ],
)
def test_it_moves_as_the_design_says(
    state: EnrollmentState, event: EnrollmentEvent, to: EnrollmentState
) -> None:
    """Each move of DESIGN.md, section 5, and what stays although something happens."""
    assert next_state(state, event) is to


@given(st.lists(st.sampled_from(EnrollmentEvent), max_size=12), st.sampled_from(S))
def test_a_final_state_is_final(events: list[EnrollmentEvent], start: EnrollmentState) -> None:
    """Whatever happens, in whatever order, nothing leads out of a final state."""
    state, was_final = start, False
    for event in events:
        try:
            following = next_state(state, event)
        except IllegalTransition:
            continue
        assert not (was_final and following is not state)
        state, was_final = following, following in FINAL


def test_a_holdout_never_becomes_active() -> None:
    """The arm is never treated by any road (promise P8)."""
    from_held_out = {to for (state, _), to in TRANSITIONS.items() if state is S.HELD_OUT}

    assert from_held_out == {S.HELD_OUT, S.OBSERVED, S.CANCELED}


def test_an_event_that_a_state_does_not_know_is_a_bug() -> None:
    """What the table lacks is refused with machine, state and event."""
    with pytest.raises(IllegalTransition, match="enrollment 7: no move from active on window"):
        next_state(S.ACTIVE, E.WINDOW_ENDED, enrollment_id=7)


def test_every_line_that_changes_nothing_says_why() -> None:
    """A reader of the generated page is never left to wonder."""
    stays = {pair for pair, to in TRANSITIONS.items() if to is pair[0]}

    assert stays <= set(WHY)
    assert set(WHY) <= set(TRANSITIONS)


def test_moves_of_an_event_leave_out_what_stays() -> None:
    """Guarded updates are made only for true changes."""
    assert moves_of(E.WINDOW_ENDED) == ((S.HELD_OUT, S.OBSERVED),)
    assert moves_of(E.RESUMED) == ((S.HANDED_OVER, S.ACTIVE),)
