"""What the providers are asked about doubts, over real HTTP: Email Logs and the message list."""

import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.providers.examples import ACCOUNT, API_KEY, TOKEN
from winback.providers.incoming import read_event, split_sendgrid_events, split_twilio_status
from winback.providers.lookups import (
    AFTER,
    BEFORE,
    AllowListedLookup,
    CannotTell,
    Found,
    LookedUp,
    NotThere,
    Rival,
    Sought,
)
from winback.providers.sendgrid_logs import (
    LIMIT,
    MOST_OPENED,
    STATUS_KINDS,
    SendGridLogs,
    build_query,
)
from winback.providers.twilio_list import LONGEST_QUEUE, MOST_PAGES, TwilioList
from winback.states import Channel, EventKind

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CLAIMED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
LATER = CLAIMED + timedelta(minutes=15)
NEXT_DAY = CLAIMED + timedelta(hours=24)
LOGS = "/v3/logs"
LIST = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
MAIL = Sought("send-1", "mary@example.com", CLAIMED)
TEXT = Sought("send-2", "+12015550123", CLAIMED, markers=("/l/abcdefghijklmnop",))
SID = "SM" + "0a" * 16


@pytest.fixture
async def logs(httpserver: HTTPServer) -> AsyncIterator[SendGridLogs]:
    """Give the look-up of mails, led to the test's server."""
    lookup = SendGridLogs(API_KEY, base_url=httpserver.url_for(""))
    yield lookup
    await lookup.close()


@pytest.fixture
async def texts(httpserver: HTTPServer) -> AsyncIterator[TwilioList]:
    """Give the look-up of texts, led to the test's server."""
    lookup = TwilioList(ACCOUNT, TOKEN, base_url=httpserver.url_for(""))
    yield lookup
    await lookup.close()


def summary(message_id: str, **changes: Any) -> dict[str, Any]:
    """Give one line of the logs, as the published description shapes it."""
    return {
        "from_email": "anna@example.com",
        "sg_message_id": message_id,
        "subject": "How are you?",
        "to_email": "mary@example.com",
        "reason": "",
        "status": "delivered",
        "sg_message_id_created_at": "2026-03-02T10:00:04Z",
    } | changes


def event(word: str, at: datetime, send_id: str = "send-1", **changes: Any) -> dict[str, Any]:
    """Give one event of a message in the logs."""
    return {
        "event": word,
        "email": "mary@example.com",
        "sg_message_id": "abc.recv-1",
        "sg_event_id": f"e-{word}",
        "timestamp": int(at.timestamp()),
        "custom_args": {"wb_send_id": send_id},
    } | changes


def detail(message_id: str, send_id: str, *events: dict[str, Any], **changes: Any) -> object:
    """Give all that the logs tell of one message."""
    return {
        "from_email": "anna@example.com",
        "sg_message_id": message_id,
        "subject": "How are you?",
        "to_email": "mary@example.com",
        "status": "delivered",
        "api_key_id": "key",
        "client_ip": "127.0.0.1",
        "custom_args": {"wb_send_id": send_id},
        "events": list(events),
    } | changes


def text(sid: str = SID, **changes: Any) -> dict[str, Any]:
    """Give one text as Twilio lists it."""
    return {
        "sid": sid,
        "to": "+12015550123",
        "from": "+12015550100",
        "body": "Olive & Oak: hello https://win.example.com/l/abcdefghijklmnop STOP to end",
        "status": "delivered",
        "direction": "outbound-api",
        "error_code": None,
        "date_created": "Mon, 02 Mar 2026 10:00:05 +0000",
        "date_updated": "Mon, 02 Mar 2026 10:00:09 +0000",
        "date_sent": "Mon, 02 Mar 2026 10:00:06 +0000",
    } | changes


def answer_logs(httpserver: HTTPServer, *messages: dict[str, Any]) -> None:
    """Let the list of the logs name these messages."""
    httpserver.expect_request(LOGS, method="POST").respond_with_json({"messages": messages})


def answer_list(httpserver: HTTPServer, *messages: dict[str, Any]) -> None:
    """Let Twilio list these texts on one page."""
    httpserver.expect_request(LIST).respond_with_json({"messages": messages, "next_page_uri": None})


