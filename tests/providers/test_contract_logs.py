"""SendGrid's look-up against a mock made from ``tsg_logs_v3.json``.

Collected only when that file lies in the folder that ``WINBACK_PROVIDER_SPECS`` names; a run
without it says so.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from tests.left_out import SPECS_VARIABLE
from tests.providers.examples import API_KEY
from tests.providers.prism import running_prism, unpacked
from winback.providers.lookups import NotThere, Sought
from winback.providers.sendgrid_logs import SendGridLogs, build_query

SPECS = Path(os.environ[SPECS_VARIABLE])
CLAIMED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MAIL = Sought("send-1", "mary@example.com", CLAIMED)


@pytest.fixture(scope="module")
def sendgrid_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a mock of SendGrid's Email Logs."""
    description = unpacked(SPECS, "tsg_logs_v3.json", tmp_path_factory.mktemp("logs"))
    with running_prism(description) as url:
        yield url


async def test_sendgrids_description_takes_our_questions(sendgrid_url: str) -> None:
    """The list and the one message are asked for as described, and the described answers read.

    The mock names a message that is not ours, so both were asked for.
    """
    lookup = SendGridLogs(API_KEY, base_url=sendgrid_url)

    answer = await lookup.find(MAIL, now=CLAIMED)

    await lookup.close()
    assert answer == NotThere("not in SendGrid's email logs")


async def test_the_mock_refuses_another_shape(sendgrid_url: str) -> None:
    """The mock does validate: a limit of none is not taken."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {API_KEY}"}) as session,
        session.post(
            f"{sendgrid_url}/v3/logs", json={"query": build_query(MAIL), "limit": 0}
        ) as response,
    ):
        assert response.status in {400, 422}
