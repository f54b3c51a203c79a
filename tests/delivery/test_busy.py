"""A busy provider: it is left alone for as long as it asks, and then called more gently.

FACTS.md SG-15 and TW-17, 20429.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.conftest import NOW
from tests.delivery.shop import Shop
from tests.delivery.virtual import LoopClock, VirtualLoop, run_virtually
from winback.database.tables import ChannelPause
from winback.delivery.answers import queue_answer
from winback.delivery.breaker import LONGEST_REST, Throttle, back_off, stays_busy
from winback.delivery.counts import SendCounts
from winback.providers.outgoing import Accepted, Busy, Outgoing, Result
from winback.states import Channel, MessageState

S = MessageState
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def many(shop: Shop, count: int) -> None:
    """Let so many mails be due."""
    shop.limit(
        daily_limits=shop.business.settings.policies.daily_limits.model_copy(
            update={"email": 100_000}
        )
    )
    for _ in range(count):
        shop.enroll(phones=[])


def busy_at_first(seconds: float, busy: Busy) -> Callable[[Outgoing], Result]:
    """Answer busy for the first seconds of the loop's time, and accept from then on."""

    def answer(message: Outgoing) -> Result:
        is_over = asyncio.get_running_loop().time() >= seconds
        return Accepted(message.send_id) if is_over else busy

    return answer


def most_at_once(began: list[float], takes: float) -> int:
    """Give how many of these calls were on their way at once."""
    return max(sum(at - takes < one <= at for one in began) for at in began)


def paused(shop: Shop) -> list[tuple[Channel, int]]:
    """Give the channels that are closed for all workers, and for which time in a row."""
    with Session(shop.engine) as session:
        rows = session.execute(select(ChannelPause.channel, ChannelPause.strikes))
        return list(rows.tuples())


def test_a_short_wait_is_waited_for_and_then_all_of_it_leaves(shop: Shop) -> None:
    """Busy for a second, with a header: one run sends all, and nobody calls before (SG-15)."""
    many(shop, 200)
    shop.mail.takes = lambda _: 0.2
    shop.mail.answer = busy_at_first(1.0, Busy(1.0, "429"))

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (200, 0)
    assert {one.state for one in shop.messages()} == {S.ACCEPTED}
    rests = [b - a for a, b in pairwise(sorted(shop.mail.sent_at)) if b - a > 0.5]
    assert len(rests) == 1
    assert 1.0 <= rests[0] - 0.2 <= 1.6
    assert max(shop.mail.sent_at) < 10
    assert paused(shop) == []


def test_fewer_calls_are_on_their_way_after_it_and_more_with_each_that_goes_through(
    shop: Shop,
) -> None:
    """Too many at once is what 20429 says: half as many, then one more by one (TW-17)."""
    many(shop, 200)
    shop.limit(in_flight=16)
    shop.mail.takes = lambda _: 0.2
    shop.mail.answer = busy_at_first(1.0, Busy(1.0, "429"))

    shop.send_in_time()

    first = [at for at in shop.mail.sent_at if at < 1.0]
    later = sorted(at for at in shop.mail.sent_at if at > 1.0)
    assert len(first) == 16
    assert most_at_once(later[:12], 0.2) <= 8
    assert 8 < most_at_once(later, 0.2) <= 16


def test_a_single_busy_answer_lets_what_is_called_meanwhile_through(shop: Shop) -> None:
    """Of the calls that were on their way with it, what was accepted stays accepted, once (P1)."""
    many(shop, 60)
    shop.limit(in_flight=8)
    shop.mail.takes = lambda _: 0.2
    met: list[str] = []

    def answer(message: Outgoing) -> Result:
        met.append(message.send_id)
        return Busy(2.0, "429") if len(met) == 20 else Accepted(message.send_id)

    shop.mail.answer = answer

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (60, 0)
    assert len(set(met)) == len(met) == 61


def test_who_stays_busy_is_left_alone_for_longer_and_then_for_a_later_run(shop: Shop) -> None:
    """A wait of a second, again and again: rests double, few calls are made, the run ends."""
    many(shop, 50)
    shop.mail.takes = lambda _: 0.2
    shop.mail.answer = lambda _: Busy(1.0, "429")

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (0, 50)
    gaps = [b - a for a, b in pairwise(sorted(shop.mail.sent_at)) if b - a > 0.5]
    assert gaps[-1] > 32
    assert sum(gaps) < 4 * 60
    assert len(shop.mail.sent_at) < 50 + 60
    assert paused(shop) == [(Channel.EMAIL, 1)]
    assert {one.state for one in shop.messages()} == {S.QUEUED}


