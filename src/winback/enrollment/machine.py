"""The machine of an enrollment: where it may go, and why where that surprises.

Pure. ``moving`` carries a move out; ``docs/state-machines.md`` is made from ``TRANSITIONS`` and
``WHY``. An entry that leads to its own state says: this may happen here, and changes nothing.
A pair that is missing is a bug in the caller.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from winback.errors import IllegalTransition
from winback.states import OPEN_ENROLLMENTS, EnrollmentState

S = EnrollmentState


class EnrollmentEvent(StrEnum):
    """What may happen to an enrollment."""

    PURCHASED = "purchased"
    """The customer bought, after enrollment."""
    REDEEMED = "redeemed"
    """A voucher of this enrollment was redeemed."""
    OPTED_OUT = "opted_out"
    """A no, on any channel: unsubscribed, STOP, complaint, an associate's button."""
    HANDED_OVER = "handed_over"
    """A written reply or a repair: an associate takes over."""
    RESUMED = "resumed"
    """An associate gives the customer back to the timeline."""
    PARTED = "parted"
    """Moved, no longer needed, bereaved, or asked a second time to wait."""
    CONTACT_LOST = "contact_lost"
    """No contact point is left that a step could reach."""
    RESTED = "rested"
    """The rest after the last step is over, or an associate closes the case for good."""
    CANCELED = "canceled"
    """An operator ended it."""
    MERGED = "merged"
    """Two customers became one: another enrollment goes on, or the person is through."""
    BOUGHT_BEFORE = "bought_before"
    """Late data show a purchase timed before the enrollment: there was no lapse."""
    WINDOW_ENDED = "window_ended"
    """The measured time of a holdout is over."""


E = EnrollmentEvent

FINAL: Final = tuple(state for state in EnrollmentState if state not in OPEN_ENROLLMENTS)
"""The states that nothing leads out of."""

TRANSITIONS: Final[Mapping[tuple[EnrollmentState, EnrollmentEvent], EnrollmentState]] = {
    (S.ACTIVE, E.PURCHASED): S.CONVERTED,
    (S.ACTIVE, E.REDEEMED): S.CONVERTED,
    (S.ACTIVE, E.OPTED_OUT): S.SUPPRESSED,
    (S.ACTIVE, E.HANDED_OVER): S.HANDED_OVER,
    (S.ACTIVE, E.RESUMED): S.ACTIVE,
    (S.ACTIVE, E.PARTED): S.PARTED,
    (S.ACTIVE, E.CONTACT_LOST): S.UNREACHABLE,
    (S.ACTIVE, E.RESTED): S.EXHAUSTED,
    (S.ACTIVE, E.CANCELED): S.CANCELED,
    (S.ACTIVE, E.MERGED): S.CANCELED,
    (S.ACTIVE, E.BOUGHT_BEFORE): S.CANCELED,
    (S.HANDED_OVER, E.PURCHASED): S.CONVERTED,
    (S.HANDED_OVER, E.REDEEMED): S.CONVERTED,
    (S.HANDED_OVER, E.OPTED_OUT): S.SUPPRESSED,
    (S.HANDED_OVER, E.HANDED_OVER): S.HANDED_OVER,
    (S.HANDED_OVER, E.RESUMED): S.ACTIVE,
    (S.HANDED_OVER, E.PARTED): S.PARTED,
    (S.HANDED_OVER, E.CONTACT_LOST): S.UNREACHABLE,
    (S.HANDED_OVER, E.RESTED): S.EXHAUSTED,
    (S.HANDED_OVER, E.CANCELED): S.CANCELED,
    (S.HANDED_OVER, E.MERGED): S.CANCELED,
    (S.HANDED_OVER, E.BOUGHT_BEFORE): S.CANCELED,
    (S.HELD_OUT, E.PURCHASED): S.HELD_OUT,
    (S.HELD_OUT, E.REDEEMED): S.HELD_OUT,
    (S.HELD_OUT, E.OPTED_OUT): S.HELD_OUT,
    (S.HELD_OUT, E.HANDED_OVER): S.HELD_OUT,
    (S.HELD_OUT, E.PARTED): S.HELD_OUT,
    (S.HELD_OUT, E.CONTACT_LOST): S.HELD_OUT,
    (S.HELD_OUT, E.CANCELED): S.CANCELED,
    (S.HELD_OUT, E.MERGED): S.CANCELED,
    (S.HELD_OUT, E.BOUGHT_BEFORE): S.CANCELED,
    (S.HELD_OUT, E.WINDOW_ENDED): S.OBSERVED,
} | {(state, event): state for state in FINAL for event in EnrollmentEvent}

WHY: Final[Mapping[tuple[EnrollmentState, EnrollmentEvent], str]] = {
    (S.ACTIVE, E.RESUMED): "two associates may press the same button",
    (S.ACTIVE, E.BOUGHT_BEFORE): "there was no lapse; leaves the analysis, in both arms alike",
    (S.ACTIVE, E.CANCELED): "stays in the analysis: it was assigned, and the reason is ours",
    (
        S.ACTIVE,
        E.MERGED,
    ): "stays in the analysis: both were assigned, and whose way goes on is ours",
    (S.HANDED_OVER, E.HANDED_OVER): "a second reply opens its own case; the wait goes on",
    (S.HANDED_OVER, E.CONTACT_LOST): "a case result may end it in any final state",
    (S.HANDED_OVER, E.RESTED): "a case result may end it in any final state",
    (S.HELD_OUT, E.PURCHASED): "what a holdout buys is what is measured; the window goes on",
    (S.HELD_OUT, E.REDEEMED): "a code that somebody passed on; the window goes on",
    (S.HELD_OUT, E.OPTED_OUT): (
        "the customer is suppressed, the arm is still analyzed as it was assigned"
    ),
    (S.HELD_OUT, E.HANDED_OVER): "a reply to an older message opens a case; the arm stays",
    (S.HELD_OUT, E.PARTED): "a reason given on an older page is kept; the arm stays",
    (S.HELD_OUT, E.CONTACT_LOST): "nothing is sent to a holdout anyway; the window goes on",
    (S.HELD_OUT, E.CANCELED): "stays in the analysis: it was assigned, and the reason is ours",
    (S.HELD_OUT, E.MERGED): "stays in the analysis, whichever arm goes on: it was assigned",
} | {
    (state, event): "final: a reply opens a case, a no suppresses, the state stays"
    for state in FINAL
    for event in EnrollmentEvent
}


def next_state(
    state: EnrollmentState, event: EnrollmentEvent, *, enrollment_id: int | None = None
) -> EnrollmentState:
    """Give the state after an event; raises IllegalTransition for a pair the table lacks."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition("enrollment", state, event, enrollment_id) from None


def moves_of(event: EnrollmentEvent) -> tuple[tuple[EnrollmentState, EnrollmentState], ...]:
    """Give every (from, to) by which an event changes a state."""
    return tuple(
        (state, to) for (state, of), to in TRANSITIONS.items() if of is event and to is not state
    )