async def test_a_mail_is_found_by_our_send_id(httpserver: HTTPServer, logs: SendGridLogs) -> None:
    """SG-43: recipient and time first, then the hit that names our send id, and no other."""
    answer_logs(httpserver, summary("other.recv-1"), summary("abc.recv-1"))
    httpserver.expect_request(f"{LOGS}/other.recv-1").respond_with_json(
        detail("other.recv-1", "send-9")
    )
    httpserver.expect_request(f"{LOGS}/abc.recv-1").respond_with_json(
        detail(
            "abc.recv-1",
            "send-1",
            event("processed", CLAIMED + timedelta(seconds=5)),
            event("delivered", CLAIMED + timedelta(seconds=9), response="250 OK"),
        )
    )

    found = await logs.find(MAIL, now=LATER)

    assert isinstance(found, Found)
    assert found.provider_message_id == "abc.recv-1"
    assert found.kind is EventKind.DELIVERED
    assert found.accepted_at == CLAIMED + timedelta(seconds=4)
    assert found.happened_at == CLAIMED + timedelta(seconds=9)
    (question, _), *_ = httpserver.log
    assert question.headers["Authorization"] == f"Bearer {API_KEY}"
    assert orjson.loads(question.get_data()) == {
        "query": "to_email = 'mary@example.com'"
        ' AND sg_message_id_created_at >= TIMESTAMP "2026-03-02T09:45:00Z"'
        ' AND sg_message_id_created_at <= TIMESTAMP "2026-03-02T11:00:00Z"',
        "limit": LIMIT,
    }


async def test_events_of_the_logs_are_those_of_the_webhook(
    httpserver: HTTPServer, logs: SendGridLogs
) -> None:
    """The same key, read alike: a webhook that comes later is a repeat (SG-22, SG-29)."""
    delivered = event("delivered", CLAIMED)
    answer_logs(httpserver, summary("abc.recv-1"))
    httpserver.expect_request(f"{LOGS}/abc.recv-1").respond_with_json(
        detail("abc.recv-1", "send-1", {**delivered, "event": "received"}, delivered)
    )

    found = await logs.find(MAIL, now=LATER)

    posted = {**delivered, "wb_send_id": "send-1"}
    (by_webhook,) = split_sendgrid_events(orjson.dumps([posted]))
    assert isinstance(found, Found)
    assert [record.key for record in found.records] == [by_webhook.key]
    read = read_event(found.records[0].origin, found.records[0].body)
    assert (read.kind, read.send_id) == (EventKind.DELIVERED, "send-1")


@pytest.mark.parametrize(("status", "kind"), [*STATUS_KINDS.items(), ("new", EventKind.ACCEPTED)])
async def test_every_status_of_the_logs_proves_at_least_acceptance(
    httpserver: HTTPServer, logs: SendGridLogs, status: str, kind: EventKind
) -> None:
    """What stands in the logs was taken, whatever became of it; the send id may stand in events."""
    answer_logs(httpserver, summary("abc.recv-1", status=status))
    httpserver.expect_request(f"{LOGS}/abc.recv-1").respond_with_json(
        detail("abc.recv-1", "", event("processed", CLAIMED), status=status, custom_args=None)
    )

    found = await logs.find(MAIL, now=LATER)

    assert isinstance(found, Found)
    assert found.kind is kind


async def test_a_mail_that_is_not_listed_is_not_there(
    httpserver: HTTPServer, logs: SendGridLogs
) -> None:
    """An empty list, or only others: nothing was found, and nothing more is said."""
    answer_logs(httpserver, summary("other.recv-1"), summary("gone.recv-1"), summary(""))
    httpserver.expect_request(f"{LOGS}/other.recv-1").respond_with_json(
        detail("other.recv-1", "send-9")
    )
    httpserver.expect_request(f"{LOGS}/gone.recv-1").respond_with_json({"errors": []}, status=404)

    assert await logs.find(MAIL, now=LATER) == NotThere("not in SendGrid's email logs")


