"""The senders over real HTTP: what an answer means, and parity with the vendors' own clients."""

import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
import sendgrid
from pytest_httpserver import HTTPServer
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from werkzeug import Request, Response

from tests.providers.examples import ACCOUNT, API_KEY, CLOCK, TOKEN, mail, text
from winback.providers.outgoing import (
    Accepted,
    Busy,
    Outgoing,
    Refused,
    Sender,
    Unclear,
)
from winback.providers.sendgrid import SendGridSender, build_mail
from winback.providers.transport import Transport
from winback.providers.twilio import TwilioSender
from winback.providers.twilio_codes import CODES

SEND = "/v3/mail/send"
CREATE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


@pytest.fixture
async def mails(httpserver: HTTPServer) -> AsyncIterator[Sender]:
    """Give a SendGrid sender that talks to the test's server."""
    sender = SendGridSender(API_KEY, clock=CLOCK, base_url=httpserver.url_for(""))
    yield sender
    await sender.close()


@pytest.fixture
async def texts(httpserver: HTTPServer) -> AsyncIterator[Sender]:
    """Give a Twilio sender that talks to the test's server."""
    sender = TwilioSender(ACCOUNT, TOKEN, clock=CLOCK, base_url=httpserver.url_for(""))
    yield sender
    await sender.close()


async def test_202_is_accepted_with_the_message_id(httpserver: HTTPServer, mails: Sender) -> None:
    """202 means accepted, and X-Message-Id is kept for matching (SG-10, SG-11)."""
    httpserver.expect_request(SEND, method="POST").respond_with_data(
        "", status=202, headers={"X-Message-Id": "abc"}
    )

    assert await mails.send(mail()) == Accepted("abc")


@pytest.mark.parametrize(
    ("status", "scope"),
    [
        (400, "message"),
        (401, "channel"),
        (403, "channel"),
        (404, "channel"),
        (405, "channel"),
        (413, "message"),
    ],
)
async def test_sendgrid_refuses_for_good(
    httpserver: HTTPServer, mails: Sender, status: int, scope: str
) -> None:
    """SG-14: surely not sent; what every other mail would meet pauses the channel."""
    httpserver.expect_request(SEND).respond_with_json(
        {"errors": [{"message": "no", "field": None, "help": None}]}, status=status
    )

    result = await mails.send(mail())

    assert isinstance(result, Refused)
    assert (result.code, result.reason, result.scope) == (str(status), "no", scope)


async def test_an_invalid_recipient_is_told_apart(httpserver: HTTPServer, mails: Sender) -> None:
    """The field of the error names the recipient, and the reason does not quote the address."""
    httpserver.expect_request(SEND).respond_with_json(
        {
            "errors": [
                {
                    "message": "bad address mary@example.com",
                    "field": "personalizations.0.to.0.email",
                }
            ]
        },
        status=400,
    )

    assert await mails.send(mail()) == Refused("400", "bad address (address)", "address_invalid")


@pytest.mark.parametrize("body", ["<html>no</html>", "", "[]", '{"errors": {}}', '{"errors": []}'])
async def test_an_error_body_of_another_shape_does_no_harm(
    httpserver: HTTPServer, mails: Sender, texts: Sender, body: str
) -> None:
    """SG-13: a proxy's HTML page is an answer, too: not the provider's, and not the message's."""
    for status in (400, 404, 407, 422):
        httpserver.clear()
        httpserver.expect_request(SEND).respond_with_data(body, status=status)
        httpserver.expect_request(CREATE).respond_with_data(body, status=status)

        said = str(status)
        assert await mails.send(mail()) == Refused(said, f"status {said}", "channel")
        assert await texts.send(text()) == Refused(said, f"status {said}, no code", "channel")


