"""Running stand-ins, our own senders led to them, and a receiver that keeps what it gets."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pytest_httpserver import HTTPServer

from tests.conftest import NOW
from tests.sandbox.receiver import PUBLIC_URL, KeepingReceiver
from winback.clock import SetClock
from winback.providers.outgoing import Sender
from winback.providers.sendgrid import SendGridSender
from winback.providers.twilio import TwilioSender
from winback.sandbox.stand_ins import Sandbox, stand_ins


@pytest.fixture
def clock() -> SetClock:
    """Give a clock that stands still."""
    return SetClock(NOW)


@pytest.fixture
def stand(clock: SetClock) -> Iterator[Sandbox]:
    """Give running stand-ins with a record in memory."""
    with stand_ins(clock=clock, seed=7) as running:
        yield running


@pytest.fixture
async def mails(stand: Sandbox, clock: SetClock) -> AsyncIterator[Sender]:
    """Give our SendGrid sender, led to the stand-in."""
    sender = SendGridSender(stand.credentials.api_key, clock=clock, base_url=stand.sendgrid_url)
    yield sender
    await sender.close()


@pytest.fixture
async def texts(stand: Sandbox, clock: SetClock) -> AsyncIterator[Sender]:
    """Give our Twilio sender, led to the stand-in."""
    sender = TwilioSender(
        stand.credentials.account_sid,
        stand.credentials.auth_token,
        clock=clock,
        base_url=stand.twilio_url,
    )
    yield sender
    await sender.close()


@pytest.fixture
def received(stand: Sandbox, clock: SetClock, httpserver: HTTPServer) -> KeepingReceiver:
    """Give a receiver that verifies and reads webhooks with the product's own code."""
    receiver = KeepingReceiver(stand.credentials, clock)
    receiver.listen(httpserver)
    stand.deliver_to(httpserver.url_for(""), PUBLIC_URL)
    return receiver