async def test_of_many_mails_to_one_address_the_nearest_are_opened_first(
    httpserver: HTTPServer, logs: SendGridLogs
) -> None:
    """SEC-25: in mode test all mails go to one address, so ours may be one of hundreds."""
    made_at = (CLAIMED + timedelta(seconds=second) for second in range(1, 3 * MOST_OPENED))
    summaries = [
        summary(f"m{number}.recv-1", sg_message_id_created_at=at.isoformat())
        for number, at in enumerate(made_at)
    ]
    # Newest first, as far as anybody knows; ours is the fourth that was made.
    answer_logs(httpserver, *summaries[::-1])
    for number in range(3):
        httpserver.expect_request(f"{LOGS}/m{number}.recv-1").respond_with_json(
            detail(f"m{number}.recv-1", f"send-{number + 2}")
        )
    httpserver.expect_request(f"{LOGS}/m3.recv-1").respond_with_json(detail("m3.recv-1", "send-1"))

    found = await logs.find(MAIL, now=LATER)

    assert isinstance(found, Found)
    assert found.provider_message_id == "m3.recv-1"
    assert len(httpserver.log) == 5


async def test_not_all_of_too_many_mails_are_opened(
    httpserver: HTTPServer, logs: SendGridLogs
) -> None:
    """What was not opened may be ours: that it is not there is not said."""
    answer_logs(httpserver, *[summary(f"m{number}") for number in range(MOST_OPENED + 1)])
    httpserver.expect_request(re.compile(f"{LOGS}/m")).respond_with_json({}, status=404)

    assert isinstance(await logs.find(MAIL, now=LATER), CannotTell)
    assert len(httpserver.log) == 1 + MOST_OPENED


async def test_a_full_list_proves_nothing(httpserver: HTTPServer, logs: SendGridLogs) -> None:
    """Lists are not paged: ours may be beyond the last line."""
    answer_logs(httpserver, *[summary("") for _ in range(LIMIT)])

    assert isinstance(await logs.find(MAIL, now=LATER), CannotTell)


async def test_logs_that_do_not_reach_back_prove_nothing(
    httpserver: HTTPServer, logs: SendGridLogs
) -> None:
    """SendGrid keeps 30 days; what is older may well have been there."""
    answer_logs(httpserver)

    assert isinstance(await logs.find(MAIL, now=CLAIMED + timedelta(days=31)), CannotTell)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_without_the_permission_is_said_once(
    httpserver: HTTPServer, logs: SendGridLogs, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """SG-23, SG-43: a key made for sending may not read logs; it is not asked again and again."""
    httpserver.expect_request(LOGS).respond_with_json({"errors": []}, status=status)

    with caplog.at_level(logging.WARNING):
        answers = [await logs.find(MAIL, now=LATER) for _ in range(3)]

    assert answers == [CannotTell(f"the key may not read SendGrid's email logs ({status})")] * 3
    assert len(httpserver.log) == 1
    assert len(caplog.records) == 1
    assert "mary" not in caplog.text


@pytest.mark.parametrize(
    ("status", "body", "is_passing"),
    [
        pytest.param(429, "{}", True, id="busy"),
        pytest.param(500, "<html>", True, id="server error"),
        pytest.param(400, '{"errors": []}', False, id="question refused"),
        pytest.param(200, "<html>", False, id="no JSON"),
        pytest.param(200, "[]", False, id="no object"),
        pytest.param(200, '{"messages": null}', False, id="no list"),
    ],
)
async def test_no_answer_is_never_taken_for_not_there(
    *,
    httpserver: HTTPServer,
    logs: SendGridLogs,
    texts: TwilioList,
    status: int,
    body: str,
    is_passing: bool,
) -> None:
    """DS-5: only a list that was read can lack a message."""
    for path in (LOGS, LIST):
        httpserver.expect_request(path).respond_with_data(body, status=status)

    for answer in (await logs.find(MAIL, now=LATER), await texts.find(TEXT, now=NEXT_DAY)):
        assert isinstance(answer, CannotTell)
        assert answer.is_passing is is_passing


async def test_a_provider_that_is_away_is_asked_again() -> None:
    """Nothing listens there: that passes."""
    mails = SendGridLogs(API_KEY, base_url="http://127.0.0.1:9")
    texts = TwilioList(ACCOUNT, TOKEN, base_url="http://127.0.0.1:9")

    answers: list[LookedUp] = [
        await mails.find(MAIL, now=LATER),
        await texts.find(TEXT, now=LATER),
    ]

    assert all(isinstance(one, CannotTell) and one.is_passing for one in answers)
    await mails.close()
    await texts.close()


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("mary@example.com", "to_email = 'mary@example.com'"),
        ("o'neill@example.com", 'to_email = "o\'neill@example.com"'),
        ("o'\"@example.com", None),
        ("a\\@example.com", None),
        ("a\n@example.com", None),
    ],
)
def test_an_address_cannot_leave_its_quotes(address: str, written: str | None) -> None:
    """SEC-7: what could end the quotes is not asked for at all."""
    query = build_query(Sought("s", address, CLAIMED))

    assert (query.partition(" AND ")[0] if query else None) == written