def test_without_a_header_each_wait_is_twice_as_long(shop: Shop) -> None:
    """1, 2, 4, 8 minutes and a little of chance, over runs: it backs off exponentially (SG-15)."""
    shop.enroll(phones=[])
    shop.mail.answer = lambda _: Busy(None, "429")
    called: list[datetime] = []
    while len(called) < 6:
        before = len(shop.mail.sent)
        shop.send()
        called += [shop.now] * (len(shop.mail.sent) - before)
        (message,) = shop.messages()
        assert message.due_at > shop.now
        shop.now = message.due_at

    waits = [(b - a) / MINUTE for a, b in pairwise(called)]

    for wait, least in zip(waits, (1, 2, 4, 8, 16), strict=True):
        assert least <= wait <= least * 1.5 + 1.5, waits
    assert not any(wait.is_integer() for wait in waits)


def test_a_silent_one_among_others_closes_nothing(shop: Shop) -> None:
    """One 429 without a header waits a minute or more by itself; the others go on."""
    many(shop, 30)
    met: list[str] = []

    def answer(message: Outgoing) -> Result:
        met.append(message.send_id)
        return Busy(None, "429") if len(met) == 10 else Accepted(message.send_id)

    shop.mail.answer = answer

    counts = shop.send_in_time()

    assert (counts.accepted, counts.postponed) == (29, 1)
    assert paused(shop) == []
    (waiting,) = [one for one in shop.messages() if one.state is S.QUEUED]
    assert MINUTE <= waiting.due_at - shop.now <= 1.6 * MINUTE


def test_other_workers_know_of_a_provider_that_is_busy_without_a_header(shop: Shop) -> None:
    """What one worker learned closes the channel for all; after the wait one message goes first."""
    many(shop, 20)
    shop.mail.answer = lambda _: Busy(None, "429")
    shop.send()
    many(shop, 20)
    before = len(shop.mail.sent)

    assert shop.send().postponed == 20
    assert len(shop.mail.sent) == before
    shop.now += 3 * MINUTE
    assert shop.send().accepted == 0
    assert len(shop.mail.sent) == before + 1, "one tries it"

    shop.now += 5 * MINUTE
    shop.mail.answer = None
    assert shop.send().accepted == 40
    assert paused(shop) == []


def test_two_workers_at_a_busy_provider_send_all_of_it_once(shop: Shop) -> None:
    """Each leaves it alone for as long as it asks, and what goes back is no other's twice (P1)."""
    many(shop, 120)
    shop.limit(in_flight=16)
    shop.mail.takes = lambda _: 0.2
    shop.mail.answer = busy_at_first(1.0, Busy(1.0, "429"))
    loop = VirtualLoop()

    async def both() -> tuple[SendCounts, SendCounts]:
        clock = LoopClock(shop.now, loop)
        return await asyncio.gather(shop.sending(clock), shop.sending(clock))

    first, second = run_virtually(loop, both())

    assert first.accepted + second.accepted == 120
    assert {one.state for one in shop.messages()} == {S.ACCEPTED}
    assert len({mail.send_id for mail in shop.mail.sent}) == len(shop.mail.sent)
    assert len(shop.mail.sent) <= 120 + 2 * 16


@pytest.mark.parametrize("seconds", [0.0, 1.0, 50.0])
def test_where_time_stands_still_it_goes_back_for_later(shop: Shop, seconds: float) -> None:
    """A run whose clock does not move neither waits nor hangs: all of it is postponed."""
    many(shop, 80)
    shop.mail.answer = lambda _: Busy(seconds, "429")

    counts = shop.send()

    assert (counts.accepted, counts.postponed) == (0, 80)
    assert len(shop.mail.sent) <= 64
    assert all(one.due_at >= shop.now + seconds * SECOND for one in shop.messages())

    shop.mail.answer = None
    shop.now += 5 * MINUTE
    assert shop.send().accepted == 80


def test_a_pause_that_is_over_holds_nothing_back_in_the_same_run(shop: Shop) -> None:
    """Mails were closed early in a long drain of texts: what comes due later leaves in it."""
    pace = shop.business.settings.policies.pace
    shop.limit(pace=pace.model_copy(update={"sms": 0.2}))
    many(shop, 12)
    for _ in range(60):
        shop.enroll(next_step="check-in")
    asks = shop.enroll(due_on=None, next_step=None)
    shop.mail.answer = busy_at_first(60.0, Busy(None, "429"))

    def look(at: float) -> None:
        if at == 200.0:
            with Session(shop.engine) as session, session.begin():
                queue_answer(session, asks, "hours", now=shop.now + 200 * SECOND)

    shop.send_in_time(look)

    states = {one.step: one.state for one in shop.messages(asks)}
    assert states == {"hours": S.ACCEPTED}


