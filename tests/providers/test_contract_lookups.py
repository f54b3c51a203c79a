"""Twilio's look-up against a mock made from Twilio's own description.

Collected only when ``WINBACK_PROVIDER_SPECS`` names the folder; a run without it says so.
"""

import json
import lzma
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.left_out import SPECS_VARIABLE
from tests.providers.examples import ACCOUNT, TOKEN
from tests.providers.prism import running_prism, unpacked
from winback.providers.lookups import Found, Sought
from winback.providers.twilio_list import TwilioList, build_query, read_text
from winback.states import EventKind

SPECS = Path(os.environ[SPECS_VARIABLE])
CLAIMED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NEXT_WEEK = datetime(2026, 3, 9, 10, 0, tzinfo=UTC)


def twilio_description() -> Any:
    """Read Twilio's description, compressed or not."""
    plain = SPECS / "twilio_api_v2010.json"
    if plain.exists():
        return json.loads(plain.read_bytes())
    return json.loads(lzma.decompress(plain.with_suffix(".json.xz").read_bytes()))


@pytest.fixture(scope="module")
def twilio_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a mock of Twilio's API."""
    description = unpacked(SPECS, "twilio_api_v2010.json", tmp_path_factory.mktemp("twilio"))
    with running_prism(description) as url:
        yield url


async def mistakes(url: str, query: str) -> set[str]:
    """Ask the mock for a list; gives which parts of the exchange it finds wrong."""
    login = aiohttp.encode_basic_auth(ACCOUNT, TOKEN)
    async with (
        aiohttp.ClientSession(headers={"Authorization": login}) as session,
        session.get(f"{url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}") as response,
    ):
        said = await response.json()
    return {one["location"][0] for one in said.get("validation", ())}


async def test_twilios_description_takes_our_list_question(twilio_url: str) -> None:
    """The question has the shape that Twilio describes.

    The mock answers with the description's own example, and finds that one wrong: its page URIs
    are no URIs. A page size of none shows that questions are looked at, too.
    """
    ours = build_query(Sought("send-1", "+12015550123", CLAIMED))

    assert await mistakes(twilio_url, ours) == {"response"}
    assert await mistakes(twilio_url, "PageSize=0") == {"query"}


def test_the_texts_of_twilios_description_can_be_read() -> None:
    """What the description shows as a list is read: ids, dates, statuses, error codes."""
    path = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
    answers = twilio_description()["paths"][path]["get"]["responses"]["200"]
    page = answers["content"]["application/json"]["examples"]["readFullPage1"]["value"]

    sent, received = (
        read_text(text, Sought("send-1", "+12015550123", CLAIMED)) for text in page["messages"]
    )

    assert isinstance(sent, Found)
    assert sent.accepted_at == datetime(2019, 5, 24, 17, 44, 46, tzinfo=UTC)
    assert sent.kind is EventKind.ACCEPTED
    assert isinstance(received, Found)
    assert received.code == "30004"


async def test_twilios_description_takes_our_question_for_one_text(twilio_url: str) -> None:
    """One text is shown as described, and read."""
    lookup = TwilioList(ACCOUNT, TOKEN, base_url=twilio_url)

    answer = await lookup.find(
        Sought("send-1", "+12015550123", CLAIMED, provider_message_id="SM" + "0a" * 16),
        now=NEXT_WEEK,
    )

    await lookup.close()
    assert isinstance(answer, Found)
    assert answer.provider_message_id.startswith(("SM", "MM"))
