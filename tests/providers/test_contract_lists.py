"""SendGrid's suppression lists against a mock made from ``tsg_suppressions_v3.json``.

Collected only when that file lies in the folder that ``WINBACK_PROVIDER_SPECS`` names; a run
without it says so.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.left_out import SPECS_VARIABLE
from tests.providers.examples import API_KEY
from tests.providers.prism import running_prism, unpacked
from winback.providers.sendgrid_listing import SendGridLists
from winback.providers.sendgrid_lists import LISTS
from winback.providers.suppression_lists import Asked, Page
from winback.sandbox.entries import Entry
from winback.sandbox.list_desk import answer
from winback.sandbox.record import Record

SPECS = Path(os.environ[SPECS_VARIABLE])
LONG_AGO, NOW = 1, 2_000_000_000


@pytest.fixture(scope="module")
def sendgrid_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a mock of SendGrid's suppression lists."""
    description = unpacked(SPECS, "tsg_suppressions_v3.json", tmp_path_factory.mktemp("lists"))
    with running_prism(description) as url:
        yield url


@pytest.mark.parametrize("name", LISTS)
async def test_sendgrids_description_takes_our_questions(sendgrid_url: str, name: str) -> None:
    """SG-40: each list is asked for as described, and its described example is read whole."""
    lists = SendGridLists(API_KEY, base_url=sendgrid_url)

    page = await lists.page(Asked(name, LONG_AGO, NOW, offset=0))

    await lists.close()
    assert isinstance(page, Page)
    assert page.passed == len(page.listed) >= 2
    assert all("@" in one.address and LONG_AGO < one.created < NOW for one in page.listed)


async def test_the_mock_refuses_another_shape(sendgrid_url: str) -> None:
    """The mock does validate: more than 500 entries are not asked for."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Accept": "application/json"}
    url = f"{sendgrid_url}{LISTS['bounces'].path}?limit=501"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        assert response.status in {400, 422}


@pytest.mark.parametrize("name", LISTS)
async def test_the_stand_in_answers_with_the_described_fields(sendgrid_url: str, name: str) -> None:
    """The stand-in's entries have the fields of the description's own examples."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Accept": "application/json"}
    path = LISTS[name].path
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{sendgrid_url}{path}") as response,
    ):
        described = await response.json()
    record = Record()
    fields: dict[str, dict[str, Any]] = {
        "bounces": {"reason": "550", "status": "5.1.1"},
        "invalid_emails": {"reason": "unknown"},
        "spam_reports": {"ip": "127.0.0.1"},
        "groups": {"group_id": 1, "group_name": "All mails"},
    }
    record.add_listed([Entry(name, "ann@example.com", NOW, fields.get(name, {}))])

    _, ours = answer(path, {}, record)

    record.close()
    assert [set(one) for one in ours] == [set(described[0])]
