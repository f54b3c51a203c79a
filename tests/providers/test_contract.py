"""Both senders against a mock made from the providers' own descriptions.

Collected only when ``WINBACK_PROVIDER_SPECS`` names their folder (MATERIAL.md, section 1); a run
without it says so in its last line. The mock proves the shape of a request, not that the service
would take it: the rules that the descriptions leave out are tested with the stand-ins.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.left_out import SPECS_VARIABLE
from tests.providers.examples import ACCOUNT, API_KEY, CLOCK, TOKEN, mail, text
from tests.providers.prism import running_prism, unpacked
from winback.errors import CallbackRejected
from winback.providers.outgoing import Accepted, Refused
from winback.providers.sendgrid import SendGridSender, build_mail
from winback.providers.signatures import verify_twilio
from winback.providers.twilio import TwilioSender

SPECS = Path(os.environ[SPECS_VARIABLE])


@pytest.fixture(scope="module")
def sendgrid_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a mock of SendGrid's mail send."""
    description = unpacked(SPECS, "tsg_mail_v3.json", tmp_path_factory.mktemp("sendgrid"))
    with running_prism(description) as url:
        yield url


@pytest.fixture(scope="module")
def twilio_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a mock of Twilio's API."""
    description = unpacked(SPECS, "twilio_api_v2010.json", tmp_path_factory.mktemp("twilio"))
    with running_prism(description) as url:
        yield url


@pytest.fixture
async def mails(sendgrid_url: str) -> AsyncIterator[SendGridSender]:
    """Give our SendGrid sender, led to the mock."""
    sender = SendGridSender(API_KEY, clock=CLOCK, base_url=sendgrid_url)
    yield sender
    await sender.close()


@pytest.fixture
async def texts(twilio_url: str) -> AsyncIterator[TwilioSender]:
    """Give our Twilio sender, led to the mock."""
    sender = TwilioSender(ACCOUNT, TOKEN, clock=CLOCK, base_url=twilio_url)
    yield sender
    await sender.close()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"to_name": None, "reply_to": None, "categories": (), "headers": {}},
        {"subject": "Café ☕", "text": "ünïcode", "html": "<p>ünïcode</p>"},
    ],
    ids=["whole", "least", "unicode"],
)
async def test_sendgrids_description_takes_our_mail(
    mails: SendGridSender, changes: dict[str, Any]
) -> None:
    """Every mail that we build has the shape that SendGrid describes: 202."""
    assert isinstance(await mails.send(mail(**changes)), Accepted)


async def test_sendgrids_description_refuses_a_bad_address(mails: SendGridSender) -> None:
    """The mock does validate: what it refuses is read as refused for good."""
    result = await mails.send(mail(to_address="nobody"))

    assert isinstance(result, Refused)
    assert result.code == "400"


async def test_top_level_arguments_would_be_refused(sendgrid_url: str) -> None:
    """Why the send id travels in the personalization: the description types the other a string."""
    payload = build_mail(mail()) | {"custom_args": {"wb_send_id": "send-1"}}

    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {API_KEY}"}) as session,
        session.post(f"{sendgrid_url}/v3/mail/send", json=payload) as response,
    ):
        assert response.status == 400


async def test_twilios_description_takes_our_text(texts: TwilioSender) -> None:
    """Every text that we build has the shape that Twilio describes: 201 with a sid."""
    result = await texts.send(text())

    assert isinstance(result, Accepted)
    assert result.provider_message_id.startswith(("SM", "MM"))


async def test_twilios_description_refuses_a_text_to_nobody(twilio_url: str) -> None:
    """The mock does validate: 422 where the service says 400 (MATERIAL.md, 1)."""
    login = aiohttp.encode_basic_auth(ACCOUNT, TOKEN)
    async with (
        aiohttp.ClientSession(headers={"Authorization": login}) as session,
        session.post(
            f"{twilio_url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data={"Body": "x"}
        ) as response,
    ):
        assert response.status == 422


TWILIO_CASES = json.loads((SPECS / "twilio_signatures.json").read_text(encoding="utf-8"))
"""The signed requests of Twilio's own test suite, which lie beside the descriptions."""


@pytest.mark.parametrize("case", TWILIO_CASES["cases"], ids=lambda case: case["name"])
def test_twilios_own_signatures(case: dict[str, Any]) -> None:
    """Our check agrees with every case of the vendor's test suite (TW-27, TW-28)."""
    body = case.get("body") or urlencode([tuple(pair) for pair in case["form"]])
    headers = {TWILIO_CASES["header"]: case["signature"]}
    is_valid = True

    try:
        verify_twilio(headers, body.encode(), url=case["url"], tokens=[TWILIO_CASES["auth_token"]])
    except CallbackRejected:
        is_valid = False

    assert is_valid is case["valid"]
