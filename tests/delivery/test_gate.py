"""The gate: never, later or now, and the reason that is told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from winback.delivery.gate import Allow, GateInput, Hold, Never, Postpone, decide
from winback.delivery.windows import Opening
from winback.states import Channel, EnrollmentState

HOUR = timedelta(hours=1)
OPEN = Opening(NOW - HOUR, NOW + HOUR)
FINE = GateInput(
    channel=Channel.SMS,
    now=NOW,
    drop_at=NOW + timedelta(days=7),
    enrollment_state=EnrollmentState.ACTIVE,
    keeps_hours=True,
    opening=OPEN,
)


def test_nothing_against_it_lets_it_go() -> None:
    """The gate stands open to what nothing speaks against."""
    assert decide(FINE) == Allow()


@pytest.mark.parametrize(
    ("change", "is_of_channel"),
    [
        pytest.param({"is_suppressed": True}, False, id="suppressed"),
        pytest.param({"has_purchased_since": True}, False, id="purchased"),
        pytest.param({"enrollment_state": EnrollmentState.HANDED_OVER}, False, id="handed over"),
        pytest.param({"is_given": True}, False, id="given"),
        pytest.param({"out_of_turn": "it went on"}, False, id="out of turn"),
        pytest.param({"drop_at": NOW}, False, id="stale"),
        pytest.param({"has_lost_voucher": True}, False, id="voucher"),
        pytest.param({"is_channel_suppressed": True}, True, id="channel suppressed"),
        pytest.param({"is_offered": False}, True, id="not offered"),
        pytest.param({"has_consent": False}, True, id="no consent"),
        pytest.param({"has_address": False}, True, id="no address"),
        pytest.param({"shares_address": True}, True, id="shared"),
        pytest.param({"opening": None}, True, id="no hour"),
    ],
)
def test_each_never(change: dict[str, Any], *, is_of_channel: bool) -> None:
    """Each reason alone refuses for good, and says whether another channel may be asked."""
    verdict = decide(replace(FINE, **change))

    assert isinstance(verdict, Never)
    assert verdict.is_of_channel is is_of_channel
    assert verdict.why


@pytest.mark.parametrize("channel", [Channel.CALL, Channel.LETTER])
@pytest.mark.parametrize("change", [{"has_consent": False}, {"is_channel_suppressed": True}])
def test_an_associate_minds_a_no(channel: Channel, change: dict[str, Any]) -> None:
    """Nobody is called or written to by hand who asked for none of it (P3)."""
    asked = replace(FINE, channel=channel, **change)

    verdict = decide(asked)

    assert isinstance(verdict, Never)
    assert verdict.is_of_channel
    assert channel.value in verdict.why


@pytest.mark.parametrize("state", list(EnrollmentState))
def test_an_answer_may_follow_any_end_but_a_no(state: EnrollmentState) -> None:
    """An answer goes out after a final state; after a no nothing does (P3)."""
    verdict = decide(replace(FINE, is_answer=True, enrollment_state=state))

    assert isinstance(verdict, Never if state is EnrollmentState.SUPPRESSED else Allow)


@given(
    st.builds(
        GateInput,
        channel=st.sampled_from(list(Channel)),
        now=st.just(NOW),
        drop_at=st.sampled_from([NOW - HOUR, NOW + HOUR]),
        enrollment_state=st.sampled_from(list(EnrollmentState)),
        is_answer=st.booleans(),
        is_suppressed=st.just(value=True),
        has_consent=st.booleans(),
        keeps_hours=st.booleans(),
        opening=st.sampled_from([None, OPEN]),
    )
)
def test_the_suppressed_are_never_written_to(asked: GateInput) -> None:
    """Nothing else in the world lets a message to a suppressed person go (P3)."""
    assert decide(asked) == Never("the customer said no")


def test_the_longest_wait_is_told() -> None:
    """Of several reasons to wait the last to end is the one that counts."""
    later = Opening(NOW + HOUR, NOW + 5 * HOUR)
    holds = (Hold(NOW + 2 * HOUR, "the weekly cap"),)

    assert decide(replace(FINE, opening=later)) == Postpone(NOW + HOUR, "outside the decent hours")
    assert decide(replace(FINE, opening=later, holds=holds)) == Postpone(
        NOW + 2 * HOUR, "the weekly cap"
    )


def test_what_turned_stale_tells_what_it_waited_for() -> None:
    """P4: dropped with the reason, never silently lost."""
    stale = replace(FINE, drop_at=NOW, waited_for="outside the decent hours")

    verdict = decide(stale)

    assert isinstance(verdict, Never)
    assert verdict.why == "stale, it could not leave in time: outside the decent hours"


def test_a_wait_beyond_freshness_is_looked_at_when_it_turns_stale() -> None:
    """What cannot leave in time is dropped when its time is over, not silently later (P4)."""
    held = replace(FINE, holds=(Hold(NOW + timedelta(days=9), "the weekly cap"),))

    verdict = decide(held)

    assert verdict == Postpone(held.drop_at, "the weekly cap")
    assert isinstance(decide(replace(held, now=held.drop_at)), Never)


def test_mails_keep_no_hours() -> None:
    """Decent hours are for texts; a mail does not ring."""
    assert decide(replace(FINE, channel=Channel.EMAIL, keeps_hours=False, opening=None)) == Allow()
