"""Who is asked about doubts: the providers that a business sends through, when there is a doubt."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from pytest_httpserver import HTTPServer

from tests.providers.test_registry import KEYS, environment, settings
from winback.environment import Environment
from winback.providers.lookup_registry import make_lookups, open_lookups
from winback.providers.lookups import CannotTell, NotThere, Sought
from winback.states import Channel, Mode

CLAIMED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MAIL = Sought("send-1", "mary@example.com", CLAIMED)


def test_each_channel_that_is_sent_through_can_be_asked(tmp_path: Path) -> None:
    """Texts are asked about only where texts are sent."""
    both = make_lookups(settings(Mode.LIVE), environment(tmp_path, KEYS))
    mails = make_lookups(settings(Mode.LIVE, with_sms=False), environment(tmp_path, KEYS))

    assert {channel: one.name for channel, one in both.items()} == {
        Channel.EMAIL: "sendgrid",
        Channel.SMS: "twilio",
    }
    assert set(mails) == {Channel.EMAIL}


async def test_stand_ins_are_lent_with_the_first_question(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    """In the sandbox a day without doubts starts no server; each look-up asks for one once."""
    url = httpserver.url_for("").rstrip("/")
    given = {"WINBACK_SENDGRID_URL": url, "WINBACK_TWILIO_URL": url}
    httpserver.expect_request("/v3/logs").respond_with_json({"messages": []})
    lent: list[Environment] = []

    def lend() -> Environment:
        lent.append(environment(tmp_path, KEYS, given))
        return lent[-1]

    bare = environment(tmp_path, {"WINBACK_SECRET": "s"})
    async with open_lookups(settings(Mode.SANDBOX), bare, lend=lend) as lookups:
        assert lent == []
        answers = [await lookups[Channel.EMAIL].find(MAIL, now=CLAIMED) for _ in range(2)]

    assert [type(one) for one in answers] == [NotThere, NotThere]
    assert len(lent) == 1


async def test_a_lookup_that_cannot_be_made_settles_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stand-in that does not start is no evidence; the doubt is looked at again."""

    def lend() -> Environment:
        raise OSError("no port")

    bare = environment(tmp_path, {"WINBACK_SECRET": "s"})
    async with open_lookups(settings(Mode.SANDBOX), bare, lend=lend) as lookups:
        answer = await lookups[Channel.EMAIL].find(MAIL, now=CLAIMED)

    assert answer == CannotTell("sendgrid cannot be asked: OSError", is_passing=True)
    assert "nobody can be asked" in caplog.text


async def test_mode_test_asks_for_whom_it_wrote_to(tmp_path: Path, httpserver: HTTPServer) -> None:
    """SEC-25: in mode test nobody but the allow list was written to."""
    httpserver.expect_request("/v3/logs").respond_with_json({"messages": []})
    url = {"WINBACK_SENDGRID_URL": httpserver.url_for("")}
    allowed = settings(Mode.TEST, allow=("me@example.com",))

    async with open_lookups(allowed, environment(tmp_path, KEYS, url)) as lookups:
        await lookups[Channel.EMAIL].find(MAIL, now=CLAIMED)

    asked = orjson.loads(httpserver.log[0][0].get_data())["query"]
    assert "'me@example.com'" in asked
    assert "mary" not in asked