async def test_a_mail_that_is_too_large_is_its_own_fault(
    httpserver: HTTPServer, mails: Sender
) -> None:
    """413 by a proxy says something of this mail; the others may pass."""
    httpserver.expect_request(SEND).respond_with_data("<html>too large</html>", status=413)

    assert await mails.send(mail()) == Refused("413", "status 413", "message")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param(
            {"X-RateLimit-Reset": str(int(CLOCK.instant.timestamp()) + 30)}, 30.0, id="reset"
        ),
        pytest.param(
            {"X-RateLimit-Reset": str(int(CLOCK.instant.timestamp()) - 5)}, 0.0, id="reset past"
        ),
        pytest.param({"X-RateLimit-Reset": "1"}, None, id="reset long past"),
        pytest.param(
            {"X-RateLimit-Reset": str(int(CLOCK.instant.timestamp()) * 1000 + 30_000)},
            None,
            id="reset in milliseconds",
        ),
        pytest.param({"X-RateLimit-Reset": "1e15"}, None, id="reset of no calendar"),
        pytest.param({"X-RateLimit-Reset": "soon"}, None, id="reset unreadable"),
        pytest.param({"X-RateLimit-Reset": "1", "Retry-After": "7"}, 7.0, id="only one is right"),
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param({"Retry-After": "Mon, 02 Mar 2026 10:01:00 GMT"}, 60.0, id="date"),
        pytest.param({"Retry-After": "86400"}, 86_400.0, id="a day"),
        pytest.param({"Retry-After": "86401"}, None, id="longer than a day"),
        pytest.param({"Retry-After": "1e12"}, None, id="no time that an instant can hold"),
        pytest.param({"Retry-After": "-1"}, None, id="less than nothing"),
        pytest.param({"Retry-After": "nan"}, None, id="no number"),
        pytest.param({"Retry-After": "Fri, 31 Dec 9999 23:59:59 -0100"}, None, id="no such date"),
        pytest.param({"Retry-After": "Mon, 02 Mar 2027 10:00:00 GMT"}, None, id="date far off"),
        pytest.param({}, None, id="no header"),
    ],
)
async def test_429_is_busy_for_as_long_as_it_says(
    *,
    httpserver: HTTPServer,
    mails: Sender,
    texts: Sender,
    headers: dict[str, str],
    wait: float | None,
) -> None:
    """SG-15, TW-17: never processed, safe to try again; headers may be missing, or senseless."""
    for path in (SEND, CREATE):
        httpserver.expect_request(path).respond_with_data("", status=429, headers=headers)

    for sender, message in ((mails, mail()), (texts, text())):
        result = await sender.send(message)
        assert isinstance(result, Busy)
        assert result.retry_after_seconds == wait


@pytest.mark.parametrize("status", [200, 204, 301, 408, 500, 502, 503, 504])
async def test_anything_else_is_unclear(
    httpserver: HTTPServer, mails: Sender, texts: Sender, status: int
) -> None:
    """DS-3: 5xx and what no provider describes may have been sent; nothing is followed."""
    for path in (SEND, CREATE):
        httpserver.expect_request(path).respond_with_data(
            "", status=status, headers={"Location": "/elsewhere"}
        )

    assert isinstance(await mails.send(mail()), Unclear)
    assert isinstance(await texts.send(text()), Unclear)


@pytest.mark.parametrize(("segments", "kept"), [("2", 2), ("0", None), (None, None)])
async def test_201_is_accepted_with_the_sid(
    httpserver: HTTPServer, texts: Sender, segments: str | None, kept: int | None
) -> None:
    """TW-9: a messaging service says 0 segments at first, which is no error."""
    httpserver.expect_request(CREATE, method="POST").respond_with_json(
        {"sid": "SM1", "status": "accepted", "num_segments": segments}, status=201
    )

    assert await texts.send(text()) == Accepted("SM1", kept)


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_listed_code_does_what_its_row_says(
    httpserver: HTTPServer, texts: Sender, code: int
) -> None:
    """TW-17, TW-18: each row of the table at the call."""
    httpserver.expect_request(CREATE).respond_with_json(
        {"code": code, "message": "to +12015550123", "status": 400}, status=400
    )

    result = await texts.send(text())

    row = CODES[code]
    if row.scope is None:
        assert isinstance(result, Busy)
        assert result.retry_after_seconds == row.wait_seconds
    else:
        assert result == Refused(str(code), row.meaning, row.scope)


@pytest.mark.parametrize(
    ("status", "code", "scope"),
    [
        (400, 21610, "recipient_opted_out"),
        (400, 21211, "address_invalid"),
        (400, 21408, "country"),
        (400, 30034, "sender_in_country"),
        (401, 20003, "channel"),
        (403, 99999, "channel"),
        (422, 99999, "message"),
    ],
)
async def test_whose_fault_a_refused_text_is(
    *, httpserver: HTTPServer, texts: Sender, status: int, code: int, scope: str
) -> None:
    """An opted-out person, a bad number, our account, or one message: four different ends."""
    httpserver.expect_request(CREATE).respond_with_json({"code": code}, status=status)

    result = await texts.send(text())

    assert isinstance(result, Refused)
    assert result.scope == scope


