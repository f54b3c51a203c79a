"""The stand-ins accept, refuse, and keep as the providers do; our own senders talk to them."""

import asyncio
import json
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import aiohttp
import pytest

from tests.providers.examples import SERVICE, mail, text
from tests.sandbox.posting import ask_twilio, post_mail, post_text, senders_with
from winback.clock import SetClock
from winback.providers.outgoing import Accepted, Refused, Sender, Unclear
from winback.providers.outgoing import Busy as TryLater
from winback.providers.sendgrid import build_mail
from winback.sandbox.faults import Fault, FaultPlan, at_calls, by_chance
from winback.sandbox.stand_ins import Sandbox, stand_ins


async def test_a_mail_is_accepted_and_kept(stand: Sandbox, mails: Sender, clock: SetClock) -> None:
    """202 with X-Message-Id, and the record knows all that was asked for."""
    result = await mails.send(mail())

    (kept,) = stand.record.mails()
    assert result == Accepted(kept.message_id)
    assert (kept.send_id, kept.to_address, kept.subject) == (
        "send-1",
        "mary@example.com",
        "How are you?",
    )
    assert (kept.text, kept.html) == ("Dear Mary", "<p>Dear Mary</p>")
    assert kept.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (kept.categories, kept.reply_to) == (
        ("six-month", "concern"),
        "reply+abc@reply.example.com",
    )
    assert kept.at == clock.now()
    assert stand.record.mails(since_id=kept.id) == []


async def test_a_text_is_accepted_and_kept(stand: Sandbox, texts: Sender) -> None:
    """201 with a sid; the number of parts is not known yet (TW-9)."""
    result = await texts.send(text())

    (kept,) = stand.record.texts()
    assert result == Accepted(kept.sid, None)
    assert kept.sid.startswith("SM")
    assert len(kept.sid) == 34
    assert (kept.send_id, kept.to_number, kept.service) == ("send-2", "+12015550123", SERVICE)
    assert (kept.valid_for_seconds, kept.status) == (3600, "accepted")


async def test_the_record_outlives_the_stand_ins(tmp_path: Path, clock: SetClock) -> None:
    """What was accepted is still known after a restart, and ids go on."""
    path = tmp_path / "var" / "sandbox.db"
    for _ in range(2):
        with stand_ins(path, clock=clock, seed=1) as stand:
            assert await post_mail(stand, build_mail(mail())) == (202, None)

    with stand_ins(path, clock=clock) as stand:
        kept = stand.record.mails()
    assert [one.id for one in kept] == [1, 2]
    assert len({one.message_id for one in kept}) == 2


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no from": ({"from": None}, "from.email"),
    "bad from": ({"from": {"email": "anna"}}, "from.email"),
    "no personalizations": ({"personalizations": None}, "personalizations"),
    "empty personalizations": ({"personalizations": []}, "personalizations"),
    "nobody": ({"personalizations": [{}]}, "personalizations.0.to"),
    "bad address": (
        {"personalizations": [{"to": [{"email": "mary"}]}]},
        "personalizations.0.to.0.email",
    ),
    "twice": (
        {"personalizations": [{"to": [{"email": "a@example.com"}, {"email": "A@example.com"}]}]},
        "personalizations",
    ),
    "no subject": ({"subject": None}, "subject"),
    "no content": ({"content": None}, "content"),
    "empty content": ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
    "html first": (
        {
            "content": [
                {"type": "text/html", "value": "x"},
                {"type": "text/plain", "value": "x"},
            ]
        },
        "content",
    ),
    "reserved header": ({"headers": {"Subject": "x"}}, "headers.Subject"),
    "argument no text": ({"custom_args": {"wb_send_id": 7}}, "custom_args"),
    "eleven categories": ({"categories": list("abcdefghijk")}, "categories"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_mail_is_refused_as_the_service_does(stand: Sandbox, name: str) -> None:
    """The rules that the published description leaves out are kept here (MATERIAL.md, 1)."""
    changes, field = WRONG[name]
    changed = build_mail(mail()) | changes
    payload = {name: value for name, value in changed.items() if value is not None}

    status, body = await post_mail(stand, payload)

    assert status == 400
    assert body is not None
    assert field in [error["field"] for error in body["errors"]]
    assert stand.record.mails() == []


@pytest.mark.parametrize("payload", ["no object", [], {"from": 1}, {"personalizations": [7]}])
async def test_a_mail_of_another_shape_is_refused(stand: Sandbox, payload: object) -> None:
    """A stand-in never breaks."""
    status, _ = await post_mail(stand, payload)

    assert status == 400


async def test_a_wrong_key_is_refused(stand: Sandbox, clock: SetClock) -> None:
    """401 pauses the channel, at both providers."""
    for sender, message in senders_with(stand, clock, secret="wrong"):
        result = await sender.send(message)
        await sender.close()
        assert isinstance(result, Refused)
        assert result.scope == "channel"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "07700 900123"}, 21211),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"MessagingServiceSid": None}, 21603),
        ({"MessagingServiceSid": "MG1"}, 21701),
        ({"ValidityPeriod": "0"}, 20422),
        ({"ValidityPeriod": "36001"}, 20422),
        ({"ValidityPeriod": "soon"}, 20422),
        ({"StatusCallback": "https://my_shop.example.com/t"}, 21609),
    ],
)
async def test_a_wrong_text_is_refused_as_the_service_does(
    stand: Sandbox, form: dict[str, str | None], code: int
) -> None:
    """Numbers, bodies and validity that Twilio refuses are refused, with its codes."""
    status, body = await post_text(stand, form)

    assert (status, body["code"], body["status"]) == (400, code, 400)
    assert stand.record.texts() == []


