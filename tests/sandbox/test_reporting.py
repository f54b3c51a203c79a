"""The stand-ins' webhooks verify and read with the product's own code."""

import asyncio
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.providers.examples import mail, text
from tests.sandbox.receiver import PUBLIC_URL, KeepingReceiver
from winback.clock import SetClock
from winback.environment import read_environment
from winback.providers.outgoing import Sender
from winback.sandbox.faults import FaultPlan
from winback.sandbox.stand_ins import MailEvent, Sandbox, TextEvent, stand_ins
from winback.states import EventKind, SuppressionReason


async def test_mail_events_arrive_signed_and_carry_our_send_id(
    stand: Sandbox, mails: Sender, received: KeepingReceiver
) -> None:
    """SG-12, SG-22, SG-26, SG-29: verified, split, and matched by id and by prefix."""
    await mails.send(mail())
    (kept,) = stand.record.mails()

    taken = await asyncio.to_thread(
        stand.report,
        [
            MailEvent(kept, "delivered"),
            MailEvent(kept, "open", fields={"sg_machine_open": True}),
            MailEvent(kept, "bounce", fields={"type": "bounce", "reason": "550 no such user"}),
        ],
    )

    assert taken == 3
    assert received.posts == 1
    kinds = [event.kind for event in received.events]
    assert kinds == [EventKind.DELIVERED, EventKind.OPENED, EventKind.BOUNCED]
    assert {event.send_id for event in received.events} == {"send-1"}
    assert received.events[1].is_machine
    assert received.events[2].suppression is SuppressionReason.BOUNCED
    assert len({raw.key for raw in received.raws}) == 3
    assert (received.events[0].provider_message_id or "").startswith(kept.message_id + ".")


async def test_many_events_go_in_batches(
    stand: Sandbox, mails: Sender, received: KeepingReceiver
) -> None:
    """SG-21: at most 500 in one signed post."""
    await mails.send(mail())
    (kept,) = stand.record.mails()

    taken = await asyncio.to_thread(stand.report, [MailEvent(kept, "open")] * 1001)

    assert (taken, received.posts, len(received.events)) == (1001, 3, 1001)


async def test_mail_events_wait_for_a_receiver_that_is_down(
    stand: Sandbox, mails: Sender, received: KeepingReceiver
) -> None:
    """SG-24: an outage of ours loses no event."""
    await mails.send(mail())
    received.fails = True
    assert await asyncio.to_thread(stand.flush) == 0

    received.fails = False
    assert await asyncio.to_thread(stand.flush) == 2

    assert [event.kind for event in received.events] == [EventKind.ACCEPTED, EventKind.DELIVERED]


async def test_flushing_moves_all_that_was_sent_once(
    stand: Sandbox, mails: Sender, texts: Sender, received: KeepingReceiver
) -> None:
    """In a plain run states move by themselves: mails processed and delivered, texts likewise."""
    await mails.send(mail())
    await texts.send(text())

    assert await asyncio.to_thread(stand.flush) == 4
    assert await asyncio.to_thread(stand.flush) == 0

    told = sorted((event.kind, event.send_id) for event in received.events)
    assert told == sorted(
        (kind, send_id)
        for kind in (EventKind.ACCEPTED, EventKind.DELIVERED)
        for send_id in ("send-1", "send-2")
    )
    assert stand.record.texts()[0].status == "delivered"


async def test_a_status_is_signed_for_the_public_url(
    stand: Sandbox, texts: Sender, received: KeepingReceiver
) -> None:
    """TW-12, TW-28: the send id in the query is covered, whatever address the receiver has."""
    await texts.send(text())
    (kept,) = stand.record.texts()

    assert await asyncio.to_thread(stand.report_status, kept.sid, "undelivered", 30005)

    (event,) = received.events
    assert (event.kind, event.send_id, event.code) == (EventKind.FAILED, "send-2", "30005")
    assert event.suppression is SuppressionReason.INVALID