async def test_a_text_is_found_by_its_own_link(httpserver: HTTPServer, texts: TwilioList) -> None:
    """TW-34, TW-35: recipient, whole days before and after, then the marker and the time."""
    answer_list(
        httpserver,
        text("SM" + "1" * 32, body="another text"),
        text("SM" + "2" * 32, date_created="Sun, 01 Mar 2026 09:00:00 +0000"),
        text("SM" + "3" * 32, direction="inbound"),
        text("SM" + "4" * 32, date_created=None),
        text(status="undelivered", error_code=30005),
    )

    found = await texts.find(TEXT, now=LATER)

    assert isinstance(found, Found)
    assert found.provider_message_id == SID
    assert (found.kind, found.code) == (EventKind.FAILED, "30005")
    assert found.accepted_at == CLAIMED + timedelta(seconds=5)
    assert found.happened_at == CLAIMED + timedelta(seconds=9)
    (question, _), *_ = httpserver.log
    assert dict(question.args) == {
        "To": "+12015550123",
        "DateSent>": "2026-03-01",
        "DateSent<": "2026-03-03",
        "PageSize": "100",
    }
    assert question.authorization is not None
    assert (question.authorization.username, question.authorization.password) == (ACCOUNT, TOKEN)


async def test_the_status_of_the_list_is_that_of_the_callback(
    httpserver: HTTPServer, texts: TwilioList
) -> None:
    """The same key, read alike: a callback that comes later is a repeat (TW-31)."""
    answer_list(httpserver, text(status="failed", error_code=30005))

    found = await texts.find(TEXT, now=LATER)

    posted = f"MessageSid={SID}&MessageStatus=failed".encode()
    (by_callback,) = split_twilio_status(posted, url="https://x.example/?send_id=send-2")
    assert isinstance(found, Found)
    assert [record.key for record in found.records] == [by_callback.key]
    read = read_event(found.records[0].origin, found.records[0].body)
    assert (read.kind, read.send_id, read.suppression) == (
        EventKind.FAILED,
        "send-2",
        "invalid",
    )


async def test_all_pages_of_the_list_are_read(httpserver: HTTPServer, texts: TwilioList) -> None:
    """TW-34: 50 to a page unless asked; the next page is led to our own base URL."""

    def page(request: Request) -> Response:
        number = int(request.args.get("Page", "0"))
        is_last = number == 2
        body = {
            "messages": [text()] if is_last else [text("SM" + "1" * 32, body="another")],
            "next_page_uri": None if is_last else f"{LIST}?Page={number + 1}&PageToken=PASM1",
        }
        return Response(orjson.dumps(body), content_type="application/json")

    httpserver.expect_request(LIST).respond_with_handler(page)

    assert isinstance(await texts.find(TEXT, now=LATER), Found)
    assert len(httpserver.log) == 3


@pytest.mark.parametrize("leads_to", [f"{LIST}?Page=1", "https://evil.example/x.json?Page=1"])
async def test_a_list_without_end_or_that_leads_elsewhere_proves_nothing(
    httpserver: HTTPServer, texts: TwilioList, leads_to: str
) -> None:
    """Pages are followed within the list only, and not for ever."""
    httpserver.expect_request(LIST).respond_with_json({"messages": [], "next_page_uri": leads_to})

    assert isinstance(await texts.find(TEXT, now=NEXT_DAY), CannotTell)
    assert len(httpserver.log) in (1, MOST_PAGES)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (CLAIMED + LONGEST_QUEUE - timedelta(seconds=1), CannotTell),
        (CLAIMED + LONGEST_QUEUE, NotThere),
    ],
)
async def test_what_may_wait_in_the_queue_is_not_missing(
    httpserver: HTTPServer, texts: TwilioList, now: datetime, expected: type[LookedUp]
) -> None:
    """TW-35: the filter knows what was sent; a text may wait there for ten hours (TW-3)."""
    answer_list(httpserver)

    assert isinstance(await texts.find(TEXT, now=now), expected)


