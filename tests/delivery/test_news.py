"""News of providers about messages: any order, one end; evidence settles doubts."""

from itertools import permutations

import pytest
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.delivery.news import apply_news
from winback.providers.outgoing import Refused, Unclear
from winback.states import Channel, EventKind, MessageState

K, S = EventKind, MessageState


def tell(shop: Shop, message_id: int, *kinds: EventKind) -> None:
    """Apply news, each in a transaction of its own."""
    for kind in kinds:
        with Session(shop.engine) as session, session.begin():
            apply_news(
                session,
                message_id,
                kind,
                at=shop.now,
                code="1",
                reason="told",
                provider_message_id="p",
            )


def test_any_order_of_the_same_news_ends_alike(shop: Shop) -> None:
    """Delivered, deferred, failed and bounced in any order: bounced (FACTS.md SG-23)."""
    news = (K.DELIVERED, K.DEFERRED, K.FAILED, K.BOUNCED)
    for _ in permutations(news):
        shop.enroll()
    shop.send()

    for message, order in zip(shop.messages(), permutations(news), strict=True):
        tell(shop, message.id, *order)

    assert {message.state for message in shop.messages()} == {S.BOUNCED}


def test_late_evidence_settles_a_doubt_and_sends_nothing(shop: Shop) -> None:
    """An event with our send id repairs the row; the next run passes the step (DS-5, DS-7)."""
    shop.mail.answer = lambda _: Unclear("the reply was lost")
    one = shop.enroll()
    shop.send()

    tell(shop, shop.messages(one)[0].id, K.DELIVERED)
    shop.mail.answer = None
    again = shop.send()

    (message,) = shop.messages(one)
    assert (message.state, message.accepted_at) == (S.DELIVERED, shop.now)
    assert message.provider_message_id == "p"
    assert again.accepted == 0
    assert len(shop.mail.sent) == 1
    assert shop.passages(one) == {"concern": "accepted"}


def test_a_wait_counts_from_the_acceptance_not_from_the_run_that_hears_of_it(shop: Shop) -> None:
    """The check-in comes five days after the concern was accepted, however late we learn of it."""
    shop.mail.answer = lambda _: Unclear("the reply was lost")
    one = shop.enroll()
    accepted_on = shop.now.date()
    shop.send()
    tell(shop, shop.messages(one)[0].id, K.ACCEPTED)

    shop.now += 2 * DAY
    shop.send()

    row = shop.enrollment(one)
    assert (row.next_step, row.due_on) == ("check-in", accepted_on + 5 * DAY)


def test_evidence_after_a_day_changes_the_row_and_not_the_way(shop: Shop) -> None:
    """A doubt that was passed after a day is repaired later; nothing goes twice (P1)."""
    shop.mail.answer = lambda _: Unclear("the reply was lost")
    one = shop.enroll()
    shop.send()
    shop.now += DAY
    shop.send()
    due_on = shop.enrollment(one).due_on

    tell(shop, shop.messages(one)[0].id, K.ACCEPTED)
    shop.send()

    assert shop.messages(one)[0].state is S.ACCEPTED
    assert shop.passages(one) == {"concern": "unconfirmed"}
    assert shop.enrollment(one).due_on == due_on


def test_news_before_our_own_record_is_kept(shop: Shop) -> None:
    """A webhook that is faster than the record of the call wins, and the ids are added."""

    def answer(_: object) -> Unclear:
        (row,) = shop.messages()
        tell(shop, row.id, K.DELIVERED)
        return Unclear("the reply was lost")

    shop.mail.answer = answer
    one = shop.enroll()

    shop.send()

    assert shop.states(one) == [("concern", Channel.EMAIL, S.DELIVERED)]


@pytest.mark.parametrize("kind", [K.UNKNOWN, K.OPENED])
def test_what_tells_nothing_new_changes_nothing(shop: Shop, kind: EventKind) -> None:
    """Unknown words and opens of an accepted message leave its state alone."""
    one = shop.enroll()
    shop.send()

    tell(shop, shop.messages(one)[0].id, kind)

    assert shop.messages(one)[0].state is S.ACCEPTED


def test_evidence_for_a_refused_text_never_breaks_promise_one(shop: Shop) -> None:
    """A refusal that was wrong is told on its row; the step stays accepted once (P1)."""
    shop.texts.answer = lambda _: Refused("400", "no", "message")
    one = shop.enroll(next_step="check-in")
    shop.send()
    refused, by_mail = shop.messages(one)

    tell(shop, refused.id, K.DELIVERED)

    refused, by_mail = shop.messages(one)
    assert (refused.state, refused.accepted_at) == (S.DELIVERED, None)
    assert by_mail.accepted_at is not None