async def test_stop_blocks_until_start(stand: Sandbox, texts: Sender) -> None:
    """TW-20: the whole text in any case blocks; "Stop please" does not; START lifts it."""
    stand.text_back("+12015550123", "Stop please")
    assert isinstance(await texts.send(text()), Accepted)

    stand.text_back("+12015550123", " stop ")
    refused = await texts.send(text())
    assert isinstance(refused, Refused)
    assert (refused.code, refused.scope) == ("21610", "recipient_opted_out")
    assert isinstance(await texts.send(text(to_number="+12015550199")), Accepted)

    stand.text_back("+12015550123", "START")
    assert isinstance(await texts.send(text()), Accepted)


async def test_a_text_can_be_found_listed_and_canceled(stand: Sandbox, texts: Sender) -> None:
    """TW-6, TW-34, TW-35: by sid, by number and whole days; only what has not left is canceled."""
    for _ in range(3):
        await texts.send(text())
    await texts.send(text(to_number="+12015550199"))
    sid = stand.record.texts()[0].sid

    _, one = await ask_twilio(stand, f"/Messages/{sid}.json")
    _, found = await ask_twilio(
        stand, "/Messages.json", {"To": "+12015550123", "DateSent>": "2026-03-02", "PageSize": "2"}
    )
    _, later = await ask_twilio(stand, "/Messages.json", {"DateSent>": "2026-03-03"})
    canceled, _ = await ask_twilio(stand, f"/Messages/{sid}.json", form={"Status": "canceled"})
    again, _ = await ask_twilio(stand, f"/Messages/{sid}.json", form={"Status": "canceled"})
    unknown, _ = await ask_twilio(stand, "/Messages/SM0.json")

    assert (one["sid"], one["status"], one["num_segments"]) == (sid, "accepted", "0")
    assert len(found["messages"]) == 2
    assert found["next_page_uri"] is not None
    assert later["messages"] == []
    assert (canceled, again, unknown) == (200, 400, 404)


@pytest.mark.parametrize(
    ("fault", "kind", "is_kept"),
    [
        (Fault.DROP_BEFORE, Unclear, False),
        (Fault.DROP_AFTER, Unclear, True),
        (Fault.ERROR_BEFORE, Unclear, False),
        (Fault.ERROR_AFTER, Unclear, True),
        (Fault.BUSY, TryLater, False),
        (Fault.BUSY_SILENT, TryLater, False),
        (Fault.DELAY, Accepted, True),
    ],
)
async def test_each_fault_does_what_it_says(
    *, stand: Sandbox, mails: Sender, texts: Sender, fault: Fault, kind: type, is_kept: bool
) -> None:
    """DS-21: from the sender's side the two drops look alike; only the record knows."""
    stand.faults = FaultPlan(choose=at_calls({1: fault, 2: fault}), delay_seconds=0.01)

    results = [await mails.send(mail()), await texts.send(text())]

    assert all(isinstance(result, kind) for result in results)
    assert (len(stand.record.mails()), len(stand.record.texts())) == (is_kept, is_kept)
    if fault is Fault.BUSY:
        assert [getattr(result, "retry_after_seconds", None) for result in results] == [1.0, 1.0]


def test_chance_is_replayed_by_its_seed() -> None:
    """DS-22: the same seed gives the same faults."""
    first, again = (
        [choose(call) for call in range(200)]
        for choose in (by_chance(Random(3), 0.2, *Fault) for _ in range(2))  # noqa: S311
    )

    assert first == again
    assert 10 < sum(fault is not None for fault in first) < 80


async def test_two_thousand_messages_a_second_are_no_trouble(stand: Sandbox) -> None:
    """The stand-ins must not be what a demo waits for; a generous floor keeps the test calm."""
    body = json.dumps(build_mail(mail())).encode()
    headers = {"Authorization": f"Bearer {stand.credentials.api_key}"}

    async with aiohttp.ClientSession(headers=headers) as session:

        async def post(count: int) -> None:
            for _ in range(count):
                async with session.post(f"{stand.url}/v3/mail/send", data=body) as response:
                    assert response.status == 202

        began = perf_counter()
        await asyncio.gather(*(post(25) for _ in range(16)))
        took = perf_counter() - began

    assert len(stand.record.mails()) == 400
    assert took < 4