def test_what_the_provider_asked_for_is_waited_for_and_little_more() -> None:
    """Neither a floor nor the same instant for all; a minute where nothing was asked (SG-15)."""
    chances = [step / 50 for step in range(51)]
    for asked, least in ((1.0, 1.0), (90.0, 90.0), (0.0, 0.0), (None, 60.0)):
        waits = {back_off(asked, chance=chance).total_seconds() for chance in chances}
        assert least <= min(waits) <= max(waits) <= 1.5 * least
        assert len(waits) > 40 or not least


ROUNDS = st.lists(
    st.one_of(
        st.tuples(st.just("accepted"), st.integers(1, 40)),
        st.tuples(st.just("busy"), st.integers(1, 40)),
    ),
    max_size=20,
)


@given(limit=st.integers(1, 100), rounds=ROUNDS)
def test_a_throttle_halves_once_a_round_and_never_stops_the_channel(
    limit: int, rounds: list[tuple[str, int]]
) -> None:
    """Always between one call and all; acceptances only raise it, more of a round lowers no more.

    FACTS.md TW-17, 20429.
    """
    throttle = Throttle()
    for what, count in rounds:
        before, of = throttle.share(limit), throttle.round
        if what == "accepted":
            for _ in range(count):
                throttle.accepts()
            assert throttle.share(limit) >= before
        else:
            lowered = [throttle.lowers(of, flying=before) for _ in range(count)]
            assert lowered == [True] + [False] * (count - 1)
            assert throttle.share(limit) == max(1, before // 2)
        assert 1 <= throttle.share(limit) <= limit
    for _ in range(limit * limit):
        throttle.accepts()
    assert throttle.share(limit) == limit


@given(
    asked=st.lists(st.floats(0, LONGEST_REST.total_seconds()), min_size=1, max_size=12),
    seed=st.integers(),
)
def test_a_rest_is_as_long_as_asked_and_doubles(asked: list[float], seed: int) -> None:
    """Never shorter than the provider says, never over before it was, and at last too long."""
    throttle, rng, now = Throttle(), Random(seed), NOW  # noqa: S311 - tests replay
    least = SECOND
    for seconds in asked:
        throttle.lowers(throttle.round, flying=8)
        until = throttle.rest(now, seconds * SECOND, chance=rng.random())
        wait = max(least, seconds * SECOND)
        if wait > LONGEST_REST:
            assert until is None
            assert not throttle.rests(now)
            break
        assert until is not None
        assert now + wait <= until <= now + 1.5 * wait + SECOND / 1000
        assert throttle.rests(until - SECOND / 1000)
        assert not throttle.rests(until)
        now, least = until, 2 * least
    throttle.accepts()
    throttle.lowers(throttle.round, flying=8)
    again = throttle.rest(now, timedelta(0), chance=0.0)
    assert again == now + SECOND, "what went through begins anew"


@given(strikes=st.integers(0, 100), chance=st.floats(0, 1))
def test_each_closing_of_a_busy_channel_is_twice_as_long_up_to_an_hour(
    strikes: int, chance: float
) -> None:
    """1, 2, 4, ... 60 minutes, and up to half as much by chance (SG-15)."""
    least = min(2 ** max(strikes - 1, 0), 60) * MINUTE
    assert least <= stays_busy(strikes, chance=chance) <= 1.5 * least


@pytest.mark.parametrize("seconds", [1e12, 1e15, float("nan")], ids=str)
def test_an_answer_that_makes_no_sense_loses_no_other_call(
    shop: Shop, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    """P2: whatever cannot be made of one answer, the run goes on with all others.

    With one call at a time, the next one begins only when this one is known to have ended.
    """
    many(shop, 3)
    shop.limit(in_flight=1)
    met: list[str] = []

    def answer(message: Outgoing) -> Result:
        met.append(message.send_id)
        return Busy(seconds, "429") if len(met) == 1 else Accepted(message.send_id)

    def look(since: float) -> None:
        assert since < 600, "it never ends"

    shop.mail.answer = answer

    counts = shop.send_in_time(look)

    assert counts.accepted >= 2
    assert [one.state for one in shop.messages()][1:] == [S.ACCEPTED] * 2
    assert "@" not in caplog.text
