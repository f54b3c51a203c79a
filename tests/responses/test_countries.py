"""A status that tells of a whole country: no text reaches it, so all others there wait (TW-17)."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY
from tests.responses.ears import Ears
from winback.database.tables import Message, Pause
from winback.enrollment.pausing import PauseScope, resume
from winback.providers.events import RawEvent
from winback.providers.incoming import split_twilio_status
from winback.states import Channel, MessageState

S = MessageState
WHERE = {"country": "US", "time_zone": "America/New_York"}


def failed(message: Message, number: str, code: int) -> RawEvent:
    """Give the status callback of a text that Twilio took and could not deliver."""
    sid = message.provider_message_id
    form = f"MessageSid={sid}&MessageStatus=undelivered&ErrorCode={code}&To=%2B{number[1:]}"
    url = f"https://win.example.com/x?send_id={message.send_id}"
    (raw,) = split_twilio_status(form.encode(), url=url)
    return raw


def american(shop: Ears, number: int) -> int:
    """Enroll somebody in New York whose first step is a text."""
    return shop.enroll(next_step="check-in", phones=[f"+1201555{number:04}"], customer=WHERE)


def paused(shop: Ears) -> list[tuple[str, str]]:
    """Give scope and name of what stands still."""
    with Session(shop.engine) as session:
        standing = select(Pause.scope, Pause.name).where(Pause.resumed_at.is_(None))
        return [tuple(row) for row in session.execute(standing)]


@pytest.mark.parametrize("code", [30034, 21408])
def test_texts_to_a_country_wait_for_an_operator(shop: Ears, code: int) -> None:
    """TW-17: texts to the US stop, mails and texts to others go on."""
    shop.now = shop.now.replace(hour=17)
    first = american(shop, 101)
    shop.send()
    (message,) = shop.messages(first)

    shop.hear(failed(message, "+12015550101", code))
    second, at_home = american(shop, 102), shop.enroll(next_step="check-in")
    shop.send()

    assert paused(shop) == [("country", "US")]
    assert shop.states(first) == [("check-in", Channel.SMS, S.FAILED)]
    assert shop.states(second) == [("check-in", Channel.SMS, S.QUEUED)]
    assert shop.states(at_home) == [("check-in", Channel.SMS, S.ACCEPTED)]


def test_what_failed_of_its_own_pauses_nothing(shop: Ears) -> None:
    """A filtered text says nothing of its country."""
    shop.now = shop.now.replace(hour=17)
    first = american(shop, 101)
    shop.send()

    shop.hear(failed(shop.messages(first)[0], "+12015550101", 30007))

    assert paused(shop) == []


def test_late_news_of_before_does_not_pause_again(shop: Ears) -> None:
    """An operator let the country go on: what was called before that tells nothing new."""
    shop.now = shop.now.replace(hour=17)
    before, also = american(shop, 101), american(shop, 102)
    shop.send()
    shop.hear(failed(shop.messages(before)[0], "+12015550101", 30034))
    shop.now += timedelta(hours=1)
    with Session(shop.engine) as session, session.begin():
        resume(session, PauseScope.COUNTRY, "US", now=shop.now, zone=shop.business.zone)

    shop.hear(failed(shop.messages(also)[0], "+12015550102", 30034))
    assert paused(shop) == []

    shop.now += DAY
    after = american(shop, 103)
    shop.send()
    shop.hear(failed(shop.messages(after)[0], "+12015550103", 30034))
    assert paused(shop) == [("country", "US")]
