"""What providers report of our account, our mails' reputation and the carriers reaches a person."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.delivery.shop import SECRET
from tests.responses.ears import Ears
from winback.customers.privacy import erase_customer
from winback.database.tables import Alert, Message
from winback.providers.incoming import RawEvent
from winback.states import MessageState
from winback.watching import look_after

HOUR = timedelta(hours=1)
QUOTA = {"reason": "Recipient List over Package Quota"}


def status(message: Message, **fields: str) -> RawEvent:
    """Give one status callback of Twilio about a text."""
    sid = message.provider_message_id
    body = {"MessageSid": sid, "wb_send_id": message.send_id, "MessageStatus": "undelivered"}
    return RawEvent(f"twilio.status:{sid}", "twilio.status", body | fields)


def look(shop: Ears) -> list[str]:
    """Look after the shop at its instant."""
    return look_after(shop.business, now=shop.now, at=shop.now)


def standing(engine: Engine) -> list[str]:
    """Give the keys of the alerts that stand."""
    with Session(engine) as session:
        query = select(Alert.key).where(Alert.ended_at.is_(None)).order_by(Alert.key)
        return list(session.scalars(query))


def test_what_is_wrong_with_the_account_is_told_with_its_count(shop: Ears) -> None:
    """SG-19, TW-17: nobody is suppressed for a quota or a filter, so somebody must hear of it."""
    mails = [shop.written()[1] for _ in range(3)]
    _, text = shop.written(next_step="check-in")
    shop.hear(*(shop.report(mail, "dropped", **QUOTA) for mail in mails))
    shop.hear(status(text, ErrorCode="30007"))
    assert {one.state for one in shop.messages()} == {MessageState.FAILED}
    told = look(shop)
    assert [one.partition(" in 24 hours")[0] for one in told] == [
        "sendgrid says 'dropped: package quota': 3 messages were not delivered for that",
        "twilio says '30007 filtered by the carrier': 1 message was not delivered for that",
    ]
    assert look(shop) == [], "told once"
    shop.now += 25 * HOUR
    assert look(shop) == []
    assert standing(shop.engine) == []


@pytest.mark.parametrize("when", ["before it is told", "before it is reported"])
def test_erasing_somebody_hides_no_fault_of_the_account(shop: Ears, when: str) -> None:
    """LAW-39 empties what was reported of one person; the others' reports say the same."""
    (_, first), (enrollment_id, last) = shop.written(), shop.written()
    customer_id = shop.enrollment(enrollment_id).customer_id
    if when == "before it is told":
        shop.hear(shop.report(first, "dropped", **QUOTA), shop.report(last, "dropped", **QUOTA))
    with Session(shop.engine) as session, session.begin():
        erase_customer(session, customer_id, now=shop.now, secret=SECRET)
    if when == "before it is reported":
        shop.hear(shop.report(first, "dropped", **QUOTA), shop.report(last, "dropped", **QUOTA))

    [told] = look(shop)

    assert told.startswith("sendgrid says 'dropped: package quota': ")


def test_what_goes_on_is_told_once_a_day(shop: Ears) -> None:
    """A filter that stands for a week is seven alerts, each with the number of its day."""
    told = []
    for _ in range(2):
        for _ in range(3):
            _, text = shop.written(next_step="check-in")
            shop.hear(status(text, ErrorCode="30007"))
            told += look(shop)
        shop.now += 20 * HOUR
    assert len(told) == 2
    assert standing(shop.engine) == ["reported:twilio:30007 filtered by the carrier:2026-03-03"]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        pytest.param("bounce", {"type": "bounce"}, id="a dead address"),
        pytest.param("bounce", {"type": "blocked"}, id="a block"),
        pytest.param("dropped", {"reason": "Bounced Address"}, id="dropped for its address"),
        pytest.param("deferred", {"reason": "busy"}, id="not yet"),
    ],
)
def test_what_is_about_one_address_is_no_alert(
    shop: Ears, event: str, fields: dict[str, Any]
) -> None:
    """Every day brings a few of these; the brake looks at their number."""
    _, mail = shop.written()
    shop.hear(shop.report(mail, event, **fields))
    assert look(shop) == []


def test_a_refusal_for_reputation_is_told_and_names_nobody(shop: Ears) -> None:
    """SG-20: not one address, but what a mailbox provider thinks of us."""
    _, mail = shop.written()
    fields = {"type": "blocked", "bounce_classification": "Reputation"}
    shop.hear(shop.report(mail, "bounce", reason="550 ann1@example.com no", **fields))
    [told] = look(shop)
    assert "refused: reputation" in told
    assert "ann1" not in told
