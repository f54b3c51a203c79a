"""Evidence of unclear sends: the stand-ins' Email Logs and message list, raw and by our clients."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.conftest import NOW
from tests.providers.examples import mail, text
from tests.sandbox.posting import ask_twilio
from winback.clock import SetClock
from winback.providers.lookups import CannotTell, Found, NotThere, Sought
from winback.providers.outgoing import Sender, Unclear
from winback.providers.sendgrid_logs import SendGridLogs
from winback.providers.twilio_list import TwilioList
from winback.sandbox.faults import Fault, FaultPlan, at_calls
from winback.sandbox.stand_ins import MailEvent, Sandbox
from winback.states import EventKind

FROM_NOW = 'sg_message_id_created_at >= TIMESTAMP "2026-03-02T10:00:00Z"'
LATER = NOW + timedelta(days=2)


async def ask_logs(
    stand: Sandbox, query: object = "", *, path: str = "", **more: object
) -> tuple[int, dict[str, Any]]:
    """Ask Email Logs for a list, or for one message below ``path``."""
    headers = {"Authorization": f"Bearer {stand.credentials.api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(
            "GET" if path else "POST",
            f"{stand.url}/v3/logs{path}",
            json=None if path else {"query": query, **more},
        ) as response,
    ):
        return response.status, await response.json()


@pytest.fixture
async def three(stand: Sandbox, mails: Sender, clock: SetClock) -> Sandbox:
    """Give stand-ins that accepted three mails, one an hour: two to Mary, one to Paul."""
    for number, who in enumerate(("mary", "paul", "mary")):
        clock.set_to(NOW + timedelta(hours=number))
        await mails.send(
            mail(
                send_id=f"send-{number}",
                to_address=f"{who}@example.com",
                subject=f"Number {number}",
                categories=("six-month", f"step-{number}"),
            )
        )
    return stand


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [2, 1, 0]),
        ('to_email = "mary@example.com"', [2, 0]),
        ("to_email = 'mary@example.com' AND subject = 'Number 0'", [0]),
        (FROM_NOW, [2, 1, 0]),
        (f'{FROM_NOW} AND sg_message_id_created_at < TIMESTAMP "2026-03-02T11:00:00Z"', [0]),
        ('sg_message_id_created_at > TIMESTAMP "2026-03-02T11:00:00Z"', [2]),
        ("categories IN ('step-1', 'step-2')", [2, 1]),
        ("status IN ('processed')", [2, 1, 0]),
        ("status IN ('bounced', 'delivered')", []),
        ("sg_message_id = 'abc'", []),
        ("reason = 'none'", []),
    ],
)
async def test_logs_are_filtered(three: Sandbox, query: str, found: list[int]) -> None:
    """SG-43: fields and operators of the published description, joined by AND, newest first."""
    status, body = await ask_logs(three, query)

    assert status == 200
    assert [one["subject"] for one in body["messages"]] == [f"Number {number}" for number in found]


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("to_email > 'a'", 10),
        ("to_email = mary", 10),
        ("wb_send_id = 'send-1'", 10),
        ("to_email = 'a' OR to_email = 'b'", 10),
        ("to_email = 'a' AND", 10),
        ("sg_message_id_created_at > TIMESTAMP 'soon'", 10),
        (7, 10),
        ("", 0),
        ("", 1001),
    ],
)
async def test_a_filter_that_is_none_is_refused(stand: Sandbox, query: object, limit: int) -> None:
    """SG-43: no other field or operator, no nesting, 1 to 1000; nobody asks for arguments."""
    status, body = await ask_logs(stand, query, limit=limit)

    assert (status, body["errors"][0]["field"]) == (400, "query")


async def test_a_list_of_logs_has_the_shape_that_is_described(three: Sandbox) -> None:
    """Each field that the description requires is there, the limit is kept, events give status."""
    latest = three.record.mails()[-1]
    await asyncio.to_thread(three.report, [MailEvent(latest, "delivered")])

    _, body = await ask_logs(three, "", limit=1)

    assert body["messages"] == [
        {
            "from_email": "anna@example.com",
            "sg_message_id": latest.full_id,
            "subject": "Number 2",
            "to_email": "mary@example.com",
            "reason": "",
            "status": "delivered",
            "sg_message_id_created_at": "2026-03-02T12:00:00Z",
        }
    ]


async def test_one_message_of_the_logs_names_our_send_id(three: Sandbox) -> None:
    """SG-43: custom arguments stand in a field of their own, also in each event."""
    first = three.record.mails()[0]
    events = [MailEvent(first, "processed"), MailEvent(first, "bounce", fields={"type": "blocked"})]
    await asyncio.to_thread(three.report, events)

    _, body = await ask_logs(three, path="/" + quote(first.full_id, safe=""))

    assert body["custom_args"] == {"wb_send_id": "send-0"}
    assert (body["status"], body["category"]) == ("blocked", ["six-month", "step-0"])
    assert [one["event"] for one in body["events"]] == ["processed", "bounce"]
    assert all(one["custom_args"] == {"wb_send_id": "send-0"} for one in body["events"])
    assert not any("wb_send_id" in one for one in body["events"])


async def test_a_message_is_shown_by_its_whole_id_only(three: Sandbox) -> None:
    """SG-11: X-Message-Id is but a prefix of the id that the logs know."""
    first = three.record.mails()[0]

    for wrong in (first.message_id, f"{first.message_id}.recvd-stand-in-1.99", "1", "x.²"):
        status, _ = await ask_logs(three, path="/" + quote(wrong, safe=""))
        assert status == 404


async def test_logs_that_were_not_bought_are_forbidden(stand: Sandbox) -> None:
    """SG-44: without the add-on nothing can be told, and sending goes on."""
    stand.faults = FaultPlan(has_logs=False)
    logs = SendGridLogs(stand.credentials.api_key, base_url=stand.url)

    status, _ = await ask_logs(stand)
    answer = await logs.find(Sought("send-1", "mary@example.com", NOW), now=LATER)
    await logs.close()

    assert status == 403
    assert isinstance(answer, CannotTell)


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE])
async def test_our_client_finds_what_was_accepted_without_an_answer(
    stand: Sandbox, mails: Sender, fault: Fault
) -> None:
    """DS-5, SG-43: the logs alone tell the two lost replies apart."""
    stand.faults = FaultPlan(choose=at_calls({1: fault}))
    assert isinstance(await mails.send(mail()), Unclear)
    logs = SendGridLogs(stand.credentials.api_key, base_url=stand.url)

    answer = await logs.find(Sought("send-1", "mary@example.com", NOW), now=LATER)
    await logs.close()

    if fault is Fault.DROP_BEFORE:
        assert isinstance(answer, NotThere)
    else:
        assert isinstance(answer, Found)
        assert answer.kind is EventKind.ACCEPTED
        assert answer.provider_message_id == stand.record.mails()[0].full_id


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.ERROR_BEFORE])
async def test_our_client_finds_a_text_by_its_words(
    stand: Sandbox, texts: Sender, fault: Fault
) -> None:
    """TW-34, TW-35: by recipient, whole days and a mark in the body, over all pages."""
    for _ in range(150):
        await texts.send(text(body="Olive & Oak: another one. STOP to end"))
    stand.faults = FaultPlan(choose=at_calls({151: fault}))
    assert isinstance(await texts.send(text(body="https://win.example.com/l/abc STOP")), Unclear)
    lists = TwilioList(
        stand.credentials.account_sid, stand.credentials.auth_token, base_url=stand.url
    )

    sought = Sought("send-2", "+12015550123", NOW, markers=("/l/abc",))
    answer = await lists.find(sought, now=LATER)
    await lists.close()

    if fault is Fault.ERROR_BEFORE:
        assert isinstance(answer, NotThere)
    else:
        assert isinstance(answer, Found)
        assert answer.provider_message_id == stand.record.texts()[-1].sid


async def test_pages_stay_what_they_are_when_more_is_sent(stand: Sandbox, texts: Sender) -> None:
    """TW-34: a page goes on after the last sid of the one before; nothing is shown twice."""
    for _ in range(5):
        await texts.send(text())
    _, first = await ask_twilio(stand, "/Messages.json", {"PageSize": "2"})
    await texts.send(text())

    pages, following = [first], first["next_page_uri"]
    while following is not None:
        _, page = await ask_twilio(stand, following.partition(stand.credentials.account_sid)[2])
        pages.append(page)
        following = page["next_page_uri"]

    shown = [one["sid"] for page in pages for one in page["messages"]]
    assert shown == [one.sid for one in stand.record.texts()[:5][::-1]]
    assert [(page["page"], page["start"], page["end"]) for page in pages] == [
        (0, 0, 1),
        (1, 2, 3),
        (2, 4, 4),
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"DateSent": "2026-03-02"}, 1),
        ({"DateSent": "2026-03-01"}, 0),
        ({"DateSent<": "2026-03-01"}, 0),
        ({"DateSent>": "2026-03-02", "DateSent<": "2026-03-02"}, 1),
        ({"To": "+12015550199"}, 0),
        ({"From": "+12025550100"}, 1),
        ({"From": "+12025550199"}, 0),
        ({"PageSize": "0"}, 1),
    ],
)
async def test_texts_are_filtered(
    stand: Sandbox, texts: Sender, query: dict[str, str], count: int
) -> None:
    """TW-35: whole days in GMT, both ends included."""
    await texts.send(text())

    _, page = await ask_twilio(stand, "/Messages.json", query)

    assert len(page["messages"]) == count