@pytest.fixture
def closed_port() -> int:
    """Give a loopback port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def senders_at(url: str, transport: Transport) -> list[tuple[Sender, Outgoing]]:
    """Give both senders at one URL over one transport."""
    return [
        (SendGridSender(API_KEY, clock=CLOCK, base_url=url, transport=transport), mail()),
        (TwilioSender(ACCOUNT, TOKEN, clock=CLOCK, base_url=url, transport=transport), text()),
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_connection_is_surely_not_sent(closed_port: int, scheme: str) -> None:
    """DS-3: refused before a byte was written is safe to try again."""
    transport = Transport()

    for sender, message in senders_at(f"{scheme}://127.0.0.1:{closed_port}", transport):
        assert isinstance(await sender.send(message), Busy)

    await transport.close()


async def test_a_refused_tls_handshake_is_surely_not_sent(httpserver: HTTPServer) -> None:
    """DS-3: a server that does not speak TLS got no request."""
    transport = Transport()

    for sender, message in senders_at(f"https://127.0.0.1:{httpserver.port}", transport):
        assert isinstance(await sender.send(message), Busy)

    await transport.close()


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """Give the URL of a server that takes the request and hangs up without an answer."""
    with HTTPServer(host="127.0.0.1") as server:

        def hang_up(request: Request) -> Response:
            request.get_data()
            # Werkzeug's own way to break a connection off in the middle of an answer.
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response(status=202)

        server.expect_request(SEND).respond_with_handler(hang_up)
        server.expect_request(CREATE).respond_with_handler(hang_up)
        yield server.url_for("")


async def test_a_lost_reply_is_unclear(hanging_up: str) -> None:
    """DS-3: a reset after the write may have been sent, and is posted once only."""
    transport = Transport()

    for sender, message in senders_at(hanging_up, transport):
        assert isinstance(await sender.send(message), Unclear)

    await transport.close()


async def test_a_late_reply_is_unclear() -> None:
    """DS-3: a read timeout may have been sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transport = Transport(timeout=aiohttp.ClientTimeout(sock_read=0.05))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        for sender, message in senders_at(url, transport):
            assert isinstance(await sender.send(message), Unclear)

        await transport.close()


async def test_a_message_over_the_limits_is_refused_without_a_call(
    httpserver: HTTPServer, mails: Sender, texts: Sender
) -> None:
    """A message that breaks a limit ends as refused, and the provider never hears of it."""
    over = await mails.send(mail(headers={"To": "x"})), await texts.send(text(body="x" * 1601))

    assert [(type(result), getattr(result, "scope", "")) for result in over] == [
        (Refused, "message"),
        (Refused, "message"),
    ]
    assert httpserver.log == []


def ours_and_theirs(httpserver: HTTPServer) -> list[Request]:
    """Give the two requests that the server got."""
    requests = [request for request, _ in httpserver.log]
    assert len(requests) == 2
    return requests


SENT_BY_THE_CLIENT = {"Host", "Connection", "Accept-Encoding", "Content-Length"}


def own_headers(request: Request) -> dict[str, str]:
    """Give the headers that the packages set, without those of the connection."""
    return {name: value for name, value in request.headers if name not in SENT_BY_THE_CLIENT}


async def test_parity_with_the_sendgrid_package(httpserver: HTTPServer, mails: Sender) -> None:
    """Our transport posts what SendGrid's own ``send`` posts: path, headers, body."""
    httpserver.expect_request(SEND).respond_with_data("", status=202)

    await mails.send(mail())
    sendgrid.SendGridAPIClient(API_KEY, host=httpserver.url_for("")).send(build_mail(mail()))

    ours, theirs = ours_and_theirs(httpserver)
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert own_headers(ours) == own_headers(theirs)
    assert json.loads(ours.data) == json.loads(theirs.data)


class MovedTwilioClient(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own HTTP client, led to the test's server."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=5)
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **named: Any) -> Any:
        """Make the request elsewhere."""
        return super().request(
            method, url.replace("https://api.twilio.com", self._base_url), *args, **named
        )


async def test_parity_with_the_twilio_package(httpserver: HTTPServer, texts: Sender) -> None:
    """Our transport posts what Twilio's own client posts: path, headers, form."""
    httpserver.expect_request(CREATE).respond_with_json({"sid": "SM1"}, status=201)
    moved = MovedTwilioClient(httpserver.url_for("").rstrip("/"))

    await texts.send(text())
    Client(ACCOUNT, TOKEN, http_client=moved).messages.create(
        to=text().to_number,
        body=text().body,
        messaging_service_sid=text().messaging_service,
        status_callback=text().status_callback + "?send_id=send-2",
        validity_period=3600,
    )
    moved.session.close()

    ours, theirs = ours_and_theirs(httpserver)
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert own_headers(ours) == own_headers(theirs)
    assert ours.form.to_dict(flat=False) == theirs.form.to_dict(flat=False)
    assert parse_qs(ours.query_string) == {}


async def test_no_secret_and_no_person_is_logged_at_debug(
    httpserver: HTTPServer, mails: Sender, texts: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    """SEC-22: the vendors' packages log key and recipient at DEBUG unless they are pinned."""
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request(SEND).respond_with_data("", status=202)
    httpserver.expect_request(CREATE).respond_with_json({"sid": "SM1"}, status=201)

    await mails.send(mail())
    await texts.send(text())
    # The packages' own ways, too, should anybody take them.
    sendgrid.SendGridAPIClient(API_KEY, host=httpserver.url_for("")).send(build_mail(mail()))
    moved = MovedTwilioClient(httpserver.url_for("").rstrip("/"))
    Client(ACCOUNT, TOKEN, http_client=moved).messages.create(
        to=text().to_number, body=text().body, messaging_service_sid=text().messaging_service
    )
    moved.session.close()

    for secret in (API_KEY, TOKEN, "mary@example.com", "+12015550123", "%2B12015550123"):
        assert secret not in caplog.text
