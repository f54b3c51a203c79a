"""The pace of a channel: tokens, bursts, and several workers at one bucket."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import Engine

from winback.delivery.pace import BURST, at_once, drain_time, pace_of, reserve
from winback.delivery.paces import take_turn
from winback.policies import PaceSettings, Policies
from winback.states import Channel, Mode

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_a_full_bucket_lets_its_burst_through_and_then_keeps_the_pace() -> None:
    """Two a second: two at once after an idle time, then one each half second (TW-19)."""
    first = reserve(None, 2, per_second=2, now=NOW)
    assert first.starts_at == NOW
    second = reserve(first.free_at, 2, per_second=2, now=NOW)
    assert second.starts_at == NOW
    third = reserve(second.free_at, 1, per_second=2, now=NOW)
    assert third.starts_at == NOW + timedelta(seconds=1)


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 10)), min_size=1, max_size=40),
    st.sampled_from([1.0, 3.0, 40.0]),
)
def test_never_more_leaves_than_the_pace_and_one_burst(
    asked: list[tuple[int, int]], per_second: float
) -> None:
    """Over any stretch of time: rate times length, one burst, and the last one's own size."""
    at, free_at, taken = NOW, None, []
    for later, amount in asked:
        at += timedelta(milliseconds=later)
        turn = reserve(free_at, amount, per_second=per_second, now=at)
        free_at = turn.free_at
        taken.append((turn.starts_at, amount))
        assert turn.starts_at >= at
    for i, (start, _) in enumerate(taken):
        for j in range(i, len(taken)):
            span = (taken[j][0] - start).total_seconds()
            # Those whose turn began inside the stretch, but for the last, have left inside it.
            amount = sum(amount for _, amount in taken[i:j])
            assert (
                amount <= per_second * (span + BURST.total_seconds()) + 0.01
            )  # microseconds are rounded


def test_two_workers_share_one_bucket(engine: Engine) -> None:
    """Twenty reservations at once, from two threads: no two get the same turn."""
    with ThreadPoolExecutor(2) as pool:
        turns = sorted(
            pool.map(lambda _: take_turn(engine, "twilio", 10, per_second=10, now=NOW), range(20))
        )
    # The first burst of one second starts at once, each later one a second after the other.
    assert turns == [NOW, *[NOW + timedelta(seconds=n) for n in range(19)]]


def test_a_batch_is_small_enough_to_leave_soon() -> None:
    """At one a second two are claimed, not sixty-four that would wait for a minute."""
    assert (at_once(1, most=32), at_once(225, most=32), at_once(0.1, most=32)) == (2, 32, 1)


def test_drain_time_is_what_the_pace_needs() -> None:
    """600 segments at three a second are 200 seconds; without a pace there is no queue (TW-19c)."""
    assert drain_time(600, 3) == timedelta(seconds=200)
    assert drain_time(600, None) == timedelta(0)


@pytest.mark.parametrize(
    ("written", "channel", "mode", "per_second"),
    [
        ({}, Channel.SMS, Mode.LIVE, 1.0),
        ({}, Channel.SMS, Mode.TEST, 1.0),
        ({}, Channel.SMS, Mode.SANDBOX, None),
        ({}, Channel.EMAIL, Mode.LIVE, None),
        ({"sms": "toll free"}, Channel.SMS, Mode.LIVE, 3.0),
        ({"sms": "short code"}, Channel.SMS, Mode.SANDBOX, 100.0),
        ({"sms": "225 per second"}, Channel.SMS, Mode.LIVE, 225.0),
        ({"sms": False}, Channel.SMS, Mode.LIVE, None),
        ({"email": "0.5 per second"}, Channel.EMAIL, Mode.LIVE, 0.5),
    ],
)
def test_the_pace_comes_from_the_kind_of_number(
    written: dict[str, object], channel: Channel, mode: Mode, per_second: float | None
) -> None:
    """One segment a second unless the owner says what the number carries (FACTS.md TW-19)."""
    policies = Policies(pace=PaceSettings.model_validate(written))
    assert pace_of(policies, channel, mode) == per_second


def test_an_unknown_pace_is_refused_with_what_to_write() -> None:
    """The sentence names the words that are known."""
    with pytest.raises(ValidationError, match="long code, toll free, short code"):
        PaceSettings.model_validate({"sms": "fast"})
