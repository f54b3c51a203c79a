"""What is reported about a message in doubt settles it, by whichever id it comes (SG-12, DS-5)."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.test_evidence import FakeLookup, found, in_doubt
from tests.responses.ears import Ears
from winback.database.tables import ContactPoint, Message, Voucher
from winback.delivery.evidence import resolve_doubts
from winback.delivery.settling import Verdict, settle_by_hand
from winback.providers.incoming import RawEvent, split_sendgrid_events, split_twilio_status
from winback.states import Channel, EventKind, MessageState, VoucherState

X_MESSAGE_ID = "14c5d75ce93.dfd"
"""As SendGrid's header gives it; it may hold dots itself (FACTS.md SG-11)."""
SID = "SM" + "0a" * 16


def known_as(shop: Ears, message: Message, provider_id: str) -> None:
    """Let the id of the provider be known although the message is in doubt."""
    with Session(shop.engine) as session, session.begin():
        session.execute(
            update(Message).where(Message.id == message.id).values(provider_message_id=provider_id)
        )


def callback(status: str, query: str = "", **fields: Any) -> RawEvent:
    """Give one status callback of Twilio."""
    form = "&".join(
        f"{name}={value}"
        for name, value in {"MessageSid": SID, "MessageStatus": status, **fields}.items()
    )
    (raw,) = split_twilio_status(form.encode(), url=f"https://win.example.com/x{query}")
    return raw


def test_a_mail_in_doubt_is_settled_by_our_send_id(shop: Ears) -> None:
    """The first way: the send id that travelled with it."""
    one = in_doubt(shop)
    (message,) = shop.messages(one)

    shop.hear(shop.report(message, "processed"))

    (message,) = shop.messages(one)
    assert message.state is MessageState.ACCEPTED


def test_a_webhook_gives_what_a_dead_worker_left_its_cost(shop: Ears) -> None:
    """Whoever brings the proof, what hangs on the message is put right, too."""
    one = in_doubt(shop)
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Message).values(cost=0))

    shop.hear(shop.report(shop.messages(one)[0], "processed"))

    (message,) = shop.messages(one)
    assert message.cost == shop.business.settings.economics.email_cost


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        (f"{X_MESSAGE_ID}.recvd-5bd-1-2-A-1.0", MessageState.DELIVERED),
        (X_MESSAGE_ID, MessageState.DELIVERED),
        ("14c5d75ce93", MessageState.UNCONFIRMED),
        (f"x{X_MESSAGE_ID}.recvd-1", MessageState.UNCONFIRMED),
    ],
)
def test_a_mail_in_doubt_is_settled_by_the_prefix_of_its_id(
    shop: Ears, reported: str, state: MessageState
) -> None:
    """The second way (SG-11, SG-12): events whose custom arguments were lost; a prefix, no less."""
    one = in_doubt(shop)
    known_as(shop, shop.messages(one)[0], X_MESSAGE_ID)
    event = shop.report(shop.messages(one)[0], "delivered", sg_message_id=reported)
    del event.body["wb_send_id"]

    shop.hear(event)
    shop.send()

    (message,) = shop.messages(one)
    assert message.state is state
    assert len(shop.mail.sent) == 1


def test_a_text_in_doubt_is_settled_by_its_send_id_or_its_sid(shop: Ears) -> None:
    """TW-12: the send id stands in the callback's URL; where that is lost, the sid is ours."""
    by_id, by_sid = (in_doubt(shop, next_step="check-in") for _ in range(2))
    (first,), (second,) = shop.messages(by_id), shop.messages(by_sid)
    known_as(shop, second, "SM" + "0b" * 16)

    shop.hear(
        callback("delivered", f"?send_id={first.send_id}"),
        callback("undelivered", MessageSid="SM" + "0b" * 16, ErrorCode="30003"),
    )

    (first,), (second,) = shop.messages(by_id), shop.messages(by_sid)
    assert (first.state, first.provider_message_id) == (MessageState.DELIVERED, SID)
    assert second.state is MessageState.FAILED
    assert second.accepted_at is not None


def test_what_a_look_up_finds_takes_the_webhooks_road(shop: Ears) -> None:
    """A bounce that only the logs told closes the address, too, and the webhook then repeats it."""
    one = in_doubt(shop)
    (message,) = shop.messages(one)
    shop.now += timedelta(minutes=1)
    bounce = shop.report(message, "bounce", type="bounce", reason="550 no such user")
    (record,) = split_sendgrid_events(orjson.dumps([bounce.body]))
    lookup = FakeLookup(Channel.EMAIL, found(EventKind.BOUNCED, record))

    asyncio.run(resolve_doubts(shop.business, {Channel.EMAIL: lookup}, now=shop.now))
    first = shop.respond()
    again = shop.hear(bounce)

    (message,) = shop.messages(one)
    assert message.state is MessageState.BOUNCED
    with Session(shop.engine) as session:
        points = session.scalars(select(ContactPoint))
        assert {point.channel: point.is_reachable for point in points} == {
            Channel.EMAIL: False,
            Channel.SMS: True,
        }
    assert (first.events, again.events) == (1, 0)
    assert [event.message_id for event in shop.events()] == [message.id]


@pytest.mark.parametrize("by", ["a click at the provider", "a reason", "our link", "the way out"])
def test_whatever_a_person_does_with_it_repairs_what_was_called_not_sent(
    shop: Ears, by: str
) -> None:
    """DS-7, P6: our own pages know no id of the provider, and prove as much as its webhook does."""
    one = in_doubt(shop, next_step="voucher")
    (message,) = shop.messages(one)
    with Session(shop.engine) as session, session.begin():
        settle_by_hand(session, shop.business, message.id, Verdict.NOT_SENT, now=shop.now)
    shop.now += timedelta(hours=3)

    match by:
        case "a reason":
            shop.tap(message, "forgot")
        case "our link":
            shop.follow(message)
        case "the way out":
            shop.stop(message)
        case _:
            shop.hear(shop.report(message, "click", url="https://shop.example.com/"))

    (message,) = shop.messages(one)
    assert (message.state, message.accepted_at) == (MessageState.ACCEPTED, shop.now)
    with Session(shop.engine) as session:
        voucher = session.get_one(Voucher, message.voucher_id)
        assert (voucher.state, voucher.issued_by) == (VoucherState.ISSUED, message.id)
