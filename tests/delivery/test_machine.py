"""The machine of a message: the moves of the send path, and news in any order."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.delivery.machine import (
    NEWS_STATE,
    RANK,
    TRANSITIONS,
    WHY,
    MessageEvent,
    after_news,
    move,
)
from winback.errors import IllegalTransition
from winback.states import EventKind, MessageState

ON_ITS_WAY = [MessageState.SENDING, MessageState.UNCONFIRMED, MessageState.ACCEPTED]


@pytest.mark.parametrize(("key", "after"), TRANSITIONS.items(), ids=str)
def test_every_line_of_the_table_is_a_move(
    key: tuple[MessageState, MessageEvent], after: MessageState
) -> None:
    """The table is what the machine does."""
    assert move(*key) is after


def test_every_surprising_line_has_its_reason() -> None:
    """A line without a reason is plain; a reason without a line is a mistake."""
    plain = {(MessageState.SENDING, MessageEvent.ACCEPT)}

    assert set(WHY) == set(TRANSITIONS) - plain


def test_every_other_move_is_refused() -> None:
    """A move that the table does not know is a bug, and says so."""
    unknown = set(product(MessageState, MessageEvent)) - set(TRANSITIONS)

    for state, event in unknown:
        with pytest.raises(IllegalTransition):
            move(state, event, message_id=7)


def test_what_is_in_doubt_never_goes_back_to_the_queue() -> None:
    """Only evidence leads out of unconfirmed; nothing makes it owed again (P1, FACTS.md DS-4)."""
    from_doubt = {
        after for (state, _), after in TRANSITIONS.items() if state is MessageState.UNCONFIRMED
    }

    assert MessageState.QUEUED not in from_doubt
    assert MessageState.SENDING not in from_doubt


@given(
    state=st.sampled_from(ON_ITS_WAY),
    news=st.lists(st.sampled_from(list(EventKind)), max_size=8),
    data=st.data(),
)
def test_news_in_any_order_ends_in_the_same_state(
    state: MessageState, news: list[EventKind], data: st.DataObject
) -> None:
    """Every permutation of a message's news gives one final state (FACTS.md SG-23, TW-14)."""
    shuffled = data.draw(st.permutations(news))

    ends = []
    for order in (news, shuffled):
        at = state
        for kind in order:
            at = after_news(at, kind)
        ends.append(at)

    assert ends[0] is ends[1]


@given(
    news=st.lists(st.sampled_from(list(NEWS_STATE)), min_size=1, max_size=5),
    own=st.sampled_from([MessageEvent.ACCEPT, None]),
    data=st.data(),
)
def test_our_own_record_may_come_before_or_after_the_news(
    news: list[EventKind], own: MessageEvent, data: st.DataObject
) -> None:
    """A webhook that is faster than the record of the call changes nothing in the end."""
    place = data.draw(st.integers(0, len(news)))

    at = MessageState.SENDING
    for kind in news[:place]:
        at = after_news(at, kind)
    at = move(at, own) if own is not None else at
    for kind in news[place:]:
        at = after_news(at, kind)

    assert at is max((NEWS_STATE[kind] for kind in news), key=RANK.__getitem__)


@pytest.mark.parametrize("state", [MessageState.SKIPPED, MessageState.CANCELED])
def test_news_does_not_touch_what_was_never_sent(state: MessageState) -> None:
    """A skipped or canceled message has no news."""
    assert after_news(state, EventKind.DELIVERED) is state


def test_a_word_that_we_do_not_know_proves_nothing() -> None:
    """Unknown provider words change no state."""
    assert after_news(MessageState.UNCONFIRMED, EventKind.UNKNOWN) is MessageState.UNCONFIRMED
