"""What comes in about somebody who was erased: acted on, and not kept."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import SECRET
from tests.locks import behind
from tests.responses.ears import Ears
from winback.customers.privacy import erase_customer
from winback.customers.suppression import is_suppressed
from winback.database.tables import Message, Move
from winback.states import Channel, EventState

MAIL = "ann1@example.com"
OTHER = "bea@example.com"


def forget(shop: Ears, message: Message) -> None:
    """Erase the person that a message was written to, as ``winback customer erase`` does."""
    with Session(shop.engine) as session, session.begin():
        erase_customer(session, message.customer_id, now=shop.now, secret=SECRET)


def kept(shop: Ears) -> str:
    """Give all that the events, the messages and their history tell in words."""
    with Session(shop.engine) as session:
        rows = [(one.body, one.error) for one in shop.events()]
        reasons = session.scalars(select(Message.reason)).all()
        return f"{rows} {reasons} {session.scalars(select(Move.why)).all()}"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        pytest.param("deferred", {"response": f"450 {MAIL} mailbox busy"}, id="deferred"),
        pytest.param("delivered", {"response": f"250 ok for {MAIL}"}, id="delivered"),
        pytest.param("bounce", {"reason": f"550 no user {MAIL}", "type": "bounce"}, id="bounced"),
        pytest.param("dropped", {"reason": f"Invalid {MAIL}"}, id="dropped"),
        pytest.param("open", {"ip": "192.0.2.7"}, id="opened"),
        pytest.param("unsubscribe", {}, id="a no"),
        pytest.param("group_resubscribe", {}, id="of no kind that we know"),
    ],
)
def test_an_event_about_somebody_who_was_erased_is_applied_and_emptied(
    shop: Ears, event: str, says: dict[str, str]
) -> None:
    """FACTS.md LAW-39: what a provider still tells must not bring back what was forgotten."""
    _, message = shop.written(emails=[MAIL])
    forget(shop, message)

    shop.hear(shop.report(message, event, email=MAIL, **says))

    (left,) = shop.events()
    assert (left.state, left.message_id) == (EventState.APPLIED, message.id)
    assert left.body == {}
    assert "ann1" not in kept(shop)
    assert "192.0.2.7" not in kept(shop)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_event_that_is_applied_while_its_person_is_erased_is_emptied(shop: Ears) -> None:
    """FACTS.md LAW-39: who applies it waits for the erasure; on SQLite all writers take turns."""
    enrollment, message = shop.written(emails=[MAIL])

    def erase(session: Session) -> None:
        erase_customer(session, message.customer_id, now=shop.now, secret=SECRET)

    says = {"type": "bounce", "status": "5.1.1", "reason": f"550 no user {MAIL}"}
    behind(
        shop.engine, erase, lambda: shop.hear(shop.report(message, "bounce", email=MAIL, **says))
    )

    assert [one.body for one in shop.events()] == [{}]
    assert [one.state for one in shop.messages(enrollment)] == ["bounced"]
    assert "ann1" not in kept(shop)


def test_a_bounce_of_an_erased_persons_mail_still_closes_the_message(shop: Ears) -> None:
    """What it says of the message is a number of the account, and stays one."""
    enrollment, message = shop.written(emails=[MAIL])
    forget(shop, message)

    says = {"type": "bounce", "status": "5.1.1", "reason": f"550 no user {MAIL}"}
    shop.hear(shop.report(message, "bounce", email=MAIL, **says))

    (after,) = shop.messages(enrollment)
    assert (after.state, after.provider_code, after.reason) == ("bounced", "5.1.1", "")


def test_a_letter_from_a_forgotten_address_is_known_by_its_hash(shop: Ears) -> None:
    """Without any id of ours only the address can say whose it was; a stranger's is kept."""
    _, message = shop.written(emails=[MAIL])
    forget(shop, message)

    shop.hear(
        shop.mail_back(None, "Please stop", **{"from": f"Ann <{MAIL}>"}),
        shop.mail_back(None, "Who are you?", **{"from": f"Bea <{OTHER}>"}),
    )

    forgotten, strangers = shop.events()
    assert (forgotten.body, forgotten.state) == ({}, EventState.APPLIED)
    assert strangers.body["from"] == f"Bea <{OTHER}>"


def test_what_is_heard_about_others_stays(shop: Ears) -> None:
    """Emptied is what is about the erased person, in one batch with everybody else's."""
    _, first = shop.written(emails=[MAIL])
    _, second = shop.written(emails=[OTHER])
    forget(shop, first)

    shop.hear(
        shop.report(first, "delivered", email=MAIL), shop.report(second, "delivered", email=OTHER)
    )

    bodies = {one.message_id: one.body for one in shop.events()}
    assert bodies[first.id] == {}
    assert bodies[second.id]["email"] == OTHER


def test_a_forgotten_person_who_writes_is_still_answered(shop: Ears) -> None:
    """A new letter is theirs to send: it opens a case with its words, and no stays a no."""
    enrollment, message = shop.written(emails=[MAIL])
    forget(shop, message)
    shop.now += timedelta(minutes=1)

    shop.hear(shop.mail_back(message, "You have my old order still, what about it?"))

    (case,) = shop.cases()
    assert case.text == "You have my old order still, what about it?"
    assert shop.events()[-1].body == {}
    with Session(shop.engine) as session:
        assert is_suppressed(session, shop.enrollment(enrollment).customer_id, Channel.EMAIL)
