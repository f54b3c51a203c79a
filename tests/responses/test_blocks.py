"""A number that texts are blocked to: probably a no, so a person judges it (TW-17, 30004)."""

from datetime import timedelta

from sqlalchemy.orm import Session

from tests.delivery.shop import DAY
from tests.responses.ears import Ears
from winback.database.tables import Message
from winback.providers.events import RawEvent
from winback.providers.incoming import split_twilio_status
from winback.responses.desk import close
from winback.responses.results import Result
from winback.states import CaseKind, Channel, EnrollmentState, MessageState

S = MessageState
NUMBER = "+447911100001"


def blocked(message: Message, status: str = "undelivered") -> RawEvent:
    """Give the status callback of a text that was blocked on its way."""
    sid = message.provider_message_id
    form = f"MessageSid={sid}&MessageStatus={status}&ErrorCode=30004&To=%2B{NUMBER[1:]}"
    url = f"https://win.example.com/x?send_id={message.send_id}"
    (raw,) = split_twilio_status(form.encode(), url=url)
    return raw


def days(shop: Ears, number: int) -> None:
    """Let days go by, with what is sent on them."""
    for _ in range(number):
        shop.now += DAY
        shop.send()


def test_a_blocked_number_gets_no_more_texts_and_a_person_looks(shop: Ears) -> None:
    """Probably a no (TW-17): as with a reply that may be one, nothing is sent until it is known."""
    one, message = shop.written(next_step="check-in")

    counts = shop.hear(blocked(message), blocked(message, "failed"))
    days(shop, 20)

    (case,) = shop.cases()
    assert (case.kind, case.label, case.enrollment_id) == (CaseKind.REPLY, "maybe a no", one)
    assert "30004" in case.text
    assert counts.handed_over == 1
    assert shop.state(one) == EnrollmentState.HANDED_OVER
    assert shop.states(one) == [("check-in", Channel.SMS, S.FAILED)]


def test_what_the_associate_found_decides(shop: Ears) -> None:
    """No text goes to that number again, whoever has it; the way goes on by mail."""
    one, message = shop.written(next_step="check-in")
    shop.hear(blocked(message))
    with Session(shop.engine) as session, session.begin():
        close(session, shop.business, shop.cases()[0].id, Result.RESOLVED, now=shop.now)
    other = shop.enroll(next_step="check-in", phones=[NUMBER])

    days(shop, 40)

    assert {message.channel for message in shop.messages(one)[1:]} == {Channel.EMAIL}
    assert {message.channel for message in shop.messages(other)} == {Channel.EMAIL}
    assert len(shop.cases()) == 1


def test_who_said_no_already_is_not_asked_about(shop: Ears) -> None:
    """What was on its way when they wrote STOP tells nobody anything new (P3)."""
    one, message = shop.written(next_step="check-in")
    shop.hear(shop.text_back("STOP"))
    shop.now += timedelta(hours=1)

    shop.hear(blocked(message))

    assert shop.cases() == []
    assert shop.state(one) == EnrollmentState.SUPPRESSED