async def test_a_status_of_an_unknown_text_is_a_mistake_of_the_caller(stand: Sandbox) -> None:
    """Nothing is reported of what was never accepted."""
    with pytest.raises(ValueError, match="sid"):
        stand.report_texts([TextEvent("SM0", "sent")])


def test_a_person_texts_back(stand: Sandbox, received: KeepingReceiver) -> None:
    """TW-21: without Advanced Opt-Out the words alone tell."""
    assert stand.text_back("+12015550123", "STOP")

    (event,) = received.events
    assert (event.kind, event.text, event.code) == (EventKind.REPLIED, "STOP", "")
    assert event.address == "+12015550123"
    assert stand.record.has_stopped("+12015550123")


def test_advanced_opt_out_names_the_word(clock: SetClock, httpserver: HTTPServer) -> None:
    """TW-21: with it, OptOutType is given."""
    with stand_ins(clock=clock, has_advanced_opt_out=True) as stand:
        received = KeepingReceiver(stand.credentials, clock)
        received.listen(httpserver)
        stand.deliver_to(httpserver.url_for(""), PUBLIC_URL)

        stand.text_back("+12015550123", "stopall")

    assert [event.kind for event in received.events] == [EventKind.UNSUBSCRIBED]


def test_a_person_mails_back(stand: Sandbox, received: KeepingReceiver) -> None:
    """SG-31: signed with the key of inbound mail, in UTF-8, with the envelope."""
    assert stand.mail_back(
        to="reply+tok@reply.example.com",
        from_address="Mary <mary@example.com>",
        subject="Re: How are you?",
        text="Schön, thank you",
        headers={"Auto-Submitted": "auto-replied"},
        envelope_from="",
    )

    (event,) = received.events
    assert (event.kind, event.address, event.text) == (
        EventKind.REPLIED,
        "mary@example.com",
        "Schön, thank you",
    )
    assert event.extra["to"] == ["reply+tok@reply.example.com"]
    assert event.extra["envelope_from"] == ""
    assert event.extra["headers"]["auto-submitted"] == "auto-replied"


async def test_webhooks_can_come_twice_and_in_disorder(
    stand: Sandbox, mails: Sender, received: KeepingReceiver
) -> None:
    """DS-21: duplicates have the same keys, so that storing them changes nothing."""
    stand.faults = FaultPlan(duplicate_webhooks=True, reorder_webhooks=True)
    await mails.send(mail())

    await asyncio.to_thread(stand.flush)

    assert len(received.raws) == 4
    assert len({raw.key for raw in received.raws}) == 2


def test_a_receiver_that_believes_in_another_url_refuses(
    stand: Sandbox, received: KeepingReceiver, httpserver: HTTPServer
) -> None:
    """TW-28: signed for the wrong public URL, nothing is taken."""
    stand.deliver_to(httpserver.url_for(""), "https://other.example.com")

    assert not stand.text_back("+12015550123", "hello")

    assert received.raws == []


def test_what_is_lent_to_an_environment(stand: Sandbox, tmp_path: Path) -> None:
    """The product gets URLs and keys as values, as it would from the environment."""
    own = read_environment({"WINBACK_SECRET": "s", "SENDGRID_API_KEY": "SG.real"}, tmp_path)

    lent = stand.lend_to(own)

    assert lent.is_loopback
    assert lent.sendgrid_api_key is not None
    assert lent.sendgrid_api_key.get_secret_value() == stand.credentials.api_key
    assert lent.sendgrid_webhook_keys == (stand.credentials.webhook_key,)
    assert lent.secret == own.secret
    assert stand.credentials.api_key not in repr(stand.credentials)


def test_a_seed_gives_the_same_secrets(clock: SetClock) -> None:
    """Demos replay; without a seed each start has its own."""
    made = []
    for seed in (7, 7, None):
        with stand_ins(clock=clock, seed=seed) as stand:
            made.append((stand.credentials.api_key, stand.credentials.webhook_key))

    assert made[0] == made[1] != made[2]