async def test_of_two_texts_with_our_link_the_first_counts(
    httpserver: HTTPServer, texts: TwilioList
) -> None:
    """The list is newest first; the row is settled with the text that its call made."""
    later = text("SM" + "5" * 32, date_created="Mon, 02 Mar 2026 10:14:00 +0000")
    answer_list(httpserver, later, text())

    found = await texts.find(TEXT, now=LATER)

    assert isinstance(found, Found)
    assert found.provider_message_id == SID
    assert [one.provider_message_id for one in found.further] == [later["sid"]]


@pytest.mark.parametrize(
    ("made_at", "is_of_then"),
    [
        pytest.param(CLAIMED - BEFORE, True, id="their clock is slow"),
        pytest.param(CLAIMED + AFTER, True, id="ours is"),
        pytest.param(CLAIMED - BEFORE - SECOND, False, id="before"),
        pytest.param(CLAIMED + AFTER + SECOND, False, id="after"),
    ],
)
async def test_only_a_text_of_the_minutes_around_the_call_counts(
    *, httpserver: HTTPServer, texts: TwilioList, made_at: datetime, is_of_then: bool
) -> None:
    """DS-5: Twilio dates a text at the call; a claim is called within seconds, clocks differ."""
    answer_list(httpserver, text(date_created=format_datetime(made_at)))

    assert isinstance(await texts.find(TEXT, now=NEXT_DAY), Found) is is_of_then


@pytest.mark.parametrize(
    ("rival", "is_proof"),
    [
        pytest.param(Rival(TEXT.address, CLAIMED + MINUTE, ("hello",)), False, id="its words"),
        pytest.param(Rival(TEXT.address, CLAIMED + MINUTE, ()), False, id="words unknown"),
        pytest.param(Rival(TEXT.address, CLAIMED + MINUTE, ("goodbye",)), True, id="other words"),
        pytest.param(Rival(TEXT.address, NEXT_DAY, ("hello",)), True, id="another day"),
        pytest.param(Rival("+12015550199", CLAIMED, ("hello",)), True, id="another number"),
    ],
)
async def test_what_may_be_a_rival_is_no_proof(
    *, httpserver: HTTPServer, texts: TwilioList, rival: Rival, is_proof: bool
) -> None:
    """DS-5: evidence that fits two of our messages in doubt settles neither of them."""
    answer_list(httpserver, text())

    found = await texts.find(replace(TEXT, rivals=(rival,)), now=NEXT_DAY)

    assert isinstance(found, Found if is_proof else CannotTell)


async def test_a_text_with_a_sid_is_asked_for_alone(
    httpserver: HTTPServer, texts: TwilioList
) -> None:
    """TW-33: a lost callback is repaired by asking for that one text."""
    known = Sought("send-2", "+12015550123", CLAIMED, provider_message_id=SID)
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json"
    httpserver.expect_oneshot_request(path).respond_with_json(text(status="sent"))
    httpserver.expect_request(path).respond_with_json({}, status=404)

    found = await texts.find(known, now=LATER)

    assert isinstance(found, Found)
    assert found.kind is EventKind.ACCEPTED
    assert await texts.find(known, now=LATER) == NotThere("Twilio does not know its sid")


async def test_a_text_that_nothing_is_known_by_is_not_asked_for(texts: TwilioList) -> None:
    """Without a marker any text to that number would do: no evidence."""
    unknown = Sought("send-2", "+12015550123", CLAIMED)

    assert isinstance(await texts.find(unknown, now=LATER), CannotTell)


async def test_mode_test_asks_for_the_address_that_was_written_to(
    httpserver: HTTPServer, logs: SendGridLogs
) -> None:
    """SEC-25: the sender rewrote the recipient, so the question must, too."""
    answer_logs(httpserver)

    asked = AllowListedLookup(logs, ("me@example.com",))
    nobody = AllowListedLookup(logs, ("+12015550123",))

    assert (asked.name, asked.channel) == ("sendgrid", Channel.EMAIL)
    assert isinstance(await asked.find(MAIL, now=LATER), NotThere)
    assert b"'me@example.com'" in httpserver.log[0][0].get_data()
    assert isinstance(await nobody.find(MAIL, now=LATER), CannotTell)
